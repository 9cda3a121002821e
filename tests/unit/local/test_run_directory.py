"""The directory of a run is deleted unless the run fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.local.run_directory import run_directory


def test_a_run_directory_remains_only_after_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTISTREAM_CACHE", str(tmp_path / "cache"))
    with run_directory("test") as directory:
        assert directory.parent == tmp_path / "cache"
        assert directory.stat().st_mode & 0o077 == 0
    assert not directory.exists()
    with pytest.raises(KeyboardInterrupt), run_directory("test") as directory:
        raise KeyboardInterrupt
    assert not directory.exists()
    with pytest.raises(ValueError, match="x"), run_directory("test") as directory:
        raise ValueError("x")
    assert directory.exists()
