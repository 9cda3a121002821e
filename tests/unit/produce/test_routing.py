"""Words of a transcript go to the tracks of their speakers."""

from __future__ import annotations

import pytest

from stream.domain.features import Word
from stream.media.transcript.read import Transcript
from stream.produce.routing import RoutedWords, route_transcript


def routed(*speakers: str | None, tracks: tuple[str, ...] = ("agent", "customer"), channels: tuple[str, ...] = ()) -> RoutedWords:
    words = tuple(Word(f"w{i}", i, i + 1, speaker=speaker) for i, speaker in enumerate(speakers))
    places = {s: int(s[-1]) for s in speakers if s is not None and s.startswith("ch_")}
    return route_transcript(Transcript(words, channels=places), tracks, channels)


def texts(words: RoutedWords) -> list[list[str] | None]:
    return [None if track is None else [word.text for word in track] for track in words.by_track]


def test_names_match_in_any_case_without_a_word() -> None:
    words = routed("AGENT", "Customer", "agent")
    assert (texts(words), words.notices, words.unrouted) == ([["w0", "w2"], ["w1"]], (), 0)


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ("ch_0", "ch_1", "channels"),
        ("Speaker 0", "Speaker 1", "speakers"),
        ("Speaker 1", "Speaker 2", "speakers"),
        ("spk_0", "spk_1", "speakers"),
        ("SPEAKER_00", "SPEAKER_01", "speakers"),
        ("S1", "S2", "speakers"),
        ("A", "B", "speakers"),
        ("Speaker A", "Speaker B", "speakers"),
        ("channel 1", "channel 2", "speakers"),
    ],
)
def test_numbers_match_the_order_of_the_tracks_and_this_is_said(first: str, second: str, kind: str) -> None:
    words = routed(second, first, second)
    assert texts(words) == [["w1"], ["w0", "w2"]]
    assert words.notices == (f"the transcript's {kind} are matched by number: {first} is agent, {second} is customer",)


def test_a_channel_that_is_left_out_has_no_track() -> None:
    words = routed("ch_0", "ch_1", tracks=("customer", "other"), channels=("-", "customer", "other"))
    assert texts(words) == [["w1"], []]
    assert words.notices[1] == "1 of 2 words are left out: they have no speaker, or one who is left out"


def test_the_only_channel_that_is_not_left_out_gets_its_own_words() -> None:
    words = routed("ch_0", "ch_1", "ch_1", tracks=("agent",), channels=("-", "agent"))
    assert (texts(words), words.unrouted) == ([["w1", "w2"]], 0)
    assert words.notices[0] == "the transcript's channels are matched by number: ch_0 is -, ch_1 is agent"
    assert texts(routed("Agent", "Customer", tracks=("agent",), channels=("-", "agent"))) == [["w0"]]
    assert texts(routed("Anna", "Ben", tracks=("agent",), channels=("-", "agent"))) == [None]


def test_words_without_a_speaker_are_left_out_and_said() -> None:
    words = routed("Speaker 0", None, "Speaker 1")
    assert (texts(words), words.unrouted) == ([["w0"], ["w2"]], 1)


@pytest.mark.parametrize("speakers", [("Anna", "Ben"), ("ch_0", "ch_1", "ch_2"), ("Speaker 1", "Anna")])
def test_speakers_that_match_nothing_are_listed(speakers: tuple[str, ...]) -> None:
    words = routed(*speakers)
    assert (texts(words), words.unrouted) == ([None, None], len(speakers))
    assert f"The transcript's speakers are {', '.join(speakers)}: give these names to --channels" in words.notices[0]


def test_a_transcript_without_speakers_says_so() -> None:
    assert routed(None).notices == (
        "all 1 words are left out: their speaker is not named like a track (agent, customer), because the transcript names no speakers",
    )


def test_a_single_track_gets_all_words_and_several_speakers_are_said() -> None:
    words = routed("Anna", "Ben", tracks=("speaker",))
    assert (texts(words), words.unrouted) == ([["w0", "w1"]], 0)
    assert words.notices == ("the transcript's speakers Anna, Ben are all in the track speaker",)
    assert routed("Anna", None, tracks=("speaker",)).notices == ()
