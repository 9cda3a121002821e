"""Recordings as tools and devices write them: all of the sound and picture is sent. The table of docs/recordings.md has these formats."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from stream.config.project import PROJECT_ROOT
from stream.domain.modality import Modality
from stream.media.errors import SourceError
from stream.media.media_info import UNREADABLE, UnreadableReason
from stream.produce.prepare import MediaRequest, prepare
from tests.support import media

SECONDS = 3.0
AMPLITUDE = 8000
"""Of the sine that `media.write_sound` writes."""


class Sound(NamedTuple):
    """A sound format: its row in the table, and how to write it."""

    row: str
    suffix: str
    container: str
    codec: str
    rate: int = 48_000
    layout: str = "mono"
    options: dict[str, str] | None = None


SOUNDS = (
    Sound("WAV, 8 to 32 bit PCM", "wav", "wav", "pcm_s16le", 44_100, "stereo"),
    Sound("WAV, 8 to 32 bit PCM", "wav", "wav", "pcm_s24le"),
    Sound("WAV, 8 to 32 bit PCM", "wav", "wav", "pcm_u8", 8000),
    Sound("WAV, 8 to 32 bit PCM", "wav", "wav", "pcm_f32le", 16_000),
    Sound("WAV, G.711 µ-law and A-law", "wav", "wav", "pcm_mulaw", 8000, "stereo"),
    Sound("WAV, G.711 µ-law and A-law", "wav", "wav", "pcm_alaw", 8000),
    Sound("WAV, ADPCM", "wav", "wav", "adpcm_ms", 8000),
    Sound("AIFF, CAF", "aiff", "aiff", "pcm_s16be", 44_100),
    Sound("AIFF, CAF", "caf", "caf", "pcm_s16le", 44_100),
    Sound("FLAC, ALAC", "flac", "flac", "flac", 44_100, "stereo"),
    Sound("FLAC, ALAC", "m4a", "ipod", "alac", 44_100),
    Sound("MP3", "mp3", "mp3", "libmp3lame", 44_100, "stereo"),
    Sound("AAC in M4A, MP4, MOV, ADTS", "m4a", "ipod", "aac"),
    Sound("AAC in M4A, MP4, MOV, ADTS", "qta", "mov", "aac"),
    Sound("AAC in M4A, MP4, MOV, ADTS", "mp4", "mp4", "aac"),
    Sound("AAC in M4A, MP4, MOV, ADTS", "aac", "adts", "aac"),
    Sound("Opus in Ogg", "opus", "ogg", "libopus"),
    Sound("Opus in Ogg", "oga", "ogg", "libopus"),
    Sound("Opus in WebM, also without a duration", "webm", "webm", "libopus"),
    Sound("Opus in WebM, also without a duration", "webm", "webm", "libopus", options={"live": "1"}),
    Sound("AMR, 3GP", "amr", "amr", "libopencore_amrnb", 8000),
    Sound("AMR, 3GP", "3gp", "3gp", "libopencore_amrnb", 8000),
    Sound("WMA", "wma", "asf", "wmav2", 44_100),
    Sound("AC-3, E-AC-3", "ts", "mpegts", "ac3", 48_000, "5.1"),
    Sound("AC-3, E-AC-3", "mkv", "matroska", "eac3", 48_000, "stereo"),
    Sound("G.722", "g722", "g722", "g722", 16_000),
    Sound("G.711 without a header (`.ul`, `.ulaw`, `.al`, `.alaw`)", "ulaw", "mulaw", "pcm_mulaw", 8000),
    Sound("G.711 without a header (`.ul`, `.ulaw`, `.al`, `.alaw`)", "al", "alaw", "pcm_alaw", 8000),
    Sound("samples of Asterisk without a header (`.sln`, `.sln16` …)", "sln16", "s16le", "pcm_s16le", 16_000),
)

FILMS = (
    ("H.264 in MP4, MOV, MKV, TS, AVI, FLV", "mp4", "libx264"),
    ("H.264 in MP4, MOV, MKV, TS, AVI, FLV", "mkv", "libx264"),
    ("H.264 in MP4, MOV, MKV, TS, AVI, FLV", "ts", "libx264"),
    ("H.264 in MP4, MOV, MKV, TS, AVI, FLV", "flv", "libx264"),
    ("VP8, VP9 in WebM", "webm", "libvpx"),
    ("VP8, VP9 in WebM", "webm", "libvpx-vp9"),
    ("MPEG-2 in VOB, MPEG-4 in AVI", "vob", "mpeg2video"),
    ("MPEG-2 in VOB, MPEG-4 in AVI", "avi", "mpeg4"),
    ("Motion JPEG", "avi", "mjpeg"),
)


@pytest.mark.parametrize("sound", SOUNDS, ids=lambda sound: f"{sound.suffix}-{sound.codec}{'-live' if sound.options else ''}")
def test_all_of_a_sound_is_sent_at_its_level(sound: Sound, tmp_path: Path) -> None:
    path = tmp_path / f"sound.{sound.suffix}"
    media.write_sound(str(path), sound.container, sound.codec, SECONDS, sound.rate, sound.layout, container_options=sound.options)
    prepared = prepare(MediaRequest(path, recognise=False))
    with prepared.pieces() as pieces:
        samples = np.concatenate([np.frombuffer(piece.payload, "<i2") for piece in pieces if piece.modality is Modality.AUDIO])
        (report,) = pieces.report.streams
    assert (report.lost_ms, report.damaged, list(report.problems)) == (0, False, [])
    assert report.sent_ms == pytest.approx(SECONDS * 1000, abs=130)
    level = float(np.sqrt(np.mean(samples[8000:40_000].astype(float) ** 2)))
    assert level == pytest.approx(AMPLITUDE / np.sqrt(2), rel=0.3)


@pytest.mark.parametrize(("row", "suffix", "codec"), FILMS, ids=lambda value: value if isinstance(value, str) else None)
def test_all_of_a_film_is_sent(row: str, suffix: str, codec: str, tmp_path: Path) -> None:
    path = tmp_path / f"film.{suffix}"
    media.write_film(path, SECONDS, codec=codec)
    prepared = prepare(MediaRequest(path, recognise=False))
    with prepared.pieces() as pieces:
        spans = [(piece.start_ms, piece.end_ms) for piece in pieces]
        (report,) = pieces.report.streams
    assert (report.lost_ms, report.damaged, list(report.problems)) == (0, False, [])
    assert [start // 1000 for start, _ in spans] == [0, 1, 2]
    assert report.sent_ms == pytest.approx(SECONDS * 1000, abs=130)


def test_samples_of_which_nothing_says_what_they_are_are_refused(tmp_path: Path) -> None:
    raw, named_like_raw = tmp_path / "call.raw", tmp_path / "wav.raw"
    raw.write_bytes(media.sound("s16le", "pcm_s16le", rate=8000))
    with pytest.raises(SourceError, match="without a header"):
        prepare(MediaRequest(raw, recognise=False))
    named_like_raw.write_bytes(media.sound("wav", "pcm_s16le", rate=8000))
    assert prepare(MediaRequest(named_like_raw, recognise=False)).duration_ms == 1000


def test_a_file_of_which_nothing_can_be_used_says_why(tmp_path: Path) -> None:
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "1" * 32, "encryption_kid": "2" * 32}
    fragmented = media.sound("mp4", "aac")
    index_last = tmp_path / "whole.m4a"
    media.write_sound(str(index_last), "ipod", "aac", 1.0, 48_000, "mono")
    media.write_sound(str(tmp_path / "encrypted.mp4"), "mp4", "aac", 1.0, 48_000, "mono", container_options=key)
    contents = {
        "unfinished.m4a": index_last.read_bytes()[: index_last.read_bytes().index(b"moov") - 4],
        "begun.opus": media.sound("ogg", "libopus")[:60],
        "begun.mp4": fragmented[: fragmented.index(b"moof") - 4],
        "begun.wav": media.sound("wav", "pcm_s16le")[:78],
        "empty.mp3": b"",
        "page.mp4": b"<!DOCTYPE html><title>404</title>",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    assert {name: refusal(tmp_path / name) for name in (*contents, "encrypted.mp4")} == {
        "unfinished.m4a": UnreadableReason.CUT_OFF,
        "begun.opus": UnreadableReason.CUT_OFF,
        "begun.mp4": UnreadableReason.NOTHING_DECODED,
        "begun.wav": UnreadableReason.NOTHING_DECODED,
        "empty.mp3": UnreadableReason.EMPTY,
        "page.mp4": UnreadableReason.NOT_MEDIA,
        "encrypted.mp4": UnreadableReason.ENCRYPTED,
    }


def refusal(path: Path) -> UnreadableReason:
    """Why a file is refused."""
    with pytest.raises(SourceError) as error:
        prepare(MediaRequest(path, recognise=False))
    return next(reason for reason, sentence in UNREADABLE.items() if str(error.value) == f"{path}: {sentence}")


def test_a_codec_number_that_is_no_text_is_read(tmp_path: Path) -> None:
    path = tmp_path / "g729.wav"
    # A WAV file of G.729: format 0x83, mono, 8 kHz, 1,000 bytes a second in blocks of 10; two seconds.
    header = struct.pack("<4sI4s4sIHHIIHHH", b"RIFF", 2038, b"WAVE", b"fmt ", 18, 0x83, 1, 8000, 1000, 10, 0, 0)
    path.write_bytes(header + struct.pack("<4sI", b"data", 2000) + bytes(2000))
    assert prepare(MediaRequest(path, recognise=False)).duration_ms == 2000


def test_the_table_of_the_page_has_each_format() -> None:
    page = (PROJECT_ROOT / "docs" / "recordings.md").read_text(encoding="utf-8")
    rows = {sound.row for sound in SOUNDS} | {row for row, _, _ in FILMS}
    assert sorted(row for row in rows if f"| {row} |" not in page) == []
