"""What a window knows of the other tracks of its session: who was heard before it began, and whether two spoke at once.

It follows from the window's context (`stream.align.context`): finished windows that ended before this one began. So neither the order in
which windows are scored nor a replay changes it. What other tracks say during the window itself is not known yet.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stream.domain.context import ContextFeatures, ContextWindow
from stream.domain.features import LEAST_VOICE_MS
from stream.domain.modality import Modality


class Conversation(msgspec.Struct, frozen=True):
    """The other tracks, as the window's context shows them. Of more than four tracks it may not show all.

    Attributes:
        others_until_ms: End of the newest window of another track with words or a voice; None if there is none in the context.
        talk_over: Least share of time in which this track and another one both held a voice, in the newest window that both have; None if
            the context has no such window, as with windows by utterance, or the sound of one of them was not looked at.
    """

    others_until_ms: int | None
    talk_over: float | None


def conversation_of(window: ContextWindow, context: Sequence[ContextFeatures]) -> Conversation | None:
    """What the context of a window says of the other tracks; None if it has no window of another track."""
    others = [features for features in context if features.track != window.track]
    if not others:
        return None
    heard = [features.end_ms for features in others if Modality.TEXT in features.means or (features.voice_ms or 0) >= LEAST_VOICE_MS]
    return Conversation(max(heard, default=None), _talk_over(window.track, context))


def _talk_over(track: str, context: Sequence[ContextFeatures]) -> float | None:
    heard = [(f.track, (f.end_ms, f.start_ms), f.voice_ms) for f in context if f.voice_ms is not None]
    own = {span: voice_ms for name, span, voice_ms in heard if name == track}
    both = [(span, voice_ms) for name, span, voice_ms in heard if name != track and span in own]
    if not both:
        return None
    (end_ms, start_ms), voice_ms = max(both)
    length_ms = end_ms - start_ms
    # Two voices that together last longer than the window must overlap by the difference.
    return round(max(0, own[end_ms, start_ms] + voice_ms - length_ms) / length_ms, 4)
