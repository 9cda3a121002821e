"""The benchmark of the voice encoder on synthetic corpora: it tests every actor and every corpus, and encodes recordings once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from rich.progress import Progress

from research.benchmarks import voice
from research.pages import VOICES_PAGE
from research.voices import folds
from stream.training.voice import VoiceRecipe
from tests.support.tiny_corpora import write_corpora, write_other_voices

RECIPE = VoiceRecipe(variants=1)


def test_every_actor_and_every_corpus_is_tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, runs = write_corpora(tmp_path / "data"), tmp_path / "runs"
    write_other_voices(data, ["other", "tess"])
    with Progress(disable=True) as progress:
        first, parts = voice.measure(data, runs, RECIPE, 2, progress)
        assert sorted(actor for part in parts for actor in part) == [1, 2, 17, 18, 21, 22]
        assert sorted(str(file.relative_to(runs)) for file in runs.rglob("*.npz")) == ["live/voice_features.npz", "voice/planted.npz"]
        assert set(first["fairness"]["actor"]) == {"1", "2", "17", "18", "21", "22"}
        assert {name: own["alone"]["n"] for name, own in first["left_out"].items()} == {"other": 18, "ravdess": 18, "tess": 18}
        monkeypatch.setattr(folds, "audible_features", None)
        again, _ = voice.measure(data, runs, RECIPE, 2, progress)
    assert json.loads(json.dumps(again)) == json.loads(json.dumps(first))
    page_file = tmp_path / "voices.md"
    shutil.copy(VOICES_PAGE, page_file)
    monkeypatch.setattr(voice, "VOICES_PAGE", page_file)
    assert voice.fill_tables_of(first)
    page = page_file.read_text(encoding="utf-8")
    assert "| women minus men |" in page
    assert "| telephone band |" in page
    assert page.index("| other | 18 |") < page.index("| tess | 18 |") < page.index("| **mean without tess** |")


def test_the_mean_leaves_out_the_easy_corpus() -> None:
    numbers = dict.fromkeys(voice.EVIDENCE_NUMBERS, 0.25)
    of = {"alone": numbers | {"n": 4.0}, "in conversation": numbers | {"n": 4.0}}
    easy = {state: own | dict.fromkeys(voice.EVIDENCE_NUMBERS, 1.0) for state, own in of.items()}
    *_, last = voice.evidence_table({"left_out": {"tess": easy, "urdu": of}}).splitlines()
    assert last.count("0.250 / 0.250") == len(voice.EVIDENCE_NUMBERS)
