"""Texts, numbers and spans of time as people read them in messages."""

from __future__ import annotations

from collections.abc import Sequence


def printable(text: str) -> str:
    """Text without the characters that do not print: they would end up in terminals and logs."""
    return text if text.isprintable() else "".join(character for character in text if character.isprintable())


def quantity(number: int, noun: str) -> str:
    """``1 window``, ``2 windows``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def data_size(count: int) -> str:
    """A number of bytes: ``950 bytes``, ``43 kB``, ``1.9 MB``."""
    if count < 1_000:
        return quantity(count, "byte")
    return f"{count / 1e3:,.0f} kB" if count < 999_500 else f"{count / 1e6:,.1f} MB"


def listed(parts: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)


def seconds(milliseconds: int) -> str:
    """A short span: ``1.5 s``."""
    return f"{milliseconds / 1000:,.1f} s"


def duration(milliseconds: int) -> str:
    """The length of a recording: ``3.2 s``, ``12:05 min``, ``2:03:20 h``."""
    if milliseconds < 60_000:
        return seconds(milliseconds)
    minutes, rest = divmod(round(milliseconds / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def rough_duration(milliseconds: int) -> str:
    """A long span, such as a retention: ``90 min``, ``36 h``, ``7 days``."""
    minutes = milliseconds / 60_000
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 72 * 60 else f"{minutes / 1440:.0f} days"


def in_words(nuisance: str) -> str:
    """A nuisance as it stands in a sentence, at its beginning: ``A blurred picture``, ``The word “um”``."""
    word = nuisance.removeprefix("word ")
    return f"The word “{word}”" if word != nuisance else _NUISANCES.get(nuisance, nuisance.capitalize())


_NUISANCES = {
    "hum": "Mains hum",
    "tone": "A tone",
    "band": "A telephone line",
    "higher voice": "A higher voice",
    "lower voice": "A lower voice",
    "blur": "A blurred picture",
    "bar": "A bar in the picture",
}
