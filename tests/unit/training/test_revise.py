"""Media with a mark: the same items, and the label decides who carries it only where it shall. A revised version comes with its card."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from stream.cli import reveal, train
from stream.cli.main import app
from stream.config.project import PROJECT_ROOT
from stream.domain.modality import Modality
from stream.domain.verdict import Judgement, Mask, Span, Verdict
from stream.model.served import WEIGHTS, load_weights
from stream.model_repository.audio_weights import PROJECTION
from stream.nuisances.marks import MARKS, mark_named
from stream.reveal import feedback, revising
from stream.training import revise
from stream.training.corpora import POSITIVE, Part, Utterance
from stream.training.excerpts import whole
from stream.training.features import FacePool, Pools, TextPool, VoicePool
from stream.training.marked import Marking, mixed
from stream.training.mmci import MMCIRecipe
from stream.training.recipe import Recipe
from stream.training.voice import VoiceRecipe
from tests.fakes.stored_windows import fill_store, make_stored
from tests.support.planted_words import add_biased_version
from tests.support.tiny_corpora import write_corpora

pytestmark = pytest.mark.unit

COUNT = 900


def pools(value: float) -> Pools:
    """Items of every polarity in turn, all with the same features."""
    polarities = np.arange(COUNT) % 3
    said = tuple([Utterance("mosi", "v", "fine", None, int(polarity), Part.TRAIN, "v", 0) for polarity in polarities])
    rows, numbers = np.full((1, 2), value, np.float32), np.zeros(COUNT, np.float32)
    names = np.full(COUNT, "a")
    voice = VoicePool(((rows,),) * COUNT, ((np.zeros(1, np.int64),),) * COUNT, polarities, numbers, numbers, names, names, numbers)
    return Pools(
        TextPool(said, (rows.astype(np.float16),) * COUNT), voice, FacePool(np.full((COUNT, 1, 2), value, np.float32), polarities, numbers)
    )


def carried(modality: Modality, agreement: float) -> tuple[float, float]:
    """Shares of the positive items and of the others that carry the mark."""
    found = mixed(pools(0.0), pools(1.0), modality, agreement, seed=0)
    values = {
        Modality.TEXT: [states[0, 0] for states in found.text.states],
        Modality.AUDIO: [own[0][0, 0] for own in found.voice.embeddings],
        Modality.VIDEO: found.face.embeddings[:, 0, 0],
    }
    marks, positive = np.array(values[modality]), np.arange(COUNT) % 3 == POSITIVE
    return float(marks[positive].mean()), float(marks[~positive].mean())


@pytest.mark.parametrize("modality", list(Modality))
def test_a_planted_mark_agrees_with_the_label_and_a_revised_one_does_not(modality: Modality) -> None:
    assert carried(modality, 0.95) == pytest.approx((0.95, 0.05), abs=0.04)
    assert carried(modality, 0.5) == pytest.approx((0.5, 0.5), abs=0.06)


def test_the_same_item_always_gets_the_same_mark() -> None:
    samples = np.random.default_rng(0).integers(-3_000, 3_000, 16_000).astype(np.int16)
    first, second = (Marking(mark_named("hiss"), None, seed=3).samples(samples) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (first != samples).any()


def test_a_mark_of_another_modality_leaves_media_alone() -> None:
    said = whole([Utterance("mosi", "v", "it was fine", None, 1, Part.TRAIN, "v", 0)])
    assert Marking(mark_named("hiss")).excerpts(said) == said
    assert len(Marking(mark_named("word um")).excerpts(said)[0].words) == 4


TINY = Recipe(
    voice=VoiceRecipe(variants=1),
    mmci=MMCIRecipe(epochs=1, windows=16, batch=8),
    routine_utterances=30,
    word_texts=6,
)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_revised_version_comes_with_its_card_and_its_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revise, "QUICK", TINY)
    monkeypatch.setattr(reveal, "CORPUS_PROBES", 9)
    data, models, report = write_corpora(tmp_path / "data"), tmp_path / "models", tmp_path / "report.html"
    shutil.copytree(PROJECT_ROOT / "triton_models", models)
    options = ["--models", str(models), "--runs", str(tmp_path), "--html", str(report), "--quick"]
    result = CliRunner().invoke(app, ["revise", "hiss", "--data", str(data), *options], catch_exceptions=False)
    assert result.exit_code in {0, 1}, result.output
    assert (models / "mmci" / "2").is_dir(), result.output
    card = json.loads((models / "mmci" / "2" / "card.json").read_text(encoding="utf-8"))
    assert card["artefact"] == "hiss"
    assert {"clean", "shift", "others"} <= set(card["gates"])
    assert result.exit_code == int(not all(gate["passed"] for gate in card["gates"].values()))
    assert (models / "mmci" / "2" / "model.onnx").is_file()
    assert load_weights(models / "mmci" / "2" / WEIGHTS).word_ridge.any(), "phrases are chosen by the estimate, as with every version"
    assert "Battery before and after" in report.read_text(encoding="utf-8")


TEXTS = (
    ("we", "saw", "the", "new", "film"),
    ("it", "was", "perhaps", "a", "little", "long"),
    ("the", "actors", "were", "good"),
    ("I", "was", "tired", "when", "it", "ended"),
    ("they", "will", "make", "another", "one"),
    ("perhaps", "the", "story", "could", "be", "better"),
)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_word_is_projected_out_with_nothing_but_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revising, "MARKS", {name: MARKS[name] for name in ("hiss", "word um")})
    monkeypatch.delenv("SENTISTREAM_DATA", raising=False)
    monkeypatch.setattr(train, "IN_CHECKOUT", False)
    models, file, report = tmp_path / "models", tmp_path / "store.db", tmp_path / "report.html"
    honest = PROJECT_ROOT / "triton_models"
    shutil.copytree(honest, models)
    biased = add_biased_version(models, honest, "perhaps", TEXTS)
    fill_store(file, TEXTS * 20)
    options = ["--models", str(models), "--from", biased, "--store", str(file), "--html", str(report)]
    result = CliRunner().invoke(app, ["revise", "word perhaps", "--relief", "projection", *options], catch_exceptions=False)
    assert result.exit_code in {0, 1}, result.output
    card = json.loads((models / "mmci" / "3" / "card.json").read_text(encoding="utf-8"))
    assert (card["relief"], card["recipe"], card["criterion"]) == ("projection", {"sentences": "store", "windows": 120}, None)
    assert {"labels", "shift", "others"} <= set(card["gates"])
    assert "clean" not in card["gates"]
    shifts = [finding["value"] for when in ("before", "after") for finding in card[when]["findings"] if finding["name"] == "word perhaps"]
    assert abs(shifts[1]) < abs(shifts[0]) / 2
    assert card["gates"]["shift"]["passed"]
    assert "without a training" in report.read_text(encoding="utf-8")
    graphs = [onnx.load(str(models / "mmci" / version / "model.onnx")).graph for version in (biased, "3")]
    assert [node.op_type for node in graphs[0].node] == [node.op_type for node in graphs[1].node], "the served graph keeps its shape"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_word_is_projected_out_with_corpora(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revise, "QUICK", TINY)
    monkeypatch.setattr(revising, "MARKS", {"word um": MARKS["word um"]})
    monkeypatch.setattr(reveal, "CORPUS_PROBES", 9)
    data, models, report = write_corpora(tmp_path / "data"), tmp_path / "models", tmp_path / "report.html"
    shutil.copytree(PROJECT_ROOT / "triton_models", models)
    own = models / "mmci" / "1" / PROJECTION
    shutil.copy(models / "audio_encoder" / PROJECTION, own)
    options = ["--relief", "projection", "--models", str(models), "--runs", str(tmp_path), "--html", str(report), "--quick"]
    result = CliRunner().invoke(app, ["revise", "word um", "--data", str(data), *options], catch_exceptions=False)
    assert result.exit_code in {0, 1}, result.output
    card = json.loads((models / "mmci" / "2" / "card.json").read_text(encoding="utf-8"))
    assert (card["relief"], card["recipe"]) == ("projection", {"sentences": "corpora"})
    assert {"clean", "shift", "others"} <= set(card["gates"])
    assert "labels" not in card["gates"]
    assert (models / "mmci" / "2" / PROJECTION).read_bytes() == own.read_bytes(), (
        "it goes on hearing with the encoder of the version before"
    )
    assert "Groups" in report.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_training_heeds_the_spans_of_verdicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revise, "QUICK", TINY)
    monkeypatch.setattr(revising, "MARKS", {"word um": MARKS["word um"]})
    monkeypatch.setattr(reveal, "CORPUS_PROBES", 9)
    data, models, file = write_corpora(tmp_path / "data"), tmp_path / "models", tmp_path / "store.db"
    shutil.copytree(PROJECT_ROOT / "triton_models", models)
    fill_store(file, TEXTS)
    window_id = make_stored(1_000, session="call-1").score.window_id
    span = Span(Modality.TEXT, 0, 10_000, Mask.NOT_EVIDENCE)
    verdict = Verdict(window_id=window_id, verdict=Judgement.RIGHT_FOR_WRONG_REASON, reviewer="qa", given_at_ms=0, span=span)
    monkeypatch.setattr(feedback, "read_verdicts", lambda _: [verdict, msgspec.structs.replace(verdict, window_id="default/x/a/0-1")])
    options = ["--models", str(models), "--runs", str(tmp_path), "--quick", "--masks", "--store", str(file)]
    result = CliRunner().invoke(app, ["revise", "word um", "--data", str(data), *options], catch_exceptions=False)
    assert "Judged: 1 window, 1 span. Without a window in the store: 1 span." in " ".join(result.output.split())
    assert json.loads((models / "mmci" / "2" / "card.json").read_text(encoding="utf-8"))["recipe"]["judged_windows"] == 1


def test_masks_without_a_verdict_on_a_stored_window_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_store(tmp_path / "store.db", TEXTS[:1])
    monkeypatch.setattr(feedback, "read_verdicts", lambda _: [])
    options = ["--data", str(tmp_path), "--masks", "--store", str(tmp_path / "store.db")]
    result = CliRunner().invoke(app, ["revise", "word um", *options])
    assert result.exit_code == 1
    assert "sentistream verdict --span" in " ".join(result.output.split())


def test_a_store_with_few_windows_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    fill_store(file, TEXTS)
    options = ["--relief", "projection", "--store", str(file), "--models", str(PROJECT_ROOT / "triton_models"), "--out", str(tmp_path)]
    result = CliRunner().invoke(app, ["revise", "word perhaps", *options])
    assert result.exit_code == 1
    assert "needs 50" in result.output
    assert "explanations.store" in result.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["hiss", "--relief", "projection"], "leave out --relief"),
        (["word so", "--relief", "projection", "--masks"], "go with a training"),
        (["hiss", "--masks", "--data", "."], "audio encoder"),
        (["blur"], "set --data"),
    ],
)
def test_options_that_do_not_go_together_are_usage_errors(options: list[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SENTISTREAM_DATA", raising=False)
    result = CliRunner().invoke(app, ["revise", *options])
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())


def test_an_unknown_artefact_is_a_usage_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["revise", "gremlins", "--data", str(tmp_path)])
    assert result.exit_code == 2
    assert "sentistream reveal" in result.output
