"""Whatever a file holds, reading it gives words or one `TranscriptError`, and no message quotes the file."""

from __future__ import annotations

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream.domain.kafka_records import MAX_WORD_CHARACTERS
from stream.domain.media_format import MAX_SESSION_MS
from stream.media.errors import TranscriptError
from stream.media.transcript.read import TRANSCRIPT_SUFFIXES, parse_transcript

SECRET = "quetzalcoatl"

suffixes = st.sampled_from(TRANSCRIPT_SUFFIXES)
durations = st.sampled_from([None, 0, 1, 10_000, 3_600_000])

PIECES = [
    SECRET, "WEBVTT", "NOTE", "STYLE", "X-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000", "1", "00:00:01.000 --> 00:00:02.000",
    "-00:00:01,000 --> 00:00:00,500", "0:0:3,5-->99:00:00", "00:01 --> x", "00:00:02.000 --> 00:00:01.000 align:start",
    "[00:00.000 --> 00:01.000]",
    "0:00:01.000,0:00:02.000", "\n", "\r", "\r\n", " ", "\n\n", "<v Anna>", "</v>", "<00:00:01.500>", "<c>", "</c>", "<", ">",
    ">>", "- ", "Anna: ",
    "[Music]", "[", "]", "(", ")", "*", "\u266a", "{\\an8}", "{", "}", "&nbsp;", "&", "<br>", "\u200b", "\ufeff", "\x00",
    "\ud7ff", "\U0001f642",
    "[00:01.00]", "[Script Info]", "Dialogue: 0,0:00:01.00,0:00:02.00,x,Ben,0,0,0,,", "a", "\u4f60\u597d", "\uff1a", '{"', '[{"', "x" * 200,
]  # fmt: skip

texts = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=40).map("".join)

KEYS = [
    "segments", "words", "word_segments", "text", "word", "start", "end", "start_ms", "end_ms", "s", "e", "w", "p", "confidence", "speaker",
    "results", "items", "alternatives", "transcript", "transcripts", "channels", "utterances", "channel", "is_final",
    "Transcript", "Segments",
    "Results", "Participants", "Content", "BeginOffsetMillis", "EndOffsetMillis", "Items", "start_time", "end_time", "content",
    "type", "startTime",
    "endTime", "speakerTag", "channelTag", "timestamps", "recognizedPhrases", "nBest", "NBest", "Words", "Offset", "Duration",
    "RecognitionStatus",
    "phrases", "combinedPhrases", "offsetMilliseconds", "audio_duration", "result", "partial", "transcription", "offsets",
    "from", "to", "tokens",
    "chunks", "timestamp", "monologues", "elements", "value", "ts", "events", "segs", "utf8", "tStartMs", "turn_order",
    "message_type", "speakers",
    "output", "seconds", "nanos", "channel_labels", "speaker_labels", "channel_label", "channel_index", "duration", "logprob",
    "isFinal", "Id",
]  # fmt: skip

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(),
    st.integers(-(10**30), 10**30),
    st.integers(0, 100_000),
    st.floats(0, 100),
    st.sampled_from(
        [SECRET, f" {SECRET}", "0.5", "1.3s", "PT1.3S", "00:00:01,000", "word", "punctuation", "ch_0", "spk_1", "Success", "Turn", ""]
    ),
    st.text(max_size=5),
)
documents = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=3)), inner, max_size=5)
    ),
    max_leaves=30,
)
"""JSON of any shape, made of the keys that recognisers use."""

entries = st.dictionaries(st.sampled_from(KEYS), leaves, max_size=8)
shaped = st.one_of(
    st.lists(entries, max_size=4),
    st.dictionaries(st.sampled_from(KEYS), st.lists(entries, max_size=4), min_size=1, max_size=3),
    st.dictionaries(st.sampled_from(KEYS), st.dictionaries(st.sampled_from(KEYS), st.lists(entries, max_size=3), max_size=3), max_size=2),
)
"""JSON nearer to the shapes that are known."""


def read(raw: bytes, suffix: str, duration_ms: int | None) -> None:
    try:
        transcript = parse_transcript(raw, suffix, duration_ms, ("agent",))
    except TranscriptError as error:
        assert SECRET not in str(error).lower()
        assert len(str(error)) < 1000
        return
    assert transcript.words
    assert SECRET not in "".join(transcript.notices).lower()
    for word in transcript.words:
        assert 0 <= word.start_ms <= word.end_ms <= MAX_SESSION_MS + 60_000
        assert 0 <= word.confidence <= 1
        assert 0 < len(word.text) <= MAX_WORD_CHARACTERS
        assert word.text.isprintable()
        assert not any(c.isspace() for c in word.text)


@given(st.binary(max_size=300), suffixes, durations)
@settings(max_examples=100, deadline=None)
def test_any_bytes(raw: bytes, suffix: str, duration_ms: int | None) -> None:
    read(raw, suffix, duration_ms)


@given(texts, suffixes, durations)
@settings(max_examples=300, deadline=None)
@example("WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n<v " + SECRET, ".vtt", None)
def test_any_pieces_of_subtitles(text: str, suffix: str, duration_ms: int | None) -> None:
    read(text.encode("utf-8", errors="surrogatepass"), suffix, duration_ms)


@given(st.one_of(documents, shaped), st.lists(shaped, max_size=2), durations)
@settings(max_examples=400, deadline=None)
def test_any_json(document: object, more: list[object], duration_ms: int | None) -> None:
    read("\n".join(json.dumps(one) for one in [document, *more]).encode("utf-8", errors="surrogatepass"), ".json", duration_ms)
