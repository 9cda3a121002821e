"""The transcripts of ``$SENTISTREAM_DATA/field``: what tools have written, and what must come out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stream.media.transcript.read import read_transcript

DATA = os.environ.get("SENTISTREAM_DATA")
FIELD = Path(DATA or "") / "field"
SENTENCES = ["I", "am", "very", "happy", "with", "it", "thank", "you", "so", "much", "this", "is", "terrible"]
SPEECH = ["and", "so", "my", "fellow", "americans", "ask", "not", "what", "your", "country", "can", "do", "for"]

pytestmark = pytest.mark.skipif(DATA is None or not FIELD.is_dir(), reason="needs the field data: set SENTISTREAM_DATA")


def words(name: str) -> list[tuple[str, int, int]]:
    return [(word.text, word.start_ms, word.end_ms) for word in read_transcript(FIELD / name, 10_000).words]


@pytest.mark.parametrize("name", ["youtube.vtt", "no_blank_between.srt", "zoom.vtt", "whisperx.json", "openai_whisper_words.json"])
def test_each_word_comes_out_once_in_order(name: str) -> None:
    found = words(name)
    assert [text for text, _, _ in found] == SENTENCES
    assert all(start_ms <= end_ms for _, start_ms, end_ms in found)
    assert [start_ms for _, start_ms, _ in found] == sorted(start_ms for _, start_ms, _ in found)


def test_rolling_captions_keep_the_times_of_their_words() -> None:
    starts_ms = [100, 600, 1200, 1800, 2400, 3000, 3510, 4200, 4800, 5400, 6410, 7200, 8200]
    assert [start_ms for _, start_ms, _ in words("youtube.vtt")] == starts_ms


def test_words_without_times_lie_between_their_neighbours() -> None:
    found = words("whisperx.json")
    assert (found[2], found[8], found[12]) == (("very", 650, 1000), ("so", 4150, 4500), ("terrible", 7050, 9800))


@pytest.mark.parametrize(("name", "last", "confidence"), [("aws_transcribe.json", "you.", 0.99), ("deepgram.json", "you", 0.9)])
def test_the_words_of_services(name: str, last: str, confidence: float) -> None:
    found = read_transcript(FIELD / name, 10_000).words
    assert [word.text for word in found] == [*SPEECH, last]
    assert (found[0].start_ms, found[0].end_ms, found[-1].start_ms, found[-1].end_ms) == (100, 700, 9200, 9800)
    assert {word.confidence for word in found} == {confidence}


def test_the_speakers_of_zoom() -> None:
    found = read_transcript(FIELD / "zoom.vtt", 12_000).words
    assert [word.speaker for word in found] == ["Agent"] * 6 + ["Customer"] * 7


def test_a_pause_of_700_seconds_stays() -> None:
    assert [start_ms for _, start_ms, _ in words("gap.vtt")] == [1000, 1166, 1500, 2166, 706_000, 706_857, 707_285]
