"""Windows that nobody has spoken: what is said in them is spread evenly, and sound and face may come with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stream.domain.features import AudioFeatures, TextFeatures, VideoFeatures, Word
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.window import Window

WINDOW_MS = 4_000
_TRACK = TrackKey(SessionKey("probe", "probe"), "probe")


def window_of_words(words: Sequence[str], sound: AudioFeatures | None = None, face: VideoFeatures | None = None) -> Window:
    """A window of `WINDOW_MS` in which words are said, the first of its track."""
    edges = np.linspace(0, WINDOW_MS, len(words) + 1).round().astype(int).tolist()
    spread = tuple([Word(text, start, end) for text, start, end in zip(words, edges[:-1], edges[1:], strict=True)])
    return Window(
        track=_TRACK,
        role="probe",
        epoch=0,
        start_ms=0,
        end_ms=WINDOW_MS,
        media_end_ms=WINDOW_MS,
        revision=0,
        is_final=True,
        text=(TextFeatures(spread),),
        audio=() if sound is None else (sound,),
        video=() if face is None else (face,),
    )
