"""The real decoder child processes: hostile chunks, hangs, crashes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from stream.config.media_settings import SandboxSettings
from stream.domain.chunk import ContentType
from stream.domain.media_format import MAX_CHUNK_BYTES
from stream.media.errors import MediaError, SandboxStartError
from stream.media.media_info import Selection
from stream.media.sandbox import Sandbox
from stream.media.source import MediaFile
from stream.produce.sample import FACES
from tests.support import media

FAKE = (sys.executable, "-m", "tests.fakes.decoder_child")
FPS, PIXELS = 5, 8_300_000


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(SandboxSettings()) as started:
        yield started


@pytest.fixture(scope="module")
def face_film() -> bytes:
    with MediaFile(FACES, Selection(video=0)) as faces:
        return next(iter(faces.pieces())).payload


async def _reason(sandbox: Sandbox, payload: bytes, content_type: str, max_pixels: int = PIXELS) -> str:
    request = (
        sandbox.decode_audio(payload, content_type)
        if content_type.startswith("audio")
        else sandbox.find_faces(payload, content_type, FPS, max_pixels)
    )
    with pytest.raises(MediaError) as error:
        await request
    return error.value.reason


async def test_the_face_of_a_film_is_found_in_five_frames(sandbox: Sandbox, face_film: bytes) -> None:
    frames = await sandbox.find_faces(face_film, ContentType.VIDEO_MP4, FPS, PIXELS)
    assert [frame.time_ms for frame in frames] == [0, 200, 400, 600, 800]
    assert all(len(frame.boxes) == 1 and frame.crops.shape == (1, 48, 48) for frame in frames)
    left, top, right, bottom = frames[0].boxes[0]
    assert 0.1 < left < right < 0.9
    assert 0.0 < top < bottom <= 1.0
    assert frames[0].crops.std() > 10


async def test_a_picture_without_a_face_is_not_an_error(sandbox: Sandbox) -> None:
    (frame,) = await sandbox.find_faces(media.jpeg(), ContentType.JPEG, FPS, PIXELS)
    assert (frame.time_ms, frame.boxes, frame.crops.shape) == (0, (), (0, 48, 48))


@pytest.mark.parametrize(
    ("container", "codec", "content_type"),
    [("ogg", "libopus", ContentType.OGG_OPUS), ("mp4", "aac", ContentType.AUDIO_MP4), ("mp4", "libopus", ContentType.AUDIO_MP4)],
)
async def test_compressed_audio_becomes_16_khz_mono(sandbox: Sandbox, container: str, codec: str, content_type: str) -> None:
    samples = await sandbox.decode_audio(media.sound(container, codec, layout="stereo"), content_type)
    assert samples.dtype == np.int16
    assert 15_500 <= len(samples) <= 17_600
    spectrum = np.abs(np.fft.rfft(samples[2000:10_000].astype(np.float64)))
    assert np.argmax(spectrum) * 16_000 / 8000 == pytest.approx(440, abs=4)


async def test_broken_pictures_are_refused(sandbox: Sandbox) -> None:
    whole = media.jpeg()
    assert await _reason(sandbox, whole[: len(whole) // 2], ContentType.JPEG) == "bad_media"
    assert await _reason(sandbox, b"\xff\xd8\xff\xe0" + b"x" * 500, ContentType.JPEG) == "bad_media"
    assert await _reason(sandbox, media.giant_jpeg(50_000), ContentType.JPEG) == "too_large"
    assert await _reason(sandbox, whole, ContentType.JPEG, max_pixels=10_000) == "too_large"


async def test_bytes_of_another_type_than_declared_are_refused(sandbox: Sandbox, face_film: bytes) -> None:
    png_of_giant_size = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (50_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0" + b"x" * 100
    assert await _reason(sandbox, png_of_giant_size, ContentType.JPEG) == "wrong_type"
    assert await _reason(sandbox, face_film, ContentType.JPEG) == "wrong_type"
    assert await _reason(sandbox, media.jpeg(), ContentType.VIDEO_MP4) == "wrong_type"
    assert await _reason(sandbox, media.jpeg() + face_film, ContentType.VIDEO_MP4) == "wrong_type"
    assert await _reason(sandbox, face_film, ContentType.OGG_OPUS) == "wrong_type"
    assert await _reason(sandbox, b"#EXTM3U\nfile:///etc/hostname\n", ContentType.VIDEO_MP4) == "wrong_type"


async def test_bytes_after_a_jpeg_are_ignored(sandbox: Sandbox, face_film: bytes) -> None:
    (frame,) = await sandbox.find_faces(media.jpeg() + face_film, ContentType.JPEG, FPS, PIXELS)
    assert frame.boxes == ()


async def test_truncated_films_are_refused(sandbox: Sandbox, face_film: bytes) -> None:
    for length in (40, 800, 1000, 3000, len(face_film) // 2, len(face_film) - 2000):
        assert await _reason(sandbox, face_film[:length], ContentType.VIDEO_MP4) in {"bad_media", "no_media"}
    assert len(await sandbox.find_faces(face_film, ContentType.VIDEO_MP4, FPS, PIXELS)) == 5


async def test_a_flipped_byte_never_takes_the_sandbox_down(sandbox: Sandbox, face_film: bytes) -> None:
    random = np.random.default_rng(3)
    for _ in range(15):
        broken = bytearray(face_film)
        for position in random.integers(0, len(broken), 10):
            broken[position] = int(random.integers(0, 256))
        with contextlib.suppress(MediaError):
            await sandbox.find_faces(bytes(broken), ContentType.VIDEO_MP4, FPS, PIXELS)
    assert len(await sandbox.find_faces(face_film, ContentType.VIDEO_MP4, FPS, PIXELS)) == 5


async def test_too_much_media_for_a_chunk_is_refused(sandbox: Sandbox) -> None:
    assert await _reason(sandbox, media.film(frames=40, fps=25), ContentType.VIDEO_MP4) == "too_long"
    assert await _reason(sandbox, media.film(frames=200, fps=200, width=64, height=64), ContentType.VIDEO_MP4) == "too_large"
    assert await _reason(sandbox, media.film(frames=2), ContentType.VIDEO_MP4, max_pixels=1000) == "too_large"
    assert await _reason(sandbox, media.sound("ogg", "libopus", seconds=3.0), ContentType.OGG_OPUS) == "too_long"


async def test_other_codecs_and_missing_streams_are_refused(sandbox: Sandbox) -> None:
    assert await _reason(sandbox, media.film(frames=2, codec="mpeg4"), ContentType.VIDEO_MP4) == "unsupported"
    assert await _reason(sandbox, media.film(frames=2), ContentType.AUDIO_MP4) == "no_media"
    assert await _reason(sandbox, media.sound("mp4", "aac"), ContentType.VIDEO_MP4) == "no_media"
    assert await _reason(sandbox, media.sound("ogg", "flac"), ContentType.OGG_OPUS) == "unsupported"


async def test_a_child_is_confined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTISTREAM_KAFKA__PASSWORD", "hidden")
    async with Sandbox(SandboxSettings(processes=1)):
        _check_confinement()


def _check_confinement() -> None:
    (child,) = _children(os.getpid(), "stream.media.decoder_child")
    limits, status, environment = (_proc(child, name) for name in ("limits", "status", "environ"))
    memory = next(line for line in limits.splitlines() if line.startswith("Max address space"))
    files = next(line for line in limits.splitlines() if line.startswith("Max file size"))
    assert memory.split()[3] == str(1024 * 1024 * 1024)
    assert files.split()[3] == "0"
    assert "NoNewPrivs:\t1" in status
    assert "Threads:\t1\n" in status
    assert "SENTISTREAM_KAFKA__PASSWORD" not in environment


async def test_stopping_leaves_no_child() -> None:
    before = set(_children(os.getpid(), "stream.media.decoder_child"))
    async with Sandbox(SandboxSettings(processes=2)):
        assert len(set(_children(os.getpid(), "stream.media.decoder_child")) - before) == 2
    assert set(_children(os.getpid(), "stream.media.decoder_child")) == before


@pytest.mark.parametrize(("cores", "children"), [(1, 1), (3, 3), (64, 4)])
async def test_by_default_there_is_a_child_for_each_core_and_not_more_than_four(
    monkeypatch: pytest.MonkeyPatch, cores: int, children: int
) -> None:
    monkeypatch.setattr("stream.media.sandbox.usable_cores", lambda: cores)
    async with Sandbox(SandboxSettings(), FAKE):
        assert len(_children(os.getpid(), "tests.fakes.decoder_child")) == children


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_children_end_when_their_parent_is_killed(loop: str) -> None:
    script = (
        f"import asyncio, {loop}\nfrom stream.config.settings import SandboxSettings\nfrom stream.media.sandbox import Sandbox\n"
        "async def main():\n    await Sandbox(SandboxSettings(processes=1)).start()\n    print('ready', flush=True)\n"
        f"    await asyncio.sleep(60)\n{loop}.run(main())\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)  # noqa: ASYNC220 - a parent to be killed
    assert parent.stdout is not None
    assert await asyncio.to_thread(parent.stdout.readline) == b"ready\n"
    (child,) = _children(parent.pid, "stream.media.decoder_child")
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    for _ in range(100):
        if not _alive(child):
            break
        await asyncio.sleep(0.05)
    assert not _alive(child)


async def test_a_hang_costs_its_own_chunk_only() -> None:
    async with Sandbox(SandboxSettings(processes=2, timeout_s=1.0), FAKE) as sandbox:
        hanging = asyncio.create_task(_reason(sandbox, b"hang", ContentType.OGG_OPUS))
        await asyncio.sleep(0.1)
        for _ in range(5):
            assert len(await sandbox.decode_audio(b"ok", ContentType.OGG_OPUS)) == 2
        assert await hanging == "decoder_timeout"
        assert len(await sandbox.decode_audio(b"ok", ContentType.OGG_OPUS)) == 2


async def test_a_crash_costs_its_own_chunk_only() -> None:
    async with Sandbox(SandboxSettings(processes=1), FAKE) as sandbox:
        before = (await sandbox.decode_audio(b"pid", ContentType.OGG_OPUS)).tolist()
        results = await asyncio.gather(
            *(sandbox.decode_audio(body, ContentType.OGG_OPUS) for body in (b"ok", b"crash", b"ok", b"crash", b"ok")),
            return_exceptions=True,
        )
        reasons = [result.reason if isinstance(result, MediaError) else "ok" for result in results]
        assert reasons == ["ok", "decoder_crash", "ok", "decoder_crash", "ok"]
        assert (await sandbox.decode_audio(b"pid", ContentType.OGG_OPUS)).tolist() != before


@pytest.mark.parametrize("body", [b"lengths", b"garbage", b"pickle", b"odd", b"reason"])
async def test_a_child_that_was_taken_over_is_not_believed(body: bytes) -> None:
    async with Sandbox(SandboxSettings(), FAKE) as sandbox:
        assert await _reason(sandbox, body, ContentType.OGG_OPUS) == "decoder_crash"
        assert len(await sandbox.decode_audio(b"ok", ContentType.OGG_OPUS)) == 2


@pytest.mark.parametrize("body", [b"box", b"crop", b"ok"])
async def test_impossible_faces_are_not_believed(body: bytes) -> None:
    async with Sandbox(SandboxSettings(), FAKE) as sandbox:
        assert await _reason(sandbox, body, ContentType.JPEG) == "decoder_crash"


async def test_a_cancelled_request_does_not_answer_the_next_one() -> None:
    async with Sandbox(SandboxSettings(), FAKE) as sandbox:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sandbox.decode_audio(b"hang", ContentType.OGG_OPUS), 0.3)
        assert len(await sandbox.decode_audio(b"fine", ContentType.OGG_OPUS)) == 4


async def test_the_longest_chunk_reaches_the_child_whole() -> None:
    async with Sandbox(SandboxSettings(processes=1), FAKE) as sandbox:
        assert len(await sandbox.decode_audio(bytes(MAX_CHUNK_BYTES), ContentType.OGG_OPUS)) == MAX_CHUNK_BYTES


async def test_a_stopped_sandbox_starts_no_child() -> None:
    sandbox = Sandbox(SandboxSettings(), FAKE)
    await sandbox.start()
    await sandbox.stop()
    with pytest.raises(SandboxStartError, match="stopped"):
        await sandbox.decode_audio(b"ok", ContentType.OGG_OPUS)
    assert not _children(os.getpid(), "tests.fakes.decoder_child")


async def test_a_child_that_does_not_start_is_one_clear_error() -> None:
    sandbox = Sandbox(SandboxSettings(), (sys.executable, "-c", "raise SystemExit(1)"))
    with pytest.raises(SandboxStartError, match="does not start"):
        await sandbox.start()


def _children(parent: int, module: str) -> list[int]:
    children = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, ppid = status.read_text().rpartition(")")[2].split()[:2]
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(ppid) == parent and state != "Z" and module.encode() in command:
            children.append(int(status.parent.name))
    return children


def _proc(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
