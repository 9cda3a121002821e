"""Which streams of a file hold a voice or a face."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from stream.media.media_info import PROBLEMS, UNREADABLE, Content, Problem, UnreadableReason
from stream.media.probe import Unusable
from stream.media.surveyor import survey_file
from stream.produce.sample import CALL, FACES
from tests.support.recordings import Film, Planes, Sound, noise, write


@pytest.fixture(scope="module")
def voice() -> Planes:
    """(1, n) ten seconds of a voice at 8 kHz."""
    with av.open(str(CALL)) as call:
        samples = np.concatenate([frame.to_ndarray().reshape(-1, 2)[:, 1] for frame in call.decode(audio=0)])
        rate = call.streams.audio[0].rate
    return (samples[: 10 * rate : rate // 8000] / np.float32(32_768)).astype(np.float32).reshape(1, -1)


@pytest.fixture(scope="module")
def face() -> Any:
    """A picture with a face."""
    with av.open(str(FACES)) as film:
        return next(film.decode(video=0)).to_ndarray(format="rgb24")


def test_the_stream_with_a_voice_is_found(tmp_path: Path, voice: Planes) -> None:
    streams = (
        Sound([(0, np.zeros_like(voice))], rate=8000),
        Sound([(0, noise(10, 8000, level_db=-40))], rate=8000),
        Sound([(0, voice)], rate=8000),
    )
    survey = survey_file(str(write(tmp_path / "tracks.mka", "matroska", *streams)))
    assert survey.contents == {0: Content.SILENT, 1: Content.SOUND, 2: Content.VOICE}
    best = survey.best_audio()
    assert best is not None
    assert best.index == 2


def test_the_stream_with_a_face_is_found(tmp_path: Path, face: Any) -> None:
    height, width = face.shape[:2]
    camera = Film([(0, 5)], width=width // 2 * 2, height=height // 2 * 2, picture=face[: height // 2 * 2, : width // 2 * 2])
    survey = survey_file(str(write(tmp_path / "slides.mkv", "matroska", Film([(0, 5)]), camera)))
    assert survey.contents == {0: Content.PICTURE, 1: Content.FACE}
    best = survey.best_video()
    assert best is not None
    assert best.index == 1


def test_a_voice_on_one_inverted_channel_or_after_a_long_silence_is_found(tmp_path: Path, voice: Planes) -> None:
    inverted = Sound([(0, np.concatenate([voice, -voice]))], layout="stereo", rate=8000)
    late = Sound([(0, np.zeros((1, 8000 * 120), np.float32)), (120, np.tile(voice, 12))], rate=8000)
    assert survey_file(str(write(tmp_path / "inverted.wav", "wav", inverted))).contents == {0: Content.VOICE}
    assert survey_file(str(write(tmp_path / "late.mka", "matroska", late))).contents == {0: Content.VOICE}


def test_a_file_of_which_nothing_can_be_used_is_refused_with_the_reason(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.mp4", "mp4", Sound([(0, noise(2))], "aac"), options={"movflags": "faststart"}).read_bytes()
    header_only = whole[: whole.index(b"mdat") + 4]
    encrypted = whole.replace(b"mp4a", b"enca")
    unknown = write(tmp_path / "sound.wav", "wav", Sound([(0, noise(1))])).read_bytes()
    unknown = unknown.replace(b"fmt \x10\x00\x00\x00\x01\x00", b"fmt \x10\x00\x00\x00\x99\x77")
    for name, content, reason in (
        ("header_only.mp4", header_only, UnreadableReason.NOTHING_DECODED),
        ("encrypted.mp4", encrypted, UnreadableReason.ENCRYPTED),
        ("unknown.wav", unknown, UnreadableReason.NO_DECODER),
        ("empty.mp4", b"", UnreadableReason.EMPTY),
        ("zeros.mp4", b"\0" * 5000, UnreadableReason.NOT_MEDIA),
        ("no_samples.wav", unknown[:40] + b"\0\0\0\0", None),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(Unusable) as error:
            survey_file(str(path))
        assert reason is None or error.value.reason is reason, name


def test_film_without_times_is_looked_at(tmp_path: Path, face: Any) -> None:
    film = write(tmp_path / "film.h264", "h264", Film([(0, 11)], fps=5, width=face.shape[1], height=face.shape[0], picture=face))
    assert survey_file(str(film)).contents == {0: Content.FACE}


def test_every_problem_and_reason_has_a_sentence() -> None:
    assert set(PROBLEMS) == set(Problem)
    assert set(UNREADABLE) == set(UnreadableReason)
