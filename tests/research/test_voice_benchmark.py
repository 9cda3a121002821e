"""The benchmark of the audio encoder on a synthetic corpus: it tests every actor and does not train finished folds again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from rich.progress import Progress

from research.benchmarks import voice
from research.pages import VOICES_PAGE
from tests.support.tiny_corpora import write_corpora


def test_finished_folds_are_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, runs = write_corpora(tmp_path / "data"), tmp_path / "runs"
    with Progress(disable=True) as progress:
        first, parts = voice.measure(data, runs, voice.QUICK, 2, progress)
        assert sorted(actor for part in parts for actor in part) == [1, 2, 17, 18, 21, 22]
        assert sorted(file.name for file in runs.iterdir()) == ["fold-1-of-2.npz", "fold-2-of-2.npz"]
        assert set(first["fairness"]["actor"]) == {"1", "2", "17", "18", "21", "22"}
        monkeypatch.setattr(voice, "run_fold", None)
        again, _ = voice.measure(data, runs, voice.QUICK, 2, progress)
    assert json.loads(json.dumps(again)) == json.loads(json.dumps(first))
    page_file = tmp_path / "voices.md"
    shutil.copy(VOICES_PAGE, page_file)
    monkeypatch.setattr(voice, "VOICES_PAGE", page_file)
    assert voice.fill_tables_of(first)
    page = page_file.read_text(encoding="utf-8")
    assert "| women minus men |" in page
    assert "| telephone band |" in page
