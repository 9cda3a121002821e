"""Transcripts a user brings: ``.vtt``, ``.srt`` and ``.json`` → words with times.

Cues without word times are spread over their words in proportion to their characters. WebVTT's ``<v NAME>`` names the speaker and
its inline timestamps (``<00:00:01.250>``) are kept. JSON is a list of entries, or an object with ``words`` (and, where there are none,
``segments``); an entry has ``text`` (or ``w``), ``start_ms`` and ``end_ms`` (or ``s`` and ``e`` in seconds), and optionally
``confidence`` (or ``p``) and ``speaker``. An entry of several words is spread like a cue.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from stream.domain.features import Word
from stream.domain.media_format import MAX_SESSION_MS
from stream.domain.wire import MAX_WORD_CHARACTERS
from stream.media.errors import TranscriptError

TRANSCRIPT_SUFFIXES = (".vtt", ".srt", ".json")
MAX_FILE_BYTES = 50_000_000
MAX_SPEAKER_CHARACTERS = 64

_CLOCK = r"(?:(\d{1,4}):)?([0-5]\d):([0-5]\d)[.,](\d{3})"
_TIMING = re.compile(rf"\s*{_CLOCK}\s*-->\s*{_CLOCK}(?:\s.*)?", re.ASCII)
_TAG = re.compile(r"<([^<>]*)>")
_VOICE = re.compile(r"v(?:\.[^\s>]+)*\s+(.+)", re.DOTALL)
_INLINE_CLOCK = re.compile(_CLOCK, re.ASCII)
_ASS_OVERRIDE = re.compile(r"\{\\[^}]*\}")


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
    """Words of a transcript.

    Args:
        raw: The file's bytes, UTF-8.
        suffix: One of `TRANSCRIPT_SUFFIXES`.

    Raises:
        TranscriptError: With the line or entry that is wrong; also when there is no word at all.
    """
    if suffix.lower() not in TRANSCRIPT_SUFFIXES:
        raise TranscriptError("a transcript is a .vtt, .srt or .json file")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TranscriptError("the transcript is not UTF-8 text", raw.count(b"\n", 0, error.start) + 1) from None
    found = _json_words(text) if suffix.lower() == ".json" else _cue_words(text, vtt=suffix.lower() == ".vtt")
    words = tuple(sorted(found, key=lambda word: (word.end_ms, word.start_ms)))
    if not words:
        raise TranscriptError("the transcript holds no words")
    return words


def spread(text: str, start_ms: int, end_ms: int, confidence: float = 1.0, speaker: str | None = None) -> Iterator[Word]:
    """Give each word of a text its share of [start_ms, end_ms], in proportion to its characters."""
    parts = ["".join(c for c in part if c.isprintable())[:MAX_WORD_CHARACTERS] for part in text.split()]
    parts = [part for part in parts if part]
    total = sum(map(len, parts))
    before = 0
    for part in parts:
        begin = start_ms + (end_ms - start_ms) * before // total
        before += len(part)
        yield Word(part, begin, start_ms + (end_ms - start_ms) * before // total, confidence, speaker)


def _cue_words(text: str, *, vtt: bool) -> Iterator[Word]:
    lines = text.splitlines()
    if vtt and not (lines and re.fullmatch(r"WEBVTT(\s.*)?", lines[0])):
        raise TranscriptError("a .vtt file begins with WEBVTT", 1)
    for number, block in _blocks(lines, skip_first=vtt):
        if vtt and re.match(r"(NOTE|STYLE|REGION)(\s|$)", block[0]):
            continue
        at = next((i for i, line in enumerate(block[:2]) if "-->" in line), None)
        if at is None:
            raise TranscriptError("a cue needs a line START --> END", number)
        timing = _TIMING.fullmatch(block[at])
        if timing is None:
            raise TranscriptError("the cue's times are not HH:MM:SS.mmm --> HH:MM:SS.mmm", number + at)
        start_ms, end_ms = _clock(timing.groups()[:4]), _clock(timing.groups()[4:])
        _check_times(start_ms, end_ms, number + at)
        yield from _payload_words("\n".join(block[at + 1 :]), start_ms, end_ms)


def _blocks(lines: list[str], *, skip_first: bool) -> Iterator[tuple[int, list[str]]]:
    """Runs of lines between blank ones, with the number of their first line; the header block of a .vtt is left out."""
    block: list[str] = []
    for number, line in enumerate([*lines, ""], start=1):
        if line.strip():
            block.append(line)
        elif block:
            if not (skip_first and number - len(block) == 1):
                yield number - len(block), block
            block = []


def _payload_words(payload: str, start_ms: int, end_ms: int) -> Iterator[Word]:
    """Words of a cue: each stretch between inline timestamps is spread by itself."""
    speaker: str | None = None
    stretch_ms = start_ms
    pending: list[tuple[str, str | None]] = []
    for index, part in enumerate(_TAG.split(_ASS_OVERRIDE.sub("", payload))):
        if index % 2 == 0:
            pending.append((html.unescape(part), speaker))
        elif voice := _VOICE.fullmatch(part):
            speaker = html.unescape(" ".join(voice.group(1).split()))[:MAX_SPEAKER_CHARACTERS]
        elif part == "/v":
            speaker = None
        elif clock := _INLINE_CLOCK.fullmatch(part):
            until = min(max(_clock(clock.groups()), stretch_ms), end_ms)
            yield from _spread_voices(pending, stretch_ms, until)
            stretch_ms, pending = until, []
    yield from _spread_voices(pending, stretch_ms, end_ms)


def _spread_voices(parts: list[tuple[str, str | None]], start_ms: int, end_ms: int) -> Iterator[Word]:
    # A tag may sit inside a word (<b>W</b>ord): parts of one voice are joined before they are split into words.
    turns: list[tuple[str, str | None]] = []
    for text, speaker in parts:
        if turns and turns[-1][1] == speaker:
            turns[-1] = (turns[-1][0] + text, speaker)
        elif text.strip():
            turns.append((text, speaker))
    total = sum(len("".join(text.split())) for text, _ in turns)
    before = 0
    for text, speaker in turns:
        begin = start_ms + (end_ms - start_ms) * before // total
        before += len("".join(text.split()))
        yield from spread(text, begin, start_ms + (end_ms - start_ms) * before // total, speaker=speaker)


def _clock(groups: tuple[str | None, ...]) -> int:
    hours, minutes, seconds, milliseconds = (int(group or 0) for group in groups)
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds


def _check_times(start_ms: float, end_ms: float, line: int | None, entry: str = "the cue") -> None:
    if not 0 <= start_ms <= end_ms:
        raise TranscriptError(f"{entry} ends before it starts", line)
    if end_ms > MAX_SESSION_MS:
        raise TranscriptError(f"{entry} lies beyond a week", line)


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
    try:
        document = _JSON.decode(text)
    except msgspec.ValidationError as error:
        place = re.search(r"`(\$[^`]*)`", str(error))
        raise TranscriptError(f"a value has the wrong type{f' at {place.group(1)}' if place else ''}") from None
    except msgspec.DecodeError as error:
        at = re.search(r"\(byte (\d+)\)", str(error))
        raise TranscriptError("the file is not valid JSON", text.encode()[: int(at.group(1))].count(b"\n") + 1 if at else None) from None
    except RecursionError:
        raise TranscriptError("the file is nested too deeply") from None
    entries = document if isinstance(document, list) else document.words or document.segments
    for number, entry in enumerate(entries, start=1):
        yield from _entry_words(entry, f"entry {number}")


def _entry_words(entry: _Entry, name: str) -> Iterator[Word]:
    text = entry.text if entry.text is not None else entry.w
    start = entry.start_ms if entry.start_ms is not None else None if entry.s is None else entry.s * 1000
    end = entry.end_ms if entry.end_ms is not None else None if entry.e is None else entry.e * 1000
    confidence = next((value for value in (entry.confidence, entry.p) if value is not None), 1.0)
    if text is None or start is None or end is None:
        raise TranscriptError(f"{name} needs text, start_ms and end_ms (or w, s and e)")
    _check_times(start, end, None, name)
    if not 0.0 <= confidence <= 1.0:
        raise TranscriptError(f"{name} has a confidence outside of 0 to 1")
    speaker = entry.speaker[:MAX_SPEAKER_CHARACTERS] if entry.speaker else None
    yield from spread(text, round(start), round(end), confidence, speaker)
