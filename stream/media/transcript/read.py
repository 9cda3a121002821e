"""Reads transcripts that a user brings to words with times; docs/transcripts.md lists the formats and the rules."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from stream.domain.features import Word
from stream.media.errors import TranscriptError
from stream.media.file_problem import file_problem
from stream.media.transcript.cues import read_cues
from stream.media.transcript.encoding import decode_text
from stream.media.transcript.json_text import parse_json
from stream.media.transcript.marks import describe, without_marks
from stream.media.transcript.placing import in_place, with_lengths
from stream.media.transcript.recognisers.shapes import read_document
from stream.media.transcript.rolling import without_repeats
from stream.media.transcript.segment import Segment
from stream.media.transcript.speakers import name_speakers
from stream.media.transcript.subtitles import is_lyrics, is_substation, is_table, read_lyrics, read_substation, read_table, refuse_others
from stream.media.transcript.words import timed_words, with_bounds

TRANSCRIPT_SUFFIXES = (".vtt", ".srt", ".json", ".jsonl", ".json3", ".sbv", ".ass", ".ssa", ".lrc", ".tsv")
JSON_SUFFIXES = (".json", ".jsonl", ".json3")

MAX_FILE_BYTES = 50_000_000
"""Several weeks of speech with a time for each word; a larger file was given by mistake, and reading it would fill the memory."""

MAX_WORDS = 2_000_000
"""More than anybody says in a week, the longest session."""

_JSON_BEGINS = re.compile(r'\s*(?:\{\s*["}]|\[\s*[\[{\]"])')


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a transcript says.

    Attributes:
        words: At least one word, in order of their ends.
        notices: Sentences for the user who gave the file: what was left out, moved or guessed. None of them quotes the file.
        channels: Number of the audio channel, from 0, of each speaker of `words` that stands for a channel.
    """

    words: tuple[Word, ...] = field(repr=False)
    notices: tuple[str, ...] = field(default=(), repr=False)
    channels: Mapping[str, int] = field(default_factory=dict)

    @property
    def speakers(self) -> tuple[str, ...]:
        """Names of the speakers, in the order in which they begin to speak."""
        return tuple(dict.fromkeys(word.speaker for word in self.words if word.speaker is not None))


@dataclass(frozen=True, slots=True)
class _Parsed:
    segments: Sequence[Segment]
    notices: Sequence[str] = ()
    clocks: bool = True


def read_transcript(path: Path, duration_ms: int | None = None, speakers: Collection[str] = ()) -> Transcript:
    """Read a transcript file. The arguments are those of `parse_transcript`. Raises `TranscriptError`, which never quotes the file."""
    problem = file_problem(path)
    if problem is not None:
        raise TranscriptError(f"{path}: {problem}")
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise TranscriptError(f"{path}: the transcript is larger than {MAX_FILE_BYTES // 1_000_000} MB")
        raw = path.read_bytes()
    except OSError as error:
        raise TranscriptError(f"{path}: {error.strerror or 'cannot be read'}") from None
    try:
        return parse_transcript(raw, path.suffix, duration_ms, speakers)
    except TranscriptError as error:
        raise TranscriptError(f"{path}: {error}") from None


def parse_transcript(raw: bytes, suffix: str, duration_ms: int | None = None, speakers: Collection[str] = ()) -> Transcript:
    """Read a transcript.

    Args:
        raw: The file's bytes.
        suffix: One of `TRANSCRIPT_SUFFIXES`. The format follows from the content; the suffix decides where that leaves a choice.
        duration_ms: Length of the recording, by which wrong units and clocks are noticed; None if there is none, or it is unknown.
        speakers: Names that are speakers for certain, in any case, such as the tracks of the session.

    Raises:
        TranscriptError: The transcript has a mistake, and the message names its line or entry; or it has no words at all.
    """
    if suffix.lower() not in TRANSCRIPT_SUFFIXES:
        raise TranscriptError(f"a transcript is a .vtt, .srt or .json file ({', '.join(TRANSCRIPT_SUFFIXES[3:])} are read, too)")
    is_json = suffix.lower() in JSON_SUFFIXES or bool(re.match(rb'\s*(?:\{\s*"|\[\s*\{)', raw[:1000]))
    text, notices = decode_text(raw, unicode_only=is_json)
    parsed = _parse(text, suffix.lower())
    named = name_speakers(parsed.segments, speakers)
    spoken, marks = without_marks(named)
    if not any(segment.text.strip() for segment in spoken):
        found = f", only {marks.total()} {'mark' if marks.total() == 1 else 'marks'} such as sounds" if marks else ""
        raise TranscriptError(f"the transcript holds no words{found}: nobody speaks in it")
    spoken = [segment for segment in spoken if segment.text.strip()]
    if not any(True for segment in spoken for _ in segment.times_ms()):
        raise TranscriptError("the transcript's words have no times")
    placed, moves = in_place(spoken, duration_ms, clocks=parsed.clocks)
    whole, estimates = with_lengths(placed)
    channelled, channels = _with_channels(whole)
    words = _ordered(channelled)
    left_out = describe(marks)
    return Transcript(words, (*notices, *parsed.notices, *moves, *estimates, *([left_out] if left_out else [])), channels)


def _parse(text: str, suffix: str) -> _Parsed:
    if (suffix in JSON_SUFFIXES and not _is_cues(text)) or _JSON_BEGINS.match(text):
        return _Parsed(read_document(parse_json(text)), clocks=False)
    refuse_others(text)
    if is_substation(text):
        return _Parsed(without_repeats(read_substation(text), refreshes=False))
    if is_table(text):
        return _Parsed(read_table(text), clocks=False)
    if is_lyrics(text):
        return _Parsed(read_lyrics(text))
    cues = read_cues(text, vtt=suffix == ".vtt")
    return _Parsed(without_repeats(cues.segments, refreshes=cues.refreshes), cues.notices)


def _is_cues(text: str) -> bool:
    return text.lstrip("\ufeff \t\r\n").startswith("WEBVTT") or bool(re.match(r"\s*\d+\s*[\r\n]+\s*\d+:\d+:\d+", text))


def _with_channels(segments: Sequence[Segment]) -> tuple[list[Segment], dict[str, int]]:
    """If the transcript has several channels, each stands for a speaker, whatever a recogniser calls the voices in it."""
    numbers = {segment.channel for segment in segments}
    if numbers == {None}:
        return list(segments), {}
    names = {number: f"ch_{number}" for number in sorted(number for number in numbers if number is not None)}
    channelled = [replace(s, speaker=names[s.channel], voices=()) if s.channel is not None else s for s in segments]
    return channelled, {name: number for number, name in names.items()}


def _ordered(segments: Sequence[Segment]) -> tuple[Word, ...]:
    words = []
    for word in timed_words(with_bounds(segments)):
        words.append(word)
        if len(words) > MAX_WORDS:
            raise TranscriptError(f"the transcript has more than {MAX_WORDS:,} words")
    if not words:
        raise TranscriptError("the transcript holds no words: nobody speaks in it")
    return tuple(sorted(words, key=lambda word: (word.end_ms, word.start_ms)))
