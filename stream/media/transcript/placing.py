"""Puts a transcript's times where its recording is: units that were mistaken, and clocks that do not begin with the recording."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

from stream.domain.media_format import MAX_SESSION_MS
from stream.media.errors import TranscriptError
from stream.media.transcript.segment import Segment
from stream.media.transcript.words import MS_PER_CHARACTER

MAX_OVERHANG_MS = 5_000
"""Cue times are approximate and often end a little after the recording."""

HOUR_MS = 3_600_000

LATEST_END_MS = 1_000_000
"""Without a recording, only times that end later than this are doubted: Whisper may give a minute of silence to a word."""

MAX_SILENCE_MS = 60_000
"""Without a recording, a longer silence after a full hour looks like the time of day, not like the beginning of a time code."""

FASTEST_MS_PER_CHARACTER = 2.0
SLOWEST_MS_PER_CHARACTER = 3_000.0
"""People take about 70 ms for a character; a factor of 1000 cannot be missed."""


_UNITS = {
    1000: "seconds where milliseconds are expected",
    0.01: "hundredths of seconds where seconds are expected",
    0.001: "milliseconds where seconds are expected",
}


def in_place(segments: Sequence[Segment], duration_ms: int | None, *, clocks: bool) -> tuple[list[Segment], list[str]]:
    """Segments at their places in the recording, and what to tell the user.

    Args:
        segments: At least one of them has a time.
        duration_ms: Length of the recording; None if there is none, or it is unknown.
        clocks: The times are clocks such as 00:01:02.500, whose unit cannot be mistaken.

    Raises:
        TranscriptError: A time is beyond the longest session.
    """
    notices: list[str] = []
    placed = list(segments)
    factor = 1 if clocks else _unit_factor(placed, duration_ms)
    if factor != 1:
        placed = [segment.rescaled(factor) for segment in placed]
        units = _UNITS[factor]
        notices.append(f"the transcript's times are {units}: they are read as such")
    _check_end(placed)
    moved_ms = _offset_ms(placed, duration_ms)
    if moved_ms:
        placed = [segment.rescaled(1, -moved_ms) for segment in placed]
        # A time far below 0 moves the others far away.
        _check_end(placed)
        notices.append(_moved_notice(moved_ms, duration_ms))
    return placed, notices


def _check_end(segments: Sequence[Segment]) -> None:
    if max(_times(segments)) > MAX_SESSION_MS:
        raise TranscriptError("the transcript ends beyond a week, the longest session")


def with_lengths(segments: Sequence[Segment]) -> tuple[list[Segment], list[str]]:
    """Give an end to segments that end before they start, and to several words at one moment, and say so.

    The end is as far from the start as it takes to say the text, but not beyond the start of the next segment.
    """
    starts_ms = sorted({segment.start_ms for segment in segments if segment.start_ms is not None})
    lengthened: list[Segment] = []
    for segment in segments:
        start_ms, end_ms, text = segment.start_ms, segment.end_ms, segment.text
        if start_ms is None or end_ms is None or end_ms > start_ms or (end_ms == start_ms and len(text.split()) == 1):
            lengthened.append(segment)
            continue
        place = bisect_right(starts_ms, start_ms)
        following_ms = starts_ms[place] if place < len(starts_ms) else math.inf
        spoken_ms = MS_PER_CHARACTER * len("".join(text.split()))
        lengthened.append(replace(segment, end_ms=min(start_ms + spoken_ms, following_ms)))
    count = sum(before is not after for before, after in zip(segments, lengthened, strict=True))
    said = f"{count} of {len(segments)} phrases end before or when they start: their ends are estimated"
    return lengthened, [said] if count else []


def _times(segments: Sequence[Segment]) -> list[float]:
    return [time_ms for segment in segments for time_ms in segment.times_ms()]


def _unit_factor(segments: Sequence[Segment], duration_ms: int | None) -> float:
    """A key of `_UNITS`, or 1: by how fast people would speak, and by what fits the recording."""
    spoken_ms = characters = 0.0
    for segment in segments:
        spans = [(s.start_ms, s.end_ms, s.text) for s in segment.stretches if s.start_ms is not None and s.end_ms is not None]
        if not spans and segment.start_ms is not None and segment.end_ms is not None:
            spans = [(segment.start_ms, segment.end_ms, segment.text)]
        spoken_ms += sum(max(0.0, end_ms - start_ms) for start_ms, end_ms, _ in spans)
        characters += sum(len(text.strip()) for _, _, text in spans)
    if not characters or not spoken_ms:
        return 1
    latest_ms = max(_times(segments))
    pace = spoken_ms / characters
    if pace < FASTEST_MS_PER_CHARACTER and (duration_ms is None or latest_ms * 1000 <= duration_ms + MAX_OVERHANG_MS):
        return 1000
    # Whisper gives a word of 30 s to silence, so a slow pace alone proves nothing: the times must be past the end, too.
    last_fit_ms = LATEST_END_MS if duration_ms is None else duration_ms + MAX_OVERHANG_MS
    if pace < SLOWEST_MS_PER_CHARACTER or latest_ms <= last_fit_ms:
        return 1
    fitting = [f for f in (0.01, 0.001) if latest_ms * f <= (MAX_SESSION_MS if duration_ms is None else last_fit_ms)]
    return min(fitting, key=lambda f: abs(math.log(pace * f / MS_PER_CHARACTER)), default=1)


def _offset_ms(segments: Sequence[Segment], duration_ms: int | None) -> float:
    """How much earlier the transcript has to be: if none of it is within the recording, or it begins after an hour of silence."""
    first_ms = min(_times(segments))
    if first_ms < 0:
        return first_ms
    if first_ms < HOUR_MS if duration_ms is None else first_ms <= duration_ms:
        return 0
    after_hour_ms = first_ms % HOUR_MS
    return first_ms - after_hour_ms if after_hour_ms <= (MAX_SILENCE_MS if duration_ms is None else duration_ms) else first_ms


def _moved_notice(moved_ms: float, duration_ms: int | None) -> str:
    seconds = abs(round(moved_ms / 1000))
    clock = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    if moved_ms < 0:
        return f"the transcript begins {clock} before the recording: it is moved to its beginning"
    reason = "begins after the recording ends" if duration_ms is not None else "begins after more than an hour of silence"
    if moved_ms % HOUR_MS == 0:
        return f"the transcript {reason}: it is moved by {clock}"
    return f"the transcript {reason}: it is moved by {clock}, so that its first word begins with the recording"
