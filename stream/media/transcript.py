"""Reads transcripts that a user brings: ``.vtt``, ``.srt`` and ``.json`` to words with times.

A cue without word times is spread over its words in proportion to their characters. In WebVTT, ``<v NAME>`` names the speaker, and inline
timestamps (``<00:00:01.250>``) are respected. JSON is a list of entries, or an object with ``words`` (or, where those are missing,
``segments``). An entry has ``text`` (or ``w``), ``start_ms`` and ``end_ms`` (or ``s`` and ``e`` in seconds), and optionally
``confidence`` (or ``p``) and ``speaker``. An entry of several words is spread like a cue.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from stream.domain.features import Word
from stream.domain.kafka_records import MAX_WORD_CHARACTERS
from stream.domain.media_format import MAX_SESSION_MS
from stream.media.errors import TranscriptError

TRANSCRIPT_SUFFIXES = (".vtt", ".srt", ".json")

MAX_FILE_BYTES = 50_000_000
"""Several weeks of speech with a time for each word; a larger file was given by mistake, and reading it would fill the memory."""

MAX_SPEAKER_CHARACTERS = 64

_TIMESTAMP = r"(?:(\d{1,4}):)?([0-5]\d):([0-5]\d)[.,](\d{3})"
_INLINE_TIMESTAMP = re.compile(_TIMESTAMP, re.ASCII)
_TIMING = re.compile(rf"\s*{_TIMESTAMP}\s*-->\s*{_TIMESTAMP}(?:\s.*)?", re.ASCII)
_TAG = re.compile(r"<([^<>]*)>")
_VOICE = re.compile(r"v(?:\.[^\s>]+)*\s+(.+)", re.DOTALL)
_ASS_OVERRIDE = re.compile(r"\{\\[^}]*\}")
"""Formatting such as ``{\\an8}``, which .srt files inherit from the ASS subtitle format."""


def read_transcript(path: Path) -> tuple[Word, ...]:
    """Words of a transcript file, in order of their ends. Raises `TranscriptError`, which never quotes the file."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise TranscriptError(f"{path}: the transcript is larger than {MAX_FILE_BYTES // 1_000_000} MB")
        raw = path.read_bytes()
    except OSError as error:
        raise TranscriptError(f"{path}: {error.strerror or 'cannot be read'}") from None
    try:
        return parse_transcript(raw, path.suffix)
    except TranscriptError as error:
        raise TranscriptError(f"{path}: {error}") from None


def parse_transcript(raw: bytes, suffix: str) -> tuple[Word, ...]:
    """Words of a transcript, in order of their ends.

    Args:
        raw: The file's bytes, UTF-8.
        suffix: One of `TRANSCRIPT_SUFFIXES`.

    Raises:
        TranscriptError: The transcript has a mistake, and the message names its line or entry; or it has no words at all.
    """
    if suffix.lower() not in TRANSCRIPT_SUFFIXES:
        raise TranscriptError("a transcript is a .vtt, .srt or .json file")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TranscriptError("the transcript is not UTF-8 text", raw.count(b"\n", 0, error.start) + 1) from None
    parsed = _json_words(text) if suffix.lower() == ".json" else _cue_words(text, vtt=suffix.lower() == ".vtt")
    words = tuple(sorted(parsed, key=lambda word: (word.end_ms, word.start_ms)))
    if not words:
        raise TranscriptError("the transcript holds no words")
    return words


def spread_words(text: str, start_ms: int, end_ms: int, confidence: float = 1.0, speaker: str | None = None) -> Iterator[Word]:
    """Give each word of a text its share of [start_ms, end_ms], in proportion to its characters.

    Characters that do not print are dropped: they would end up in terminals and logs.
    """
    words = ["".join(c for c in part if c.isprintable())[:MAX_WORD_CHARACTERS] for part in text.split()]
    words = [word for word in words if word]
    total = sum(map(len, words))
    before = 0
    for word in words:
        word_start_ms = start_ms + (end_ms - start_ms) * before // total
        before += len(word)
        yield Word(word, word_start_ms, start_ms + (end_ms - start_ms) * before // total, confidence, speaker)


def _cue_words(text: str, *, vtt: bool) -> Iterator[Word]:
    lines = text.splitlines()
    if vtt and not (lines and re.fullmatch(r"WEBVTT(\s.*)?", lines[0])):
        raise TranscriptError("a .vtt file begins with WEBVTT", 1)
    for number, block in _blocks(lines, skip_first=vtt):
        if vtt and re.match(r"(NOTE|STYLE|REGION)(\s|$)", block[0]):
            continue
        # The times stand in a cue's first line, or in its second after the cue's name or number.
        timing_index = next((i for i, line in enumerate(block[:2]) if "-->" in line), None)
        if timing_index is None:
            raise TranscriptError("a cue needs a line START --> END", number)
        timing = _TIMING.fullmatch(block[timing_index])
        if timing is None:
            raise TranscriptError("the cue's times are not HH:MM:SS.mmm --> HH:MM:SS.mmm", number + timing_index)
        start_ms, end_ms = _milliseconds(timing.groups()[:4]), _milliseconds(timing.groups()[4:])
        _check_times(start_ms, end_ms, number + timing_index)
        yield from _payload_words("\n".join(block[timing_index + 1 :]), start_ms, end_ms)


def _blocks(lines: list[str], *, skip_first: bool) -> Iterator[tuple[int, list[str]]]:
    """Runs of lines between blank lines, with the number of their first line. A .vtt file's header block is skipped."""
    block: list[str] = []
    for number, line in enumerate([*lines, ""], start=1):
        if line.strip():
            block.append(line)
        elif block:
            if not (skip_first and number - len(block) == 1):
                yield number - len(block), block
            block = []


def _payload_words(payload: str, start_ms: int, end_ms: int) -> Iterator[Word]:
    """Words of a cue. Each stretch between inline timestamps is spread by itself."""
    speaker: str | None = None
    stretch_ms = start_ms
    pending: list[tuple[str, str | None]] = []
    # Splitting at a pattern with a group puts texts at even indices and the content of tags at odd ones.
    for index, part in enumerate(_TAG.split(_ASS_OVERRIDE.sub("", payload))):
        if index % 2 == 0:
            pending.append((html.unescape(part), speaker))
        elif voice := _VOICE.fullmatch(part):
            speaker = html.unescape(" ".join(voice.group(1).split()))[:MAX_SPEAKER_CHARACTERS]
        elif part == "/v":
            speaker = None
        elif timestamp := _INLINE_TIMESTAMP.fullmatch(part):
            # Inline timestamps that run backwards or past the cue's end are pulled into the cue.
            until_ms = min(max(_milliseconds(timestamp.groups()), stretch_ms), end_ms)
            yield from _spread_turns(pending, stretch_ms, until_ms)
            stretch_ms, pending = until_ms, []
    yield from _spread_turns(pending, stretch_ms, end_ms)


def _spread_turns(parts: list[tuple[str, str | None]], start_ms: int, end_ms: int) -> Iterator[Word]:
    """Spread (text, speaker) parts over [start_ms, end_ms], in proportion to their characters."""
    # A tag may stand inside a word (<b>W</b>ord), so parts of one speaker are joined before they are split into words.
    turns: list[tuple[str, str | None]] = []
    for text, speaker in parts:
        if turns and turns[-1][1] == speaker:
            turns[-1] = (turns[-1][0] + text, speaker)
        elif text.strip():
            turns.append((text, speaker))
    total = sum(len("".join(text.split())) for text, _ in turns)
    before = 0
    for text, speaker in turns:
        turn_start_ms = start_ms + (end_ms - start_ms) * before // total
        before += len("".join(text.split()))
        yield from spread_words(text, turn_start_ms, start_ms + (end_ms - start_ms) * before // total, speaker=speaker)


def _milliseconds(groups: tuple[str | None, ...]) -> int:
    hours, minutes, seconds, milliseconds = (int(group or 0) for group in groups)
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds


def _check_times(start_ms: float, end_ms: float, line: int | None, entry: str = "the cue") -> None:
    if not 0 <= start_ms <= end_ms:
        raise TranscriptError(f"{entry} ends before it starts", line)
    if end_ms > MAX_SESSION_MS:
        raise TranscriptError(f"{entry} ends beyond a week, the longest session", line)


class _Entry(msgspec.Struct):
    text: str | None = None
    w: str | None = None
    start_ms: float | None = None
    end_ms: float | None = None
    s: float | None = None
    e: float | None = None
    confidence: float | None = None
    p: float | None = None
    speaker: str | None = None


class _Document(msgspec.Struct):
    words: list[_Entry] = []
    segments: list[_Entry] = []


_JSON: msgspec.json.Decoder[list[_Entry] | _Document] = msgspec.json.Decoder(list[_Entry] | _Document)


def _json_words(text: str) -> Iterator[Word]:
    # msgspec's messages may quote the file: only the path and the position are taken from them.
    try:
        document = _JSON.decode(text)
    except msgspec.ValidationError as error:
        json_path = re.search(r"`(\$[^`]*)`", str(error))
        raise TranscriptError(f"a value has the wrong type{f' at {json_path.group(1)}' if json_path else ''}") from None
    except msgspec.DecodeError as error:
        position = re.search(r"\(byte (\d+)\)", str(error))
        line = text.encode()[: int(position.group(1))].count(b"\n") + 1 if position else None
        raise TranscriptError("the file is not valid JSON", line) from None
    except RecursionError:
        raise TranscriptError("the file is nested too deeply") from None
    entries = document if isinstance(document, list) else document.words or document.segments
    for number, entry in enumerate(entries, start=1):
        yield from _entry_words(entry, f"entry {number}")


def _entry_words(entry: _Entry, name: str) -> Iterator[Word]:
    text = entry.text if entry.text is not None else entry.w
    start_ms = entry.start_ms if entry.start_ms is not None else None if entry.s is None else entry.s * 1000
    end_ms = entry.end_ms if entry.end_ms is not None else None if entry.e is None else entry.e * 1000
    confidence = next((value for value in (entry.confidence, entry.p) if value is not None), 1.0)
    if text is None or start_ms is None or end_ms is None:
        raise TranscriptError(f"{name} needs text, start_ms and end_ms (or w, s and e)")
    _check_times(start_ms, end_ms, None, name)
    if not 0.0 <= confidence <= 1.0:
        raise TranscriptError(f"the confidence of {name} is not between 0 and 1")
    speaker = entry.speaker[:MAX_SPEAKER_CHARACTERS] if entry.speaker else None
    yield from spread_words(text, round(start_ms), round(end_ms), confidence, speaker)
