"""Formats beside cues with arrows: ASS/SSA, LRC and Whisper's tables are read, the others are refused by name."""

from __future__ import annotations

import re
from dataclasses import replace

from stream.media.errors import TranscriptError
from stream.media.transcript.payload import parse_payload, speaker_name
from stream.media.transcript.segment import Segment
from stream.media.transcript.times import CLOCK, clock_ms, milliseconds
from stream.media.transcript.words import MS_PER_CHARACTER

_SCRIPT_INFO = re.compile(r"\s*(?:;.*\s+)*\[Script Info\]|(?m:^)Dialogue:\s*(?:Marked=)?\d+,\d+:\d\d:\d\d[.:]\d\d", re.IGNORECASE)
_DIALOGUE_FIELDS = ("layer", "start", "end", "style", "name", "marginl", "marginr", "marginv", "effect", "text")
_DRAWING = re.compile(r"\{[^{}]*\\p[1-9][^{}]*\}")
_LYRIC = re.compile(r"((?:\[\d{1,3}:\d{1,2}(?:[.:]\d{1,3})?\][ \t]*)+)(.*)", re.ASCII)
_LYRIC_TIME = re.compile(r"\[(\d{1,3}:\d{1,2}(?:[.:]\d{1,3})?)\]", re.ASCII)
_LYRIC_TAG = re.compile(r"\[[a-z#]{1,20}:.*\]", re.IGNORECASE)
"""``[ti:Title]`` and the like."""
_LYRIC_END = re.compile(r"<(\d{1,3}:\d{1,2}(?:[.:]\d{1,3})?)>\s*$", re.ASCII)
"""A time behind the last word is its end."""
_LYRIC_OFFSET = re.compile(r"\[offset:\s*([+-]?\d{1,7})\s*\]", re.IGNORECASE | re.ASCII)
"""Milliseconds by which all lines are shown earlier."""
MAX_LYRIC_MS = 10_000

_OTHERS = (
    (re.compile(r"(?:<\?xml[^>]{0,200}\?>\s*)?(?:<!--.{0,2000}?-->\s*)?<(?:\w+:)?tt[\s>]", re.DOTALL), "TTML"),
    (re.compile(r"<SAMI", re.IGNORECASE), "SAMI"),
    (re.compile(r"<(?:\?xml|transcript|timedtext)", re.IGNORECASE), "XML"),
    (re.compile(r"<(?:!DOCTYPE|html)", re.IGNORECASE), "HTML"),
    (re.compile(r"\{\d{1,9}\}\{\d{0,9}\}"), "MicroDVD"),
    (re.compile(r"PK\x03\x04"), "Word or ZIP"),
    (re.compile(r"%PDF-"), "PDF"),
    (re.compile(r"\{\\rtf"), "RTF"),
)


def refuse_others(text: str) -> None:
    """Raise `TranscriptError` if the text is of a known format that is not read."""
    beginning = text[:5000].lstrip("\ufeff \t\r\n")
    for pattern, name in _OTHERS:
        if pattern.match(beginning):
            raise TranscriptError(f"this is a {name} file, which is not read: export the transcript as WebVTT, SRT or JSON")


def is_substation(text: str) -> bool:
    """Whether the text is ASS or SSA."""
    return bool(_SCRIPT_INFO.match(text))


def read_substation(text: str) -> list[Segment]:
    """Cues of an ASS or SSA file; the field "Name" is the speaker. Comments and drawings are not cues."""
    fields: tuple[str, ...] = _DIALOGUE_FIELDS
    segments = []
    for number, line in enumerate(text.splitlines(), start=1):
        kind, _, content = line.partition(":")
        if kind.strip().lower() == "format" and "text" in content.lower():
            fields = tuple(name.strip().lower() for name in content.split(","))
        elif kind.strip().lower() == "dialogue":
            values = dict(zip(fields, content.split(",", len(fields) - 1), strict=False))
            start, end = (CLOCK.fullmatch(values.get(name, "").strip()) for name in ("start", "end"))
            if start is None or end is None:
                raise TranscriptError("the times of this dialogue line are not H:MM:SS.cc", number)
            payload = values.get("text", "")
            if not _DRAWING.search(payload):
                cue = parse_payload(payload, clock_ms(start), clock_ms(end))
                segments.append(replace(cue, speaker=speaker_name(values.get("name", "") or values.get("actor", ""))))
    return segments


def is_table(text: str) -> bool:
    """Whether the text is a table as openai-whisper writes it, with columns for start, end and text."""
    return bool(re.match(r"\ufeff?start\tend\ttext\s", text))


def read_table(text: str) -> list[Segment]:
    """Rows of a table; its times are milliseconds."""
    rows = (line.split("\t", 2) for line in text.splitlines()[1:] if line.strip())
    return [parse_payload(row[2], milliseconds(row[0]), milliseconds(row[1])) for row in rows if len(row) == 3]


def is_lyrics(text: str) -> bool:
    """Whether most lines of a text, apart from tags, begin with a time in brackets."""
    lines = [line for line in text[:20_000].splitlines() if line.strip() and not _LYRIC_TAG.fullmatch(line.strip())]
    return bool(lines) and "-->" not in text[:20_000] and 2 * sum(bool(_LYRIC.fullmatch(line.strip())) for line in lines) > len(lines)


def read_lyrics(text: str) -> list[Segment]:
    """Lines of an LRC file. A line lasts until the next one, but no longer than `MAX_LYRIC_MS`."""
    shift = _LYRIC_OFFSET.search(text)
    shift_ms = -int(shift[1]) if shift else 0
    timed: list[tuple[int, str]] = []
    for line in text.splitlines():
        if found := _LYRIC.fullmatch(line.strip()):
            clocks = (CLOCK.fullmatch(time) for time in _LYRIC_TIME.findall(found[1]))
            timed += [(clock_ms(clock), found[2]) for clock in clocks if clock]
    timed.sort(key=lambda entry: entry[0])
    segments = []
    for (start_ms, line), following in zip(timed, [*timed[1:], None], strict=True):
        longest_ms = max(MAX_LYRIC_MS, MS_PER_CHARACTER * len(line))
        end_ms = start_ms + (longest_ms if following else MS_PER_CHARACTER * len(line))
        if (end := _LYRIC_END.search(line)) and (clock := CLOCK.fullmatch(end[1])):
            end_ms = max(start_ms, clock_ms(clock))
        segment = parse_payload(line, start_ms, min(end_ms, following[0]) if following else end_ms)
        segments.append(segment.rescaled(1.0, shift_ms) if shift_ms else segment)
    return segments
