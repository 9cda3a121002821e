"""Paths that name no file that can be read: refused at once, whatever kind of thing they name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stream.media.errors import SourceError, TranscriptError
from stream.media.source import MediaFile, survey
from stream.media.transcript.read import read_transcript
from tests.support.recordings import Sound, tone, write


def _pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def _loop(path: Path) -> Path:
    path.symlink_to(path)
    return path


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (_pipe, "this is a pipe or a device"),
        (lambda _: Path("/dev/zero"), "this is a pipe or a device"),
        (_folder, "this is a folder"),
        (_loop, "Too many levels of symbolic links"),
        (lambda path: path.with_name("x" * 5000), "File name too long"),
        (lambda path: path, "there is no such file"),
    ],
)
def test_what_is_no_file_is_refused_without_opening_it(tmp_path: Path, make: object, problem: str) -> None:
    assert callable(make)
    path = make(tmp_path / "call.srt")
    with pytest.raises(SourceError, match=problem):
        survey(path)
    with pytest.raises(TranscriptError, match=problem):
        read_transcript(path)


def test_a_file_name_may_hold_any_byte(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff a'\n\"b%03d.wav"))
    write(tmp_path / "plain.wav", "wav", Sound([(0, tone(1))])).rename(path)
    with MediaFile(path) as file:
        assert [piece.duration_ms for piece in file.pieces()] == [1000]
