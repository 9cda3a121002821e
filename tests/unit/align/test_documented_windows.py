"""The examples and defaults of docs/windows.md."""

from __future__ import annotations

from stream.align.track import TrackAligner
from stream.config.media_settings import WindowSettings
from stream.config.project import PROJECT_ROOT
from stream.domain.modality import MODALITIES, Modality
from tests.unit.align.builders import POLICY, TRACK, chunk

PAGE = (PROJECT_ROOT / "docs" / "windows.md").read_text()


def test_every_option_is_listed_with_its_default_and_environment_variable() -> None:
    for name, option in WindowSettings.model_fields.items():
        assert f"| `windows.{name}` | {option.default} | `SENTISTREAM_WINDOWS__{name.upper()}` |" in PAGE


def test_a_window_waits_for_the_slowest_modality() -> None:
    track = _fed(4)
    closed = [[c.window.end_ms for c in track.on_chunk(chunk(4, m), 5000).closed] for m in (Modality.TEXT, Modality.AUDIO, Modality.VIDEO)]
    assert closed == [[], [], [4000]]


def test_the_clock_closes_windows_in_silence() -> None:
    track = _fed(5)
    closed = {at: [c.window.end_ms for c in track.on_time(at).closed] for at in (6400, 6500, 8400, 8500)}
    assert closed == {6400: [], 6500: [6000], 8400: [], 8500: [8000]}


def test_an_idle_modality_no_longer_counts() -> None:
    track = _fed(3)
    for seq in (3, 4):
        for modality in (Modality.TEXT, Modality.AUDIO):
            assert not track.on_chunk(chunk(seq, modality), seq * 1000 + 1000).closed
    assert [c.window.end_ms for c in track.on_time(5000).closed] == [4000]


def _fed(seconds: int) -> TrackAligner[str]:
    track: TrackAligner[str] = TrackAligner(TRACK, "customer", 0, POLICY, expected=MODALITIES, final_until_ms=None, now=0)
    for seq in range(seconds):
        for modality in MODALITIES:
            track.on_chunk(chunk(seq, modality), seq * 1000 + 1000)
    return track
