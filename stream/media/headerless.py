"""What the name or the beginning of a file says that FFmpeg must be told: above all, sound without a header, as telephone systems store it.

Runs in the reader's child process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av

TELEPHONE_RATE = 8000

_FORMATS = {
    **dict.fromkeys((".ul", ".ulaw", ".mulaw", ".pcmu"), ("mulaw", TELEPHONE_RATE)),
    **dict.fromkeys((".al", ".alaw", ".pcma"), ("alaw", TELEPHONE_RATE)),
    **dict.fromkeys((".sln", ".slin"), ("s16le", TELEPHONE_RATE)),
    **{f".{stem}{kilohertz}": ("s16le", kilohertz * 1000) for stem in ("sln", "slin") for kilohertz in (8, 12, 16, 24, 32, 48)},
}
"""Suffix → FFmpeg's format and samples per second, mono; G.711 without a header has 8,000, for which FFmpeg takes 44,100."""

_RAW_SUFFIXES = frozenset({".raw", ".pcm", ".sw", ".s16", ".s16le", ".s8", ".u8", ".f32"})
"""These say neither the rate nor the channels."""

_BEGINNINGS = (
    *(b"RIFF", b"RF64", b"OggS", b"fLaC", b".snd", b"ID3", b"FORM", b"caff", b"\x1aE\xdf\xa3"),
    *(b"FLV\x01", b"#!AMR", b"0&\xb2u", b"wvpk", b"TTA1"),
)
_PLAYLIST = b"#EXTM3U"
_MAX_PLAYLIST_BYTES = 10_000_000
_BOXES = (b"ftyp", b"styp", b"moov", b"moof", b"sidx", b"mdat", b"wide")
"""First boxes of MP4 and MOV files, and of their segments."""


def open_headerless(path: Path, options: dict[str, str]) -> Any | None:
    """Open a file whose name says that it is sound without a header; None for every other file. Raises FFmpeg's errors."""
    named = _FORMATS.get(path.suffix.lower())
    if named is None or begins_like_media(path):
        return None
    name, rate = named
    return av.open(str(path), mode="r", format=name, options={**options, "sample_rate": str(rate), "ch_layout": "mono"})


def is_raw(path: Path) -> bool:
    """True for samples of which neither the name nor a header says what they are: FFmpeg would guess, and send noise."""
    return path.suffix.lower() in _RAW_SUFFIXES and not begins_like_media(path)


def is_open_playlist(path: Path) -> bool:
    """True for an HLS playlist that is not ended: FFmpeg would leave out its beginning, and wait for its recorder to add more."""
    with path.open("rb") as file:
        return file.read(len(_PLAYLIST)) == _PLAYLIST and b"#EXT-X-ENDLIST" not in file.read(_MAX_PLAYLIST_BYTES)


def begins_like_media(path: Path) -> bool:
    """True if the first bytes are those of a common video or audio file."""
    with path.open("rb") as file:
        begin = file.read(8)
    return begin.startswith(_BEGINNINGS) or begin[4:] in _BOXES
