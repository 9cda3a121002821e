"""The context of a window: finished windows of the same session, of any track, that the model sees beside it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from stream.domain.features import Floats
from stream.domain.modality import Modality

CONTEXT_WINDOWS = 4
"""Most finished windows in the context of a window."""

SPEAKER_WINDOWS = 8
"""Most earlier windows of its own track from which a window knows the voice of its speaker and the beginning of its sentence."""

CONTEXT_KEPT = 32
"""Newest finished windows of each track that can still be chosen, by this worker and by the worker that takes over from it."""

LARGEST_FLOAT16 = float(np.finfo(np.float16).max)


class ContextWindow(NamedTuple):
    """Names a finished window of the session: its track and its span."""

    track: str
    start_ms: int
    end_ms: int


def earlier_windows(ended: Iterable[ContextWindow], until_ms: int) -> tuple[ContextWindow, ...]:
    """The newest windows of a track that neither overlap each other nor reach beyond a media time, newest first.

    The choice goes back from the media time: each window ends by the start of the one chosen before it. So nothing is heard twice.

    Args:
        ended: Finished windows of one track, newest first.
        until_ms: Where the window begins for which they are chosen.
    """
    chosen: list[ContextWindow] = []
    for window in ended:
        if window.end_ms <= until_ms:
            chosen.append(window)
            until_ms = window.start_ms
            if len(chosen) == SPEAKER_WINDOWS:
                break
    return tuple(chosen)


class OpenSentence(msgspec.Struct, frozen=True):
    """The words at the end of a window after which no sentence has ended yet.

    Attributes:
        words: The newest of them, in order; none if the window's last word ends a sentence.
        start_ms: Start of the first.
        end_ms: End of the last.
        from_before: True if no sentence ends in the window: then this one may have begun before the window.
    """

    words: tuple[str, ...]
    start_ms: int
    end_ms: int
    from_before: bool


RedactedWord = tuple[int, int, str]
"""Start and end (ms) of a word that is not shown, and what is shown in its place."""


class ContextFeatures(msgspec.Struct, frozen=True):
    """The contribution of a finished window to later windows.

    It is a function of the window's contents, so that a replay on another worker contributes the same. One thing comes from before the
    window: its words are encoded together with the beginning of their sentence.

    Attributes:
        track: The window's track.
        epoch: Epoch of the session's media clock.
        end_ms: Media time at which the window ended.
        means: By modality, the mean of its nodes' features, float16; a modality without a node has no entry.
        start_ms: Media time at which the window began; 0 in contributions of earlier releases, so that none is chosen before them.
        segments: Number of audible segments, of which ``means`` holds the mean; 0 in contributions of earlier releases.
        sentence: The sentence that is unfinished at the window's end; None if the window has no word.
        redacted: The words of the window that no explanation may show. A later window that overlaps it may not show them either, although
            what told that they are personal is in this window alone.
        voice_ms: How long the confirmed voice in it lasts; None if no sound was looked at, and in contributions of earlier releases.
    """

    track: str
    epoch: int
    end_ms: int
    means: dict[Modality, bytes]
    start_ms: int = 0
    segments: int = 0
    sentence: OpenSentence | None = None
    redacted: tuple[RedactedWord, ...] = ()
    voice_ms: int | None = None

    @property
    def window(self) -> ContextWindow:
        """The window that contributes it."""
        return ContextWindow(self.track, self.start_ms, self.end_ms)

    def mean(self, modality: Modality) -> npt.NDArray[np.float16] | None:
        """(width,) float16, None where the window lacked the modality."""
        packed = self.means.get(modality)
        return None if packed is None else np.frombuffer(packed, np.float16)


def packed_mean(nodes: Floats) -> bytes:
    """(n, width) node features, n > 0, to the bytes of their float16 mean; values beyond float16's range are clipped."""
    mean = np.add.reduce(nodes, axis=0, dtype=np.float64) / len(nodes)
    packed: bytes = np.minimum(np.maximum(mean, -LARGEST_FLOAT16), LARGEST_FLOAT16).astype(np.float16).tobytes()
    return packed


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(ContextFeatures)


def encode_context(features: ContextFeatures) -> bytes:
    """JSON of the features, without loss of precision."""
    return _ENCODER.encode(features)


def decode_context(data: bytes | str) -> ContextFeatures:
    """Inverse of `encode_context`. Raises ``msgspec.ValidationError`` or ``msgspec.DecodeError``."""
    return _DECODER.decode(data)
