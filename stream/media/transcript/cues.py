"""WebVTT, SRT and SBV, read as leniently as players read them."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NoReturn

from stream.domain.media_format import MAX_SESSION_MS
from stream.media.errors import TranscriptError
from stream.media.transcript.payload import parse_payload
from stream.media.transcript.segment import Segment
from stream.media.transcript.times import CLOCK, clock_ms

# Our own reader, not pysubs2, webvtt-py or srt: each of them drops or misplaces cues without a word (times without hours or fraction,
# blank lines within a cue, rolling captions), none gives both speakers and inline times, and srt logs what it skips.

_TIME = r"[-+\u2212]?(?:\d{1,9}\s*:\s*)?\d{1,4}\s*:\s*\d{1,3}(?:\s*[.,:;]\s*\d{1,9})?|\d{1,9}(?:[.,]\d{1,9})?"
_ARROW = r"(?:-{1,3}\s?>|[\u2013—=]>|→|-{1,2}&gt;)"
_TIMING = re.compile(rf"\s*(?:Transcript:\s*)?[\[(]?\s*({_TIME})\s*{_ARROW}\s*({_TIME})(?![\d:])\s*[\])]?(.*)", re.ASCII)
"""START --> END, also in brackets and followed by the text, as Whisper prints it in a terminal."""

_BROKEN_TIMING = re.compile(r"\s*[\[(]?[-+]?\d.*-->", re.ASCII)
"""Begins like a time and has an arrow. An arrow between other words is text."""

_SBV_TIMING = re.compile(r"(\d{1,3}:\d{1,2}:\d{1,2}\.\d{1,3}),(\d{1,3}:\d{1,2}:\d{1,2}\.\d{1,3})\s*()", re.ASCII)
_SETTING = re.compile(r"[A-Za-z][A-Za-z0-9-]*:\S+")
_NUMBER = re.compile(r"\s*#?\d{1,9}[.:]?\s*", re.ASCII)
_HEADER = re.compile(r"\ufeff?WEBVTT(?:\s.*)?")
_COMMENT = re.compile(r"\s*(?:NOTE(?:\s.*)?|STYLE\s*|REGION\s*)")
_TIMESTAMP_MAP = re.compile(r"X-TIMESTAMP-MAP\s*=\s*(.*)", re.IGNORECASE)
MAX_LINES = 4_000_000
"""More than the cues of a week need, and little enough to be held in memory."""

_PTS_HZ = 90_000
_PTS_WRAP = 1 << 33


@dataclass(slots=True)
class Cues:
    """What a subtitle file holds.

    Attributes:
        segments: The cues in the order of the file.
        notices: Sentences for the user about what was left out or moved.
        refreshes: The file is made of pieces of a live stream, which repeat a cue that crosses their border.
    """

    segments: list[Segment]
    notices: tuple[str, ...] = ()
    refreshes: bool = False


@dataclass(slots=True)
class _Cue:
    """A cue's lines; `start_ms` is None if its times cannot be read."""

    line: int
    start_ms: float | None = None
    end_ms: float = 0.0
    rest: str = ""
    lines: list[tuple[int, str]] = field(default_factory=list)


def read_cues(text: str, *, vtt: bool) -> Cues:
    """Read the cues of a file.

    Args:
        text: The file.
        vtt: The file's name says that it is WebVTT. A file that begins with WEBVTT is that, too.

    Raises:
        TranscriptError: There is no cue, or no cue's times can be read; the message names the line.
    """
    if text.count("\n") + text.count("\r") - text.count("\r\n") > MAX_LINES:
        raise TranscriptError(f"the transcript has more than {MAX_LINES:,} lines")
    scanner = _Scanner(vtt=vtt or bool(_HEADER.match(text)))
    for number, line in enumerate(re.split(r"\r*\n|\r", text), start=1):
        scanner.add(number, line)
    return scanner.finish()


class _Scanner:
    """Goes through the lines of a file once."""

    def __init__(self, *, vtt: bool) -> None:
        self._vtt = vtt
        self._cues: list[_Cue] = []
        self._numbered = 0
        self._loose: list[int] = []
        self._payload: list[tuple[int, str]] | None = None
        self._skipping = False
        self._previous = self._previous_text = ""
        self._first_text: int | None = None
        self._first_pts: int | None = None
        self._shift_ms = 0.0
        self._mapped = self._moved = False
        self._headers = 0

    def add(self, number: int, line: str) -> None:
        after_blank = not self._previous.strip()
        timing = _timing(line)
        if timing is not None:
            start_ms, end_ms, rest = timing
            self._begin_cue(_Cue(number, start_ms + self._shift_ms, end_ms + self._shift_ms, rest))
        elif not line.strip():
            self._skipping = False
            self._append(number, line)
        elif after_blank and _HEADER.fullmatch(line):
            self._headers += 1
            self._skipping = True
        elif self._skipping or (not self._cues and _TIMESTAMP_MAP.match(line)):
            self._map_times(line)
        elif _BROKEN_TIMING.match(line):
            self._begin_cue(_Cue(number))
        elif self._vtt and after_blank and _COMMENT.fullmatch(line):
            self._skipping = True
        else:
            self._append(number, line)
        self._previous = line
        self._previous_text = line if line.strip() else self._previous_text

    def finish(self) -> Cues:
        timed = [cue for cue in self._cues if cue.start_ms is not None]
        if not timed:
            self._refuse()
        self._drop_identifiers()
        latest_ms = max(max(cue.start_ms or 0, cue.end_ms) for cue in timed)
        if len(timed) > 1 and all(cue.start_ms == 0 and cue.end_ms == 0 for cue in timed):
            raise TranscriptError("the transcript's cues have no times: all of them are 0")
        segments, before = [], 0
        for cue in timed:
            payload = "\n".join(line for _, line in cue.lines if line.strip()) or cue.rest
            start_ms, end_ms = cue.start_ms or 0, cue.end_ms
            if start_ms < 0 and end_ms <= 0 < latest_ms:
                before += bool(payload.strip())
                continue
            start_ms = max(start_ms, 0) if latest_ms > 0 else start_ms
            if end_ms > MAX_SESSION_MS:
                raise TranscriptError("the cue ends beyond a week, the longest session", cue.line)
            segments.append(parse_payload(payload, start_ms, end_ms))
        return Cues(segments, tuple(self._notices(before)), refreshes=self._headers > 1 or self._mapped)

    def _begin_cue(self, cue: _Cue) -> None:
        self._numbered += bool(_NUMBER.fullmatch(self._previous_text))
        if self._loose and (self._loose[-1] == cue.line - 1 or _NUMBER.fullmatch(self._previous_text)):
            self._loose.pop()  # the first cue's number or name
        self._cues.append(cue)
        self._payload = cue.lines
        self._skipping = False

    def _append(self, number: int, line: str) -> None:
        if line.strip() and self._first_text is None:
            self._first_text = number
        if self._payload is not None:
            self._payload.append((number, line))
        elif line.strip() and not re.match(r"(?:Kind|Language)\s*:", line):
            self._loose.append(number)

    def _drop_identifiers(self) -> None:
        for cue, following in pairwise(self._cues):
            if (place := self._identifier(cue, following.line)) is None:
                continue
            name = cue.lines[place][1].strip()
            del cue.lines[place:]
            # Some tools write the number twice, with a blank line between.
            texts = [line.strip() for _, line in cue.lines]
            while texts and texts[-1] in ("", name) and "" in texts[-2:]:
                texts.pop()
            del cue.lines[len(texts) :]

    def _identifier(self, cue: _Cue, following: int) -> int | None:
        """Index of the line of a cue that is the number or name of the next one; None if there is none."""
        place = next((i for i in range(len(cue.lines) - 1, -1, -1) if cue.lines[i][1].strip()), None)
        if place is None:
            return None
        number, last = cue.lines[place]
        adjacent = number == following - 1
        after_blank = place > 0 and not cue.lines[place - 1][1].strip()
        if _NUMBER.fullmatch(last):
            return place if (adjacent and after_blank) or 2 * self._numbered > len(self._cues) else None
        # A name is one word here, although the standard allows more: the rest of a cue with a blank line in it is lost otherwise.
        return place if self._vtt and adjacent and after_blank and len(last.split()) == 1 else None

    def _map_times(self, line: str) -> None:
        """Follow ``X-TIMESTAMP-MAP``, by which each piece of an HLS stream says where its clock stands in that of the stream.

        Where the stream began is not in the file, so the first piece counts as the beginning.
        """
        if not (found := _TIMESTAMP_MAP.match(line)):
            return
        local, pts = re.search(r"LOCAL:([\d:.]{1,40})", found[1]), re.search(r"MPEGTS:(\d{1,12})", found[1])
        clock = CLOCK.fullmatch(local[1]) if local else None
        stream_pts = int(pts[1]) if pts else 0
        if self._first_pts is None:
            self._first_pts = stream_pts
        since_first_ms = ((stream_pts - self._first_pts) % _PTS_WRAP) * 1000 / _PTS_HZ
        self._shift_ms = since_first_ms - (clock_ms(clock) if clock else 0)
        self._mapped = True
        self._moved |= self._shift_ms != 0

    def _notices(self, before: int) -> list[str]:
        notices = []
        total = len(self._cues)
        broken = [cue.line for cue in self._cues if cue.start_ms is None]
        if self._moved:
            notices.append("the transcript's times follow its X-TIMESTAMP-MAP")
        if broken:
            notices.append(f"{len(broken)} of {total} cues are left out: their times cannot be read (the first is in line {broken[0]})")
        if before:
            notices.append(f"{before} of {total} cues are left out: they end before the recording begins")
        if self._loose:
            notices.append(f"lines before the first cue are left out: {len(self._loose)} (the first is line {self._loose[0]})")
        return notices

    def _refuse(self) -> NoReturn:
        if self._cues:
            raise TranscriptError("the cue's times are not HH:MM:SS.mmm --> HH:MM:SS.mmm", self._cues[0].line)
        if self._first_text is None:
            raise TranscriptError("the transcript holds no words: nobody speaks in it")
        raise TranscriptError(
            "no cue is found: each of them needs a line START --> END; a .vtt file begins with WEBVTT, a .srt file with the number 1",
            self._first_text,
        )


def _timing(line: str) -> tuple[float, float, str] | None:
    """Start, end and the text behind them, if the line is the timing line of a cue."""
    if len(line) > 10_000:
        return None
    plain = line if line.isascii() or "-->" not in line else unicodedata.normalize("NFKC", line)
    found = _TIMING.fullmatch(plain) or _SBV_TIMING.fullmatch(plain)
    if found is None:
        return None
    start, end, rest = found.groups()
    return _time_ms(start), _time_ms(end), _SETTING.sub("", rest).strip()


def _time_ms(time: str) -> float:
    clock = CLOCK.fullmatch(time)
    return clock_ms(clock) if clock else float(time.replace(",", ".")) * 1000
