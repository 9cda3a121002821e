from __future__ import annotations

import json
from pathlib import Path

import pytest

from stream.domain.features import Word
from stream.media.errors import TranscriptError
from stream.media.transcript.read import parse_transcript, read_transcript


def _times(words: tuple[Word, ...]) -> list[tuple[str, int, int]]:
    return [(w.text, w.start_ms, w.end_ms) for w in words]


def test_a_cue_is_spread_over_its_words_in_proportion_to_their_characters() -> None:
    words = parse_transcript(b"WEBVTT\n\n00:01.000 --> 00:02.000\nto be forever\n", ".vtt").words
    assert _times(words) == [("to", 1000, 1181), ("be", 1181, 1363), ("forever", 1363, 2000)]


def test_vtt_voices_tags_entities_ids_notes_and_hours() -> None:
    text = (
        "WEBVTT - title\nLanguage: en\n\nNOTE\nnot --> a cue\n\nSTYLE\n::cue {}\n\nintro\n01:00:00.000 --> 01:00:01.000 align:start\n"
        "<v.loud Mary Ann>Q&amp;A <b>h</b>i</v>\n\n00:00:03.000 --> 00:00:04.000\n<v agent>yes<v customer>no\n"
    )
    words = parse_transcript(text.encode(), ".vtt").words
    assert [(w.text, w.speaker) for w in words] == [("yes", "agent"), ("no", "customer"), ("Q&A", "Mary Ann"), ("hi", "Mary Ann")]
    assert words[-1].end_ms == 3_601_000


def test_inline_timestamps_are_kept() -> None:
    words = parse_transcript(b"WEBVTT\n\n00:01.000 --> 00:04.000\none <00:00:02.000><c>two</c> <00:00:02.500>three\n", ".vtt").words
    assert _times(words) == [("one", 1000, 2000), ("two", 2000, 2500), ("three", 2500, 4000)]


def test_srt_with_crlf_bom_and_overrides() -> None:
    text = "\ufeff1\r\n00:00:01,000 --> 00:00:02,000\r\n{\\an8}<i>Hi</i>\r\n\r\n2\r\n00:00:02,000 --> 00:00:03,000\r\nyou\r\n"
    assert _times(parse_transcript(text.encode(), ".srt").words) == [("Hi", 1000, 2000), ("you", 2000, 3000)]


@pytest.mark.parametrize(
    "document",
    [
        [{"text": "so good", "start_ms": 0, "end_ms": 600, "confidence": 0.5, "speaker": "a"}],
        {
            "words": [
                {"w": "so", "s": 0.0, "e": 0.2, "p": 0.5, "speaker": "a"},
                {"w": " good", "s": 0.2, "e": 0.6, "p": 0.5, "speaker": "a"},
            ]
        },
        {"segments": [{"s": 0, "e": 0.6, "text": "so good", "speaker": "a", "p": 0.5, "no_speech": 0.1}]},
    ],
)
def test_json_in_its_three_forms(document: object) -> None:
    words = parse_transcript(json.dumps(document).encode(), ".json").words
    assert words == (Word("so", 0, 200, 0.5, "a"), Word("good", 200, 600, 0.5, "a"))


@pytest.mark.parametrize(
    ("raw", "suffix", "line", "message"),
    [
        (b"hello secret", ".vtt", 1, "WEBVTT"),
        (b"WEBVTT\n\nsecret\nsecret\n", ".vtt", 3, "START --> END"),
        (b"WEBVTT\n\nid\n00:02 --> later\nsecret\n", ".vtt", 4, "HH:MM:SS"),
        (b"1\n00:00:01,000 to 00:00:02,000\nsecret\n", ".srt", 1, "START --> END"),
        (b"WEBVTT\n\n9999:00:00.000 --> 9999:00:01.000\nsecret\n", ".vtt", 3, "beyond a week"),
        (b"WEBVTT\n\n\xff\xfe", ".vtt", 3, "UTF-8"),
        (b'[\n{"text": secret}]', ".json", 2, "JSON"),
        (b'[{"text": ["secret"], "start_ms": 0, "end_ms": 1}]', ".json", None, "$[0].text"),
        (b'[{"text": "secret", "start_ms": 0}]', ".json", None, "entry 1 needs"),
        (b'[{"text": "secret", "start_ms": 5, "end_ms": 1}]', ".json", None, "entry 1 ends before"),
        (b'[{"text": "secret", "start_ms": 0, "end_ms": 1, "p": 7}]', ".json", None, "confidence"),
        (b"[" * 100_000, ".json", None, ""),
        (b"WEBVTT\n", ".vtt", None, "no words"),
        (b"secret", ".txt", None, ".vtt, .srt or .json"),
    ],
)
def test_a_bad_transcript_is_one_clear_error_without_its_content(raw: bytes, suffix: str, line: int | None, message: str) -> None:
    with pytest.raises(TranscriptError) as error:
        parse_transcript(raw, suffix)
    assert error.value.line == line or suffix == ".json"
    assert message in str(error.value)
    assert "secret" not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TranscriptError, match=r"gone\.vtt: there is no such file"):
        read_transcript(tmp_path / "gone.vtt")


def test_words_are_short_and_without_control_characters() -> None:
    text = "1\n00:00:00,000 --> 00:00:00,100\na\x07b \u200b " + "x" * 1000
    words = parse_transcript(text.encode(), ".srt").words
    assert words[0].text == "ab"
    assert max(len(w.text) for w in words) == 128
