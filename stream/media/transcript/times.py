"""Times as subtitles and recognisers write them, in milliseconds."""

from __future__ import annotations

import math
import re

CLOCK = re.compile(r"([-+\u2212]?)(?:(\d{1,9})\s*:\s*)?(\d{1,4})\s*:\s*(\d{1,3})(?:\s*[.,:;]\s*(\d{1,9}))?", re.ASCII)
"""Hours, minutes, seconds and a fraction; players accept one digit or many, and a missing hour or fraction."""

_SECONDS = re.compile(r"([-+]?\d{1,15}(?:\.\d{1,15})?)\s*s?", re.ASCII)
_ISO_DURATION = re.compile(r"P(?:(\d{1,6})D)?T?(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d{1,15})?)S)?", re.ASCII)


def clock_ms(clock: re.Match[str]) -> int:
    """Milliseconds of a match of `CLOCK`."""
    sign, hours, minutes, seconds, fraction = clock.groups()
    if hours is not None and fraction is None and len(seconds) == 3:
        # 00:03:500 has a colon before its milliseconds and no hours.
        hours, minutes, seconds, fraction = "0", hours, minutes, seconds
    time_ms = ((int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int((fraction or "").ljust(3, "0")[:3])
    return -time_ms if sign in ("-", "\u2212") else time_ms


def as_number(value: object) -> float | None:
    """A finite number, or None. Some tools write numbers as strings, and whisperX writes NaN for a time that it does not know."""
    if isinstance(value, str):
        try:
            value = float(value) if len(value) < 40 else None
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return math.copysign(1e300, value)
    return number if math.isfinite(number) else None


def seconds_ms(value: object) -> float | None:
    """Milliseconds of a time that is given in seconds, as a clock, as an ISO 8601 duration or as a protobuf duration."""
    if isinstance(value, dict):
        seconds, nanos = as_number(value.get("seconds", 0)), as_number(value.get("nanos", 0))
        return None if seconds is None or nanos is None else seconds * 1000 + nanos / 1e6
    if not isinstance(value, str):
        number = as_number(value)
        return None if number is None else number * 1000
    if found := _SECONDS.fullmatch(value.strip()):
        return float(found[1]) * 1000
    if found := CLOCK.fullmatch(value.strip()):
        return clock_ms(found)
    if (found := _ISO_DURATION.fullmatch(value.strip())) and any(found.groups()):
        days, hours, minutes = (int(part or 0) for part in found.groups()[:3])
        return (((days * 24 + hours) * 60 + minutes) * 60 + float(found[4] or 0)) * 1000
    return None


def milliseconds(value: object) -> float | None:
    """Milliseconds of a time that is given in milliseconds."""
    return as_number(value)


def ticks_ms(value: object) -> float | None:
    """Milliseconds of a time that is given in ticks of 100 ns."""
    number = as_number(value)
    return None if number is None else number / 10_000
