"""Inputs of the kinds that people report in public trackers; the comment of each names the report."""

from __future__ import annotations

import json

import pytest

from stream.media.errors import TranscriptError
from stream.media.transcript.read import parse_transcript

HEAD = "WEBVTT\n\n"
PIECE = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:456512,LOCAL:00:00:00.000\n\n"


def cpp(*phrases: dict[str, object]) -> str:
    return json.dumps({"systeminfo": "x", "transcription": phrases})


def token(text: str, start_ms: int, end_ms: int) -> dict[str, object]:
    return {"text": text, "offsets": {"from": start_ms, "to": end_ms}}


REPORTS: list[tuple[str, str, str | bytes, list[tuple[str, int, int]]]] = [
    # glut23/webvtt-py#74: the cue was skipped.
    ("a blank line behind the times", ".vtt", f"{HEAD}02:36.420 --> 02:42.699\n\nyes\n", [("yes", 156_420, 162_699)]),
    # tkarabela/pysubs2#11: the number of an empty cue became a word.
    (
        "empty cues at 0",
        ".srt",
        "392\n00:00:27,46 --> 00:00:29,83\nyes\n\n393\n00:00:00,00 --> 00:00:00,00\n\n394\n00:00:00,00 --> 00:00:00,00\n",
        [("yes", 27_460, 29_830)],
    ),
    # kaegi/subparse#11: players show the number.
    (
        "a number that stands there twice",
        ".srt",
        "1\n00:00:06,000 --> 00:00:12,000\nyes\n\n2\n\n2\n00:01:00,000 --> 00:01:01,000\nno\n",
        [("yes", 6000, 12_000), ("no", 60_000, 61_000)],
    ),
    # smacke/ffsubsync#123
    (
        "microseconds and no fraction",
        ".srt",
        "1\n00:00:01 --> 00:00:06,250000\nyes\n\n2\n00:00:06,250000 --> 00:00:11,500000\nno\n",
        [("yes", 1000, 6250), ("no", 6250, 11_500)],
    ),
    # tkarabela/pysubs2#112
    ("letters in a time", ".srt", "1\n00:00:13,980 --> 00:00:19werwer,580\nyes\n", [("yes", 13_980, 19_000)]),
    # openai/whisper#831
    (
        "an end 24 seconds before its start",
        ".vtt",
        "[02:06.660 --> 01:42.960]  yes\n[01:42.960 --> 01:56.300]  no\n",
        [("no", 102_960, 116_300), ("yes", 126_660, 126_870)],
    ),
    # ggml-org/whisper.cpp#2271 (vibe's JSON)
    (
        "hundredths of seconds with start and stop",
        ".json",
        json.dumps([{"start": 20 * i, "stop": 20 * i + 20, "text": f" word{i % 10}"} for i in range(600)]),
        [(f"word{i % 10}", 200 * i, 200 * i + 200) for i in range(600)],
    ),
    # ggml-org/whisper.cpp#2329
    (
        "a token without times",
        ".json",
        cpp(token(" I do", 0, 2000) | {"tokens": [token(" I", 0, 500), {"text": " do", "id": 291, "p": 0.9, "t_dtw": -1}]}),
        [("I", 0, 500), ("do", 500, 2000)],
    ),
    # ggml-org/whisper.cpp#3760 and #1798
    (
        "characters that are cut between tokens",
        ".json",
        json.dumps(
            {"systeminfo": "x", "transcription": [token(" \u4f60\u597d \u518d\u89c1", 0, 1000) | {"tokens": [token("CUT", 0, 500)]}]}
        )
        .encode()
        .replace(b"\\u4f60\\u597d \\u518d\\u89c1", "\u4f60\u597d \u518d\u89c1".encode())
        .replace(b"CUT", b"\xe5\xa5"),
        [("\u4f60\u597d", 0, 500), ("\u518d\u89c1", 500, 1000)],
    ),
    # ggml-org/whisper.cpp#866
    (
        "a phrase for each token",
        ".json",
        cpp(
            token(" [", 0, 500),
            token("Music", 500, 900),
            token("]", 900, 1000),
            token(" Traff", 1000, 1500),
            token("ic", 1500, 1700),
            token(".", 1700, 1600),
        ),
        [("Traff", 1000, 1500), ("ic.", 1500, 1700)],
    ),
    # deepgram/deepgram-js-sdk#141
    (
        "an indented file that begins at one hour",
        ".vtt",
        "WEBVTT\n  \n  NOTE\n  Transcription provided by Deepgram\n  Channels: 1\n  \n  01:00:03.199 --> 01:00:04.019\n  yes\n",
        [("yes", 3199, 4019)],
    ),
    # deepgram/deepgram-js-sdk#11
    ("a dash before each cue", ".vtt", f"{HEAD}1\n00:00:05.700 --> 00:00:05.859\n- Yep.\n", [("Yep.", 5700, 5859)]),
    # vidstack/player#1691, videojs/v10#593
    (
        "a cue in two pieces of a stream",
        ".vtt",
        f"{PIECE}1\n00:11.000 --> 00:13.000\nyes\n\n{PIECE}1\n00:11.000 --> 00:13.000\nyes\n\n2\n00:13.001 --> 00:16.000\nno\n",
        [("yes", 11_000, 13_000), ("no", 13_001, 16_000)],
    ),
    # video-dev/hls.js#6681
    (
        "a cue that is cut at the border of two pieces",
        ".vtt",
        f"{PIECE}00:02.000 --> 00:04.000\nyes\n\n{PIECE}00:04.000 --> 00:05.000\nyes\n",
        [("yes", 2000, 4000)],
    ),
    # mbunkus/mkvtoolnix#1749
    ("a dash in the arrow", ".srt", "1\n00:00:04,700 \u2014> 00:00:06,736\nyes\n", [("yes", 4700, 6736)]),
    # cdown/srt accepts these
    ("wide signs in the times", ".srt", "1\n00\uff1a00\uff1a04\uff0c700 --> 00\uff1a00\uff1a06\uff0c736\nyes\n", [("yes", 4700, 6736)]),
    # osk/node-webvtt#6
    (
        "minutes before hours",
        ".vtt",
        f"{HEAD}59:16.403 --> 1:04:13.283\nyes\n\n00:01.000 --> 00:02.000\nno\n",
        [("no", 1000, 2000), ("yes", 3_556_403, 3_853_283)],
    ),
    # mozilla/vtt.js#323
    ("seconds alone", ".vtt", f"{HEAD}22.000 --> 25.000\nyes\n", [("yes", 22_000, 25_000)]),
    # kaltura/nginx-vod-module#805
    ("a negative start", ".srt", " \n1\n-00:00:01,000 --> 00:00:01,000\nyes\n", [("yes", 0, 1000)]),
    # SubtitleEdit/subtitleedit#2191
    ("a fraction of one digit", ".srt", "1\n00:00:09,9 --> 00:00:11,65\nyes\n", [("yes", 9900, 11_650)]),
    # oop7/YTSage#102
    (
        "rolling captions that yt-dlp made SRT",
        ".srt",
        "5\n00:00:17,840 --> 00:00:19,670\n[Music]\nhi guys\n\n6\n00:00:19,670 --> 00:00:19,680\nhi guys\n\n"
        "7\n00:00:19,680 --> 00:00:21,830\nhi guys\nplay\n\n"
        "8\n00:00:21,830 --> 00:00:21,840\nplay\n \n9\n00:00:21,840 --> 00:00:22,230\nplay\nyes\n",
        [("hi", 17_840, 18_450), ("guys", 18_450, 19_670), ("play", 19_680, 21_830), ("yes", 21_840, 22_230)],
    ),
    # openai-whisper writes this beside its other formats
    ("a table", ".tsv", "start\tend\ttext\n100\t600\tyes\n700\t1200\tno\n", [("yes", 100, 600), ("no", 700, 1200)]),
]


@pytest.mark.parametrize(("suffix", "raw", "expected"), [report[1:] for report in REPORTS], ids=[report[0] for report in REPORTS])
def test_inputs_that_people_report(suffix: str, raw: str | bytes, expected: list[tuple[str, int, int]]) -> None:
    words = parse_transcript(raw if isinstance(raw, bytes) else raw.encode(), suffix).words
    assert [(word.text, word.start_ms, word.end_ms) for word in words] == expected


def test_cues_that_all_begin_and_end_at_0_have_no_times() -> None:
    # Const-me/Whisper#229
    with pytest.raises(TranscriptError, match="no times: all of them are 0"):
        parse_transcript(b"1\n00:00:00,000 --> 00:00:00,000\nso\n\n2\n00:00:00,000 --> 00:00:00,000\ngood\n", ".srt")
