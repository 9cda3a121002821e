"""The sessions of a demo run."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.cli.demo.plan import Recordings, plan_sessions
from stream.cli.errors import CommandError

CUES = "WEBVTT\n\n00:00.000 --> 00:01.000\nwell then\n"


def words(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text(CUES, encoding="utf-8")
    return path


def ignore_step(_: str) -> None:
    """The steps do not matter here."""


def test_sessions_go_round_the_recordings_with_a_name_each(tmp_path: Path) -> None:
    recordings = Recordings((words(tmp_path, "a.vtt"), words(tmp_path, "b.vtt")), sessions=5)
    planned = plan_sessions(recordings, ignore_step)
    names = [session.plan.key.session for session in planned]
    assert len(set(names)) == 5
    assert [name.rpartition("-")[2] for name in names] == ["1", "2", "3", "4", "5"]
    assert [session.name for session in planned] == ["a.vtt", "b.vtt", "a.vtt", "b.vtt", "a.vtt"]


def test_two_runs_never_share_a_session_name(tmp_path: Path) -> None:
    recordings = Recordings((words(tmp_path, "a.vtt"),))
    first, second = plan_sessions(recordings, ignore_step), plan_sessions(recordings, ignore_step)
    assert first[0].plan.key != second[0].plan.key


def test_transcripts_belong_to_media_in_order(tmp_path: Path) -> None:
    clips, text = (tmp_path / "a.mp4", tmp_path / "b.mp4"), words(tmp_path, "a.vtt")
    assert [r.transcript for r in Recordings(clips, (text,), recognise=False).requests()] == [text, None]
    assert [r.recognise for r in Recordings(clips, recognise=False).requests()] == [False, False]
    with pytest.raises(CommandError, match="MEDIA"):
        Recordings((), (text,)).requests()


def test_every_unusable_file_is_named_at_once_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "broken.vtt").write_text("no cues", encoding="utf-8")
    media = (words(tmp_path, "a.vtt"), tmp_path / "gone.mp4", tmp_path / "empty.wav", tmp_path / "broken.vtt")
    with pytest.raises(CommandError) as error:
        plan_sessions(Recordings(media), ignore_step)
    gone, empty, broken = str(error.value).splitlines()
    assert gone.endswith("gone.mp4: there is no such file")
    assert empty.endswith("empty.wav: the file is empty")
    assert "broken.vtt: " in broken


def test_names_of_speakers_hold_for_every_recording(tmp_path: Path) -> None:
    media = (words(tmp_path, "a.vtt"), words(tmp_path, "b.vtt"))
    planned = plan_sessions(Recordings(media, channels=("agent", "customer")), ignore_step)
    assert [[track.track for track in session.plan.tracks] for session in planned] == [["agent", "customer"]] * 2
    with pytest.raises(CommandError, match="name in --channels must be"):
        plan_sessions(Recordings(media, channels=("a b", "c")), ignore_step)
    with pytest.raises(CommandError, match="your own recordings"):
        Recordings(channels=("agent", "customer")).requests()


def test_no_recording_is_left_out(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="too few"):
        Recordings((words(tmp_path, "a.vtt"), words(tmp_path, "b.vtt")), sessions=1).requests()


def test_without_media_there_is_the_sample() -> None:
    requests = Recordings().requests()
    assert len(requests) == 2
    assert all(request.media.is_file() for request in requests)
    assert all(request.transcript is not None and request.transcript.is_file() for request in requests)
