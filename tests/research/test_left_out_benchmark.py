"""Models that have never heard a corpus: what they are trained on, and what is not done twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from rich.progress import Progress

from benchmarks.generalise_runs import voices
from benchmarks.generalise_runs.voices import Answer, Recording
from research.benchmarks import left_out
from research.experiments.run import Folders
from research.pages import VOICES_PAGE
from stream.config.settings import Settings
from stream.domain.context import CONTEXT_WINDOWS
from stream.model.config import MMCIConfig
from stream.training import faces
from stream.training.mmci import MMCIRecipe
from stream.training.recipe import Paths, Recipe, run
from stream.training.voice import Projection, VoiceRecipe
from tests.support.tiny_corpora import write_corpora, write_other_voices

TINY = Recipe(
    voice=VoiceRecipe(variants=1),
    face=faces.FaceRecipe(epochs=1, batch=6),
    mmci=MMCIRecipe(epochs=1, windows=16, batch=8, config=MMCIConfig(hidden=8, head_hidden=8, strata=2, past=CONTEXT_WINDOWS)),
    routine_utterances=30,
)


def measures(recall: float) -> left_out.Measures:
    return {**dict.fromkeys(left_out.COLUMNS, recall), "recordings": 10}


@pytest.mark.slow
def test_each_corpus_has_models_of_its_own_which_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_corpora(tmp_path / "data")
    write_other_voices(data, ["first", "second"])
    folders = Folders(data, tmp_path / "runs", tmp_path / "served")
    served: list[Path] = []

    async def answered(recordings: Sequence[Recording], progress: Progress, title: str, settings: Settings) -> list[Answer | None]:
        served.append(settings.triton.model_repository)
        return [Answer(0.5, 0.5, (0.2, 0.3, 0.5))] * len(recordings)

    monkeypatch.setattr(left_out, "answers", answered)
    with Progress(disable=True) as progress:
        run(Paths(data, folders.repository, tmp_path / "metrics.json", tmp_path / "live"), TINY, 0, ("audio", "face"), progress)
        known = voices.corpora(data / "voices")
        bench = left_out.Run(folders, TINY, None, progress)
        found = {name: bench.measure(name, known[name]) for name in known}
        again = left_out.Run(folders, TINY, None, progress)
        monkeypatch.setattr(left_out, "train_without", None)
        assert {name: again.measure(name, known[name]) for name in known} == found
    first, second = (folders.runs / "left-out" / name for name in ("first", "second"))
    assert served == [first, second]
    assert found["first"]["recordings"] == 18
    for model in ("audio_encoder", "face_encoder", "mmci", "text_encoder"):
        assert (first / model / "1" / "model.onnx").is_file(), model
    assert (first / "face_encoder" / "1" / "model.onnx").read_bytes() == (
        folders.repository / "face_encoder" / "1" / "model.onnx"
    ).read_bytes()
    weights = [Projection.load(path / "audio_encoder" / "projection.safetensors").weight for path in (folders.repository, first, second)]
    assert not any(np.allclose(weights[a], weights[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


def test_the_mean_is_that_of_the_headline_corpora(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = {"ravdess": measures(0.5), "tess": measures(1.0), "urdu": measures(0.7) | {"arousal_auc": None}}
    mean = left_out.mean_of(measured)
    assert mean["polarity_recall"] == pytest.approx(0.6)
    assert mean["arousal_auc"] == pytest.approx(0.5)
    assert mean["recordings"] == 20
    assert [row[0] for row in left_out.rows_of(measured)] == ["ravdess", "urdu", "mean", "tess"]
    page_file = tmp_path / "voices.md"
    shutil.copy(VOICES_PAGE, page_file)
    monkeypatch.setattr(left_out, "VOICES_PAGE", page_file)
    assert left_out.fill_tables_of(json.loads(json.dumps({"corpora": measured})))
    assert "| mean | 20 | 0.600 |" in page_file.read_text(encoding="utf-8")
