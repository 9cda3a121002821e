"""What a window's context says of the other tracks."""

from __future__ import annotations

from stream.domain.context import ContextFeatures, ContextWindow
from stream.domain.conversation import Conversation, conversation_of
from stream.domain.modality import Modality

WINDOW = ContextWindow("agent", 8000, 12_000)


def features(track: str, end_ms: int, voice_ms: int | None = 0, *, words: bool = False, length_ms: int = 4000) -> ContextFeatures:
    means = {Modality.TEXT: b""} if words else {}
    return ContextFeatures(track, 0, end_ms, means, end_ms - length_ms, voice_ms=voice_ms)


def test_a_context_without_other_tracks_says_nothing() -> None:
    assert conversation_of(WINDOW, []) is None
    assert conversation_of(WINDOW, [features("agent", 8000, 3000)]) is None


def test_who_was_heard_before_the_window_began() -> None:
    silent, spoke = features("customer", 8000, 200), features("customer", 6000, 300)
    assert conversation_of(WINDOW, [silent]) == Conversation(None, None)
    assert conversation_of(WINDOW, [silent, spoke]) == Conversation(6000, None)
    assert conversation_of(WINDOW, [features("customer", 8000, None, words=True)]) == Conversation(8000, None)


def test_two_voices_that_last_longer_than_their_window_overlap() -> None:
    own = features("agent", 8000, 3000)
    assert conversation_of(WINDOW, [own, features("customer", 8000, 2600)]) == Conversation(8000, 0.4)
    assert conversation_of(WINDOW, [own, features("customer", 8000, 1000)]) == Conversation(8000, 0.0)
    assert conversation_of(WINDOW, [own, features("customer", 8000, 1000), features("guest", 8000, 2000)]) == Conversation(8000, 0.25)


def test_only_the_newest_window_that_both_have_counts() -> None:
    context = [
        features("agent", 8000, 0),
        features("customer", 8000, 4000),
        features("agent", 6000, 4000),
        features("customer", 6000, 4000),
    ]
    assert conversation_of(WINDOW, context) == Conversation(8000, 0.0)
    assert conversation_of(WINDOW, [features("agent", 8000, 4000), features("customer", 7000, 4000)]) == Conversation(7000, None)


def test_without_the_sound_of_one_nothing_is_said_about_talking_over() -> None:
    assert conversation_of(WINDOW, [features("agent", 8000, None), features("customer", 8000, 4000)]) == Conversation(8000, None)
