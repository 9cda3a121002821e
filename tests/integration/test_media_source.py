"""Reading a user's files in a child process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest

from stream.config.media_settings import SandboxSettings
from stream.domain.chunk import ContentType
from stream.domain.media_format import MAX_CHUNK_BYTES
from stream.domain.modality import Modality
from stream.media import source as source_module
from stream.media.errors import SourceError
from stream.media.media_info import AudioSource, Selection
from stream.media.quality import VideoQuality
from stream.media.sandbox import Sandbox
from stream.media.source import MediaFile, SourcePiece, read_audio
from stream.produce.prepare import MediaRequest, prepare
from stream.produce.sample import CALL, FACES, sample_sessions
from tests.support import media


def _read(path: Path, selection: Selection | None = None, quality: VideoQuality = VideoQuality.MODEL) -> tuple[list[SourcePiece], bool]:
    with MediaFile(path, selection, quality) as file:
        return list(file.pieces()), file.report.damaged


def test_a_film_is_cut_into_seconds_without_gaps() -> None:
    pieces, damaged = _read(FACES)
    assert not damaged
    assert Counter(piece.modality for piece in pieces) == {Modality.AUDIO: 21, Modality.VIDEO: 21}
    assert [piece.end_ms for piece in pieces] == sorted(piece.end_ms for piece in pieces)
    for modality in (Modality.AUDIO, Modality.VIDEO):
        of_modality = [piece for piece in pieces if piece.modality is modality]
        assert [(piece.start_ms, piece.end_ms) for piece in of_modality] == [(n * 1000, (n + 1) * 1000) for n in range(21)]
    assert all(len(piece.payload) == 32_000 for piece in pieces if piece.modality is Modality.AUDIO)


async def test_every_second_of_a_film_decodes_by_itself() -> None:
    films = [piece for piece in _read(FACES)[0] if piece.modality is Modality.VIDEO]
    async with Sandbox(SandboxSettings()) as sandbox:
        for piece in reversed(films):
            frames = await sandbox.find_faces(piece.payload, ContentType.VIDEO_MP4, 5, 8_300_000)
            assert len(frames) == 5
            assert all(len(frame.boxes) == 1 for frame in frames)
            assert len(piece.payload) < MAX_CHUNK_BYTES


def test_channels_can_be_split() -> None:
    channels = (AudioSource(0, 0), AudioSource(0, 1))
    pieces, _ = _read(CALL, Selection(channels))
    assert Counter(piece.source for piece in pieces) == {channels[0]: 25, channels[1]: 25}
    assert pieces[-1].end_ms == 24_900
    ((agent,), (customer,)) = ([run.samples for run in runs] for runs in read_audio(CALL, channels))
    ((mixed,),) = ([run.samples for run in runs] for runs in read_audio(CALL, [AudioSource(0)]))
    assert len(agent) == len(customer) == len(mixed) == 398_400
    assert np.abs(mixed.astype(int) - (agent.astype(int) + customer) // 2).max() < 200


@pytest.mark.parametrize(
    ("quality", "size"), [(VideoQuality.MODEL, (320, 180, 5)), (VideoQuality.SHARP, (640, 360, 5)), (VideoQuality.HIGH, (640, 360, 30))]
)
def test_a_large_film_is_scaled_down_and_slowed_by_quality(tmp_path: Path, quality: VideoQuality, size: tuple[int, int, int]) -> None:
    path = tmp_path / "large.mp4"
    media.write_film(path, seconds=1.5, fps=60, width=1280, height=720)
    pieces, _ = _read(path, quality=quality)
    assert (pieces[0].start_ms, pieces[0].duration_ms) == (0, 1000)
    assert 1450 <= pieces[-1].end_ms <= 1550
    copy = tmp_path / "first.mp4"
    copy.write_bytes(pieces[0].payload)
    with av.open(str(copy)) as first:
        frames = list(first.decode(video=0))
    assert (frames[0].width, frames[0].height, len(frames)) == size
    assert frames[0].key_frame


def test_the_last_piece_ends_with_the_media(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    media.write_sound(str(path), "wav", "pcm_s16le", 1.25, 44_100, "stereo")
    pieces, _ = _read(path)
    assert [(piece.start_ms, piece.duration_ms) for piece in pieces] == [(0, 1000), (1000, 250)]


def test_a_cut_off_film_yields_its_good_part_and_is_marked_as_damaged(tmp_path: Path) -> None:
    whole = tmp_path / "whole.mp4"
    media.write_film(whole, seconds=6, container_options={"movflags": "faststart"})
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])
    pieces, damaged = _read(cut)
    assert damaged
    assert 2 <= len(pieces) <= 4


def test_a_file_that_cannot_be_read_is_one_clear_error(tmp_path: Path) -> None:
    whole = tmp_path / "whole.mp4"
    media.write_film(whole, seconds=2)
    for name, content in (
        ("no-index.mp4", whole.read_bytes()[: whole.stat().st_size // 2]),
        ("empty.mp4", b""),
        ("text.mp4", b"hello " * 100),
        ("list.m3u8", f"#EXTM3U\n#EXTINF:1,\n{whole}\n".encode()),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(SourceError, match=name.replace(".", r"\.")):
            _read(path)
    with pytest.raises(SourceError, match="no such file"):
        MediaFile(tmp_path / "gone.mp4")


def test_a_reader_that_dies_or_hangs_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match="reading ended early"):
        MediaFile(FACES, command=(sys.executable, "-c", "import os; os.abort()"))
    monkeypatch.setattr(source_module, "STALL_S", 0.5)
    with pytest.raises(SourceError):
        MediaFile(FACES, command=(sys.executable, "-c", "import time; time.sleep(60)"))


def test_closing_the_file_early_ends_the_child() -> None:
    with MediaFile(FACES) as file:
        next(iter(file.pieces()))
        child = file._reader.process.pid
    assert not Path(f"/proc/{child}").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_the_child_ends_when_its_parent_is_killed() -> None:
    script = (
        "import time\nfrom stream.media.source import MediaFile\nfrom stream.produce.sample import FACES\n"
        "file = MediaFile(FACES)\nprint(file._reader.process.pid, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = Path(f"/proc/{int(parent.stdout.readline())}/stat")
        assert child.exists()
        parent.kill()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and child.exists() and " Z " not in child.read_text():
        time.sleep(0.05)
    assert not child.exists() or " Z " in child.read_text()


def test_the_packaged_sample_is_two_sessions_with_words() -> None:
    call, faces = sample_sessions()
    assert [(t.track, t.role, t.modalities) for t in call.plan.tracks] == [
        ("agent", "agent", (Modality.TEXT, Modality.AUDIO)),
        ("customer", "customer", (Modality.TEXT, Modality.AUDIO)),
    ]
    assert [t.modalities for t in faces.plan.tracks] == [(Modality.TEXT, Modality.AUDIO, Modality.VIDEO)]
    assert (call.duration_ms, faces.duration_ms) == (24_900, 21_000)
    assert (call.notices, faces.notices) == ((), ())
    assert all(len(track.words or ()) > 20 for session in (call, faces) for track in session.plan.tracks)
    assert [word.text for word in (faces.plan.tracks[0].words or ())[-6:]] == ["set", "white", "with", "p", "two", "soon"]
    assert (faces.plan.tracks[0].words or ())[-6].start_ms == 18_490


def test_a_transcript_is_put_where_its_recording_is_and_its_channels_find_their_tracks(tmp_path: Path) -> None:
    transcript = tmp_path / "words.json"
    words = [[{"word": "hello", "start": 14_000, "end": 14_500}], [{"word": "yes", "start": 15_000, "end": 16_500}]]
    channels = [{"alternatives": [{"transcript": "", "words": listed}]} for listed in words]
    transcript.write_text(json.dumps({"results": {"channels": channels}}), encoding="utf-8")
    prepared = prepare(MediaRequest(CALL, transcript, channels=("agent", "customer")))
    found = [[(word.text, word.start_ms, word.end_ms) for word in track.words or ()] for track in prepared.plan.tracks]
    assert found == [[("hello", 14_000, 14_500)], [("yes", 15_000, 16_500)]]
    assert "the transcript's times are milliseconds where seconds are expected: they are read as such" in prepared.notices
    assert "the transcript's channels are matched by number: ch_0 is agent, ch_1 is customer" in prepared.notices
