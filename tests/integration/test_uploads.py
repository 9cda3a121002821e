"""Recordings that visitors send: bounded, private, nameless, removed, and refused in clear sentences."""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

import stream.gateway.uploads
from stream.config.service_settings import KafkaSettings
from stream.gateway.uploads import OVER, PREFIX, Upload, UploadRefusedError, Uploads, UploadState, remove_leftovers
from stream.local.ports import free_port
from tests.support.media import sound
from tests.support.settings import own_settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Temporary files of the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


async def pieces(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for first in range(0, len(data), size):
        yield data[first : first + size]


async def until(upload: Upload, done: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not done():
            await asyncio.sleep(0.02)


@pytest.fixture
def away() -> KafkaSettings:
    return KafkaSettings(bootstrap=f"127.0.0.1:{free_port()}")


@pytest.mark.parametrize(
    ("ending", "data"),
    [
        ("mp4", b"not a film at all" * 50),
        ("mp4", b"\0\0\0\x20ftypisom" + b"\xff" * 5000),
        ("wav", b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0" + b"\0" * 200),
        ("json", b"[" * 5000),
        ("vtt", b"WEBVTT\n\n" + b"\xff\xfe" * 100),
    ],
)
async def test_a_hostile_file_gets_a_sentence_that_does_not_name_a_path(
    away: KafkaSettings, folder: Path, ending: str, data: bytes
) -> None:
    uploads = Uploads(away)
    upload = await uploads.take("ann", "default", ending, pieces(data))
    await until(upload, lambda: upload.state in OVER)
    assert upload.state is UploadState.FAILED
    assert upload.problem
    assert str(folder) not in upload.problem
    assert list(folder.iterdir()) == []
    await uploads.close()


async def test_too_much_nothing_and_wrong_endings_are_refused(away: KafkaSettings, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream.gateway.uploads, "LARGEST_BYTES", 2_000_000)
    uploads = Uploads(away)
    for ending, data, status in (("mp4", b"x" * 2_000_001, 413), ("mp4", b"", 400), ("../x", b"x", 400), ("", b"x", 400)):
        with pytest.raises(UploadRefusedError) as refused:
            await uploads.take("ann", "default", ending, pieces(data, 100_000))
        assert refused.value.status == status
    assert list(folder.iterdir()) == []
    await uploads.close()


async def test_an_upload_that_is_cut_off_leaves_nothing_and_blocks_nobody(away: KafkaSettings, folder: Path) -> None:
    async def cut() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        raise ConnectionResetError

    uploads = Uploads(away)
    with pytest.raises(ConnectionResetError):
        await uploads.take("ann", "default", "mp4", cut())
    assert list(folder.iterdir()) == []
    upload = await uploads.take("ann", "default", "mp4", pieces(b"again"))
    await until(upload, lambda: upload.state in OVER)
    await uploads.close()


async def test_a_full_disk_and_a_silent_sender_block_nobody(
    away: KafkaSettings, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        await asyncio.sleep(3600)

    monkeypatch.setattr(stream.gateway.uploads, "SILENT_S", 0.1)
    uploads = Uploads(away)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(UploadRefusedError, match="no room"):
        await uploads.take("ann", "default", "mp4", pieces(b"x"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(UploadRefusedError, match="nothing of the recording"):
        await asyncio.wait_for(uploads.take("ann", "default", "mp4", silent()), 10)
    assert list(folder.iterdir()) == []
    upload = await uploads.take("ann", "default", "mp4", pieces(b"again"))
    await until(upload, lambda: upload.state in OVER)
    await uploads.close()


async def test_one_at_a_time_in_a_private_file_and_stopped_properly(tansu_bootstrap: str, redis_url: str, folder: Path) -> None:
    uploads = Uploads(own_settings("test", tansu_bootstrap, redis_url).kafka)
    upload = await uploads.take("ann", "default", "wav", pieces(sound("wav", "pcm_s16le", 8.0), 100_000))
    with pytest.raises(UploadRefusedError, match="on its way"):
        await uploads.take("ann", "default", "wav", pieces(b"x"))
    (kept,) = folder.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert [file.name for file in kept.iterdir()] == ["recording.wav"]
    await until(upload, lambda: upload.state is UploadState.SENDING and upload.sent_ms > 0)
    assert uploads.find("ann", upload.key.session) is upload
    assert uploads.find("eve", upload.key.session) is None
    await uploads.close()
    assert upload.state is UploadState.STOPPED
    assert list(folder.iterdir()) == []


async def test_without_a_broker_the_sender_is_told(away: KafkaSettings) -> None:
    uploads = Uploads(away)
    upload = await uploads.take("ann", "default", "wav", pieces(sound("wav", "pcm_s16le", 8.0), 100_000))
    await until(upload, lambda: upload.state in OVER)
    assert "Kafka" in upload.problem
    await uploads.close()


def test_what_a_crash_has_left_is_removed_and_what_lives_stays(folder: Path) -> None:
    gone, lives = folder / f"{PREFIX}999999999-x", folder / f"{PREFIX}{os.getpid()}-x"
    for directory in (gone, lives):
        directory.mkdir()
        (directory / "recording.mp4").write_bytes(b"x")
    remove_leftovers()
    assert (gone.exists(), lives.exists()) == (False, True)
