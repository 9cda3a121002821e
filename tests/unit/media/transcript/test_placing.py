"""Times that are not those of the recording are noticed, moved and said."""

from __future__ import annotations

import json

import pytest

from stream.domain.features import Word
from stream.media.errors import TranscriptError
from stream.media.transcript.read import Transcript, parse_transcript


def cues(*spans: tuple[str, str], duration_ms: int | None = None) -> Transcript:
    blocks = "\n".join(f"{start} --> {end}\nhello\n" for start, end in spans)
    return parse_transcript(f"WEBVTT\n\n{blocks}".encode(), ".vtt", duration_ms)


def times(transcript: Transcript) -> list[tuple[int, int]]:
    return [(word.start_ms, word.end_ms) for word in transcript.words]


@pytest.mark.parametrize("duration_ms", [10_000, None])
def test_a_transcript_that_begins_at_one_hour_is_moved_by_one_hour(duration_ms: int | None) -> None:
    transcript = cues(("01:00:01.000", "01:00:02.000"), ("01:00:05.000", "01:00:06.000"), duration_ms=duration_ms)
    assert times(transcript) == [(1000, 2000), (5000, 6000)]
    assert "it is moved by 1:00:00" in transcript.notices[0]


def test_the_time_of_day_is_moved_to_the_beginning() -> None:
    transcript = cues(("14:03:27.500", "14:03:28.500"), ("14:03:31.000", "14:03:32.000"), duration_ms=60_000)
    assert times(transcript) == [(0, 1000), (3500, 4500)]
    assert transcript.notices == (
        "the transcript begins after the recording ends: it is moved by 14:03:28, so that its first word begins with the recording",
    )


def test_an_excerpt_of_a_longer_recording_is_moved_to_its_beginning() -> None:
    assert times(cues(("00:11:40.000", "00:11:41.000"), duration_ms=10_000)) == [(0, 1000)]


def test_a_transcript_within_its_recording_stays() -> None:
    spans = (("00:00:01.000", "00:00:02.000"), ("01:00:05.000", "01:00:06.000"))
    for duration_ms in (10_000, 7_200_000, None):
        assert times(cues(*spans, duration_ms=duration_ms)) == [(1000, 2000), (3_605_000, 3_606_000)]
    assert times(cues(("01:00:05.000", "01:00:06.000"), duration_ms=7_200_000)) == [(3_605_000, 3_606_000)]


def test_times_that_are_all_negative_begin_with_the_recording() -> None:
    transcript = cues(("-00:00:05.000", "-00:00:04.000"), ("-00:00:03.000", "-00:00:02.000"))
    assert times(transcript) == [(0, 1000), (2000, 3000)]
    assert transcript.notices == ("the transcript begins 0:00:05 before the recording: it is moved to its beginning",)


def test_a_time_far_below_zero_moves_nothing_beyond_the_longest_session() -> None:
    with pytest.raises(TranscriptError, match="beyond a week"):
        parse_transcript(b'[0.0, -604860, "hello"]\n[]', ".json")


def words(factor: float, key: str = "") -> bytes:
    spans = [(0.1, 0.6, "hello"), (0.7, 1.2, "there"), (5.0, 9.0, "everybody")]
    return json.dumps(
        {"words": [{"word": text, f"start{key}": start * factor, f"end{key}": end * factor} for start, end, text in spans]}
    ).encode()


RIGHT = (Word("hello", 100, 600), Word("there", 700, 1200), Word("everybody", 5000, 9000))


@pytest.mark.parametrize("duration_ms", [10_000, None])
def test_milliseconds_where_seconds_are_expected(duration_ms: int | None) -> None:
    transcript = parse_transcript(words(1000), ".json", duration_ms)
    assert transcript.words == RIGHT
    assert transcript.notices == ("the transcript's times are milliseconds where seconds are expected: they are read as such",)


@pytest.mark.parametrize("duration_ms", [10_000, None])
def test_seconds_where_milliseconds_are_expected(duration_ms: int | None) -> None:
    document = json.loads(words(1, "_ms"))
    for word in document["words"]:
        word["text"] = word.pop("word")
    transcript = parse_transcript(json.dumps(document).encode(), ".json", duration_ms)
    assert transcript.words == RIGHT
    assert transcript.notices == ("the transcript's times are seconds where milliseconds are expected: they are read as such",)


@pytest.mark.parametrize("duration_ms", [10_000, None])
def test_right_times_stay(duration_ms: int | None) -> None:
    transcript = parse_transcript(words(1), ".json", duration_ms)
    assert (transcript.words, transcript.notices) == (RIGHT, ())


def test_a_word_that_whisper_gives_to_silence_is_no_sign_of_milliseconds() -> None:
    document = json.dumps({"segments": [{"start": 0.0, "end": 30.0, "text": " you"}]}).encode()
    for duration_ms in (30_000, 28_000, None):
        assert times(parse_transcript(document, ".json", duration_ms)) == [(0, 30_000)]
