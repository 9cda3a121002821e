"""Bytes of a transcript to text: Unicode by its signs, older encodings by detection."""

from __future__ import annotations

import codecs
import re

import chardet

from stream.media.errors import TranscriptError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8", None),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),  # before UTF-16, whose mark is the first half of this one
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)

_MOST_DAMAGE = 0.1
"""Up to this share of wrong sequences, text is damaged UTF-8; with more of them it is another encoding."""

_MOST_DAMAGE_OF_JSON = 0.5
_MOST_DAMAGE_OF_BYTES = 0.001
"""whisper.cpp cuts characters in its JSON between tokens, so that half of them may be damaged, or one in a large file."""

_LATIN = ("Windows-1252", "Windows-1250", "Windows-1254", "Windows-1257")
_LATIN_SHARE = 2
"""Text with more than this many ASCII letters for each other byte is in the Latin script."""

_WESTERN = {"Windows-1252": 1.6}
"""Short Western text is easily taken for Central European or Baltic, and it is far more common."""

_SAMPLE_BYTES = 100_000
_KANA = re.compile(r"[\u3040-\u30ff]")
_WIDE = re.compile(r"[^\x00-\x7f]")
_LEAST_KANA = 0.2


def decode_text(raw: bytes, *, unicode_only: bool) -> tuple[str, tuple[str, ...]]:
    """Text of a file, and what to tell its user about the encoding.

    Args:
        raw: The file's bytes.
        unicode_only: Refuse older encodings: JSON is always Unicode.

    Raises:
        TranscriptError: The encoding is not recognised; the message names the first wrong line.
    """
    for mark, encoding, name in _BOMS:
        if raw.startswith(mark):
            notices = () if name is None else (f"the transcript is {name} text",)
            return _damaged(raw[len(mark) :], encoding, notices)
    if encoding_16 := _utf16_without_mark(raw):
        return _damaged(raw, encoding_16, ("the transcript is UTF-16 text without a byte order mark",))
    try:
        return raw.decode("utf-8"), ()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
    repaired = raw.decode("utf-8", errors="replace")
    wrong, right = repaired.count("\ufffd"), len(_WIDE.findall(repaired))
    damaged = wrong <= _MOST_DAMAGE * right
    if unicode_only:
        damaged = wrong < _MOST_DAMAGE_OF_JSON * right or wrong <= _MOST_DAMAGE_OF_BYTES * len(raw)
    if damaged:
        return repaired.replace("\ufffd", ""), (f"damaged characters of the transcript are left out: {wrong}",)
    encoding_8 = None if unicode_only else _older_encoding(raw)
    if encoding_8 is None:
        raise TranscriptError(
            "the transcript is not UTF-8 text" + ("" if unicode_only else ", and its encoding is not recognised: save it as UTF-8"), line
        )
    return _damaged(raw, encoding_8, (f"the transcript is not UTF-8 text: it is read as {encoding_8}",))


def _damaged(raw: bytes, encoding: str, notices: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    text = raw.decode(encoding, errors="replace")
    # A lone surrogate cannot be written anywhere; in UTF-16 it is as damaged as an undefined byte of another encoding.
    wrong = text.count("\ufffd")
    return text.replace("\ufffd", ""), (*notices, f"damaged characters of the transcript are left out: {wrong}") if wrong else notices


def _utf16_without_mark(raw: bytes) -> str | None:
    """UTF-16 shows itself by the zero bytes of its digits, arrows and line ends, whatever the language."""
    sample = raw[:_SAMPLE_BYTES]
    zeros_first, zeros_second = sample[0::2].count(0), sample[1::2].count(0)
    if zeros_first + zeros_second < max(2, len(sample) // 20):
        return None
    return "utf-16-be" if zeros_first > zeros_second else "utf-16-le"


def _older_encoding(raw: bytes) -> str | None:
    """Python's name of the likeliest encoding that all bytes fit."""
    lines = [line for line in raw[: 20 * _SAMPLE_BYTES].splitlines() if not line.isascii()]
    sample = b"\n".join(lines)[:_SAMPLE_BYTES]
    # chardet takes short Japanese for Western text, but almost every Japanese sentence has kana, and nothing else looks like kana.
    for encoding in ("cp932", "euc_jp"):
        text = _decoded(sample, encoding)
        if len(_KANA.findall(text)) > _LEAST_KANA * len(_WIDE.findall(text)):
            return encoding
    guesses = {
        found["encoding"]: found["confidence"]
        for found in chardet.detect_all(sample, ignore_threshold=True, encoding_era=chardet.EncodingEra.MODERN_WEB)
        # A byte order mark in the middle of a file makes it no Unicode.
        if found["encoding"] and not found["encoding"].upper().startswith(("UTF", "ASCII"))
    }
    foreign = sum(byte > 0x7F for byte in sample)
    if sum(bytes((byte,)).isalpha() for byte in sample) > _LATIN_SHARE * foreign:
        guesses = {name: sure * _WESTERN.get(name, 1.0) for name, sure in guesses.items() if name in _LATIN}
    return codecs.lookup(max(guesses, key=lambda name: guesses[name])).name if guesses else None


def _decoded(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        # The sample may end within a character.
        return raw[: error.start].decode(encoding) if error.start >= len(raw) - 4 else ""
