"""Corpora of the experiments: their parts and context, no leaks between parts, and pickles that cannot run code."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from research.experiments.config import DataConfig, read_config
from research.experiments.corpus import NO_WINDOW, Corpus, Features, neighbours_in_time, standardised, with_validation
from research.experiments.mmsa import RefusedPickleError, read_mmsa
from research.experiments.mosi import read_meld_text, read_mosi
from research.experiments.windows import Windows, with_earlier_words
from research.models.variants import Variant, VariantConfig, build
from stream.config.project import PROJECT_ROOT
from stream.domain.modality import MODALITIES, Modality
from stream.training.corpora import Part
from stream.training.errors import TrainingError
from tests.support.tiny_corpora import write_meld_with_speakers
from tests.support.tiny_mosi import UTTERANCES, write_mosi

DATA = os.environ.get("SENTISTREAM_DATA")
CONFIGS = [file for file in sorted((PROJECT_ROOT / "research" / "configs").rglob("*.yaml")) if file.parent.name != "shared"]


@pytest.fixture(scope="module")
def bclstm(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return read_mosi(write_mosi(tmp_path_factory.mktemp("data")), "bclstm")


def test_parts_are_whole_videos_and_the_validation_part_depends_on_the_seed(bclstm: Corpus) -> None:
    corpora = [with_validation(bclstm, 3, seed) for seed in (0, 0, 1)]
    assert corpora[0].parts == corpora[1].parts != corpora[2].parts
    by_part = [{corpora[0].groups[row] for row in corpora[0].rows(part)} for part in Part]
    assert [len(videos) for videos in by_part] == [8, 3, 4]
    assert not by_part[0] & by_part[1] | by_part[1] & by_part[2] | by_part[0] & by_part[2]
    assert np.array_equal(corpora[0].rows(Part.TEST), bclstm.rows(Part.TEST))


def test_context_comes_from_the_same_video_in_order_of_time(bclstm: Corpus) -> None:
    rows, lags = neighbours_in_time(bclstm, 2, 1)
    for row in range(len(bclstm)):
        for neighbour, lag in zip(rows[row], lags[row], strict=True):
            expected_order = bclstm.order[row] - lag
            if neighbour == NO_WINDOW:
                assert not 1 <= expected_order <= UTTERANCES
            else:
                assert bclstm.groups[neighbour] == bclstm.groups[row]
                assert bclstm.order[neighbour] == expected_order


def test_features_are_standardised_by_the_training_windows_only(bclstm: Corpus) -> None:
    test = bclstm.rows(Part.TEST)
    audio = bclstm.features[Modality.AUDIO]
    shifted = audio.values.copy()
    shifted[test] += 1_000.0
    original = standardised(bclstm)
    changed = standardised(replace(bclstm, features=bclstm.features | {Modality.AUDIO: Features(shifted, audio.mask)}))
    training = bclstm.rows(Part.TRAIN)
    assert np.array_equal(original.features[Modality.AUDIO].values[training], changed.features[Modality.AUDIO].values[training])
    assert np.allclose(original.features[Modality.AUDIO].values[training].mean(axis=0), 0, atol=1e-4)


@pytest.mark.parametrize("name", [Variant.BC_LSTM, Variant.MULT, Variant.RGCN, Variant.MMCI])
@pytest.mark.parametrize("future", [0, 3])
def test_a_later_utterance_changes_no_prediction_unless_the_context_includes_the_future(bclstm: Corpus, name: Variant, future: int) -> None:
    corpus = standardised(bclstm)
    video = corpus.groups[int(corpus.rows(Part.TEST)[0])]
    own = np.array([row for row in corpus.rows(Part.TEST) if corpus.groups[row] == video])
    own = own[np.argsort(corpus.order[own])]
    changed = {m: Features(values.values.copy(), values.mask) for m, values in corpus.features.items()}
    for features in changed.values():
        features.values[own[3]] *= -2.0
    torch.manual_seed(0)
    model = build(VariantConfig(name=name, hidden=8, both_ways=bool(future)), Windows(corpus).widths, 3, len(corpus)).eval()
    scores = []
    for variant in (corpus, replace(corpus, features=changed)):
        with torch.no_grad():
            scores.append(model.predict(Windows(variant, past=3, future=future).batch(own)[0]).score)
    same = (scores[0] - scores[1]).abs() < 1e-6
    assert same[:3].all() == (future == 0)
    assert not same[3:].any(), "the change affects the utterance itself and the utterances after it"


def test_tokens_of_earlier_utterances_come_first_and_are_not_pooled(bclstm: Corpus) -> None:
    plain, context = with_earlier_words(bclstm, 0), with_earlier_words(bclstm, 2)
    row = next(i for i in range(len(bclstm)) if bclstm.order[i] == 3)
    first = next(i for i in range(len(bclstm)) if bclstm.order[i] == 1)
    assert context.ids[row].size > plain.ids[row].size
    assert np.array_equal(context.ids[row][context.own[row] == 1], plain.ids[row][plain.own[row] == 1])
    assert np.array_equal(context.ids[first], plain.ids[first])


def test_tokens_contain_no_later_utterance(bclstm: Corpus) -> None:
    last = UTTERANCES
    texts = tuple("something else" if order == last else text for text, order in zip(bclstm.texts, bclstm.order, strict=True))
    original, changed = with_earlier_words(bclstm, 2), with_earlier_words(replace(bclstm, texts=texts), 2)
    for row in range(len(bclstm)):
        if bclstm.order[row] < last:
            assert np.array_equal(original.ids[row], changed.ids[row])


def test_the_standard_split_has_no_leaked_features(tmp_path: Path) -> None:
    corpus = read_mosi(write_mosi(tmp_path), "std")
    assert set(corpus.features) == {Modality.AUDIO}
    for leaked in ({"text": "given"}, {"text": "minilm"}):
        with pytest.raises(ValidationError, match="leak the standard split"):
            DataConfig(split="std", **leaked)
    assert DataConfig(split="std", text="minilm", modalities=(Modality.TEXT, Modality.AUDIO)).split == "std"


def test_meld_has_speakers_and_no_scores(tmp_path: Path) -> None:
    corpus = read_meld_text(write_meld_with_speakers(tmp_path))
    assert len(corpus) == 18
    assert np.isnan(corpus.scores).all()
    assert set(corpus.speakers) == {"A", "B"}
    assert len(set(corpus.groups)) == 6, (
        "dialogues of different files are different groups, although their numbers start again in each file"
    )


def write_mmsa(file: Path, parts: dict[str, dict[str, object]]) -> Path:
    file.write_bytes(pickle.dumps(parts, protocol=4))
    return file


def mmsa_part(count: int, seed: int) -> dict[str, object]:
    rng = np.random.default_rng(seed)
    audio = rng.standard_normal((count, 4, 3)).astype(np.float32)
    audio[0, 2:] = 0.0
    audio[1, 0, 0] = -np.inf
    return {
        "id": np.array([f"video{seed}$_${i}" for i in range(count)], dtype=object),
        "raw_text": np.array(["GOOD", "bad"] * count, dtype=object)[:count],
        "text": rng.standard_normal((count, 5, 8)),
        "audio": audio,
        "vision": rng.standard_normal((count, 6, 2)).astype(np.float32),
        "regression_labels": rng.uniform(-1, 1, count).astype(np.float32),
    }


def test_a_pickle_of_mmsa_is_read_completely(tmp_path: Path) -> None:
    file = write_mmsa(tmp_path / "sims.pkl", {name: mmsa_part(4, seed) for seed, name in enumerate(("train", "valid", "test"))})
    corpus = read_mmsa(file, limit=1.0)
    assert [corpus.rows(part).size for part in Part] == [4, 4, 4]
    assert {m: own.values.shape for m, own in corpus.features.items()} == dict(
        zip(MODALITIES, ((12, 5, 8), (12, 4, 3), (12, 6, 2)), strict=True)
    )
    assert corpus.features[Modality.AUDIO].mask[0].tolist() == [1, 1, 0, 0]
    assert np.isfinite(corpus.features[Modality.AUDIO].values).all()
    assert np.abs(corpus.scores).max() > 1.0
    assert corpus.groups[0] == "video0"
    assert corpus.order[:4].tolist() == [0, 1, 2, 3]


class Evil:
    """An object that makes the reader of a pickle run a command."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    file = write_mmsa(tmp_path / "evil.pkl", {"train": mmsa_part(2, 0) | {"extra": Evil(marker)}})
    with pytest.raises(RefusedPickleError, match=r"posix\.system"):
        read_mmsa(file)
    assert not marker.exists()


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps([1]), pickle.dumps({"train": {"id": ["a"]}}), pickle.dumps(eval)])
def test_other_files_are_refused_with_an_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "strange.pkl"
    file.write_bytes(content)
    with pytest.raises(RefusedPickleError):
        read_mmsa(file)


def test_the_word_level_fixture_is_read_as_a_pickle_of_mmsa(tmp_path: Path) -> None:
    fixture = Path(DATA or "") / "mosi" / "mosi_word_dev229.npz"
    if DATA is None or not fixture.is_file():
        pytest.skip("needs the research data: set SENTISTREAM_DATA")
    with np.load(fixture, allow_pickle=False) as stored:
        ends = np.cumsum(stored["lengths"])
        part = {"id": stored["ids"].astype(object), "raw_text": stored["words"].astype(object), "regression_labels": stored["label"]}
        for key, name in (("acoustic", "audio"), ("visual", "vision")):
            rows = np.split(stored[key], ends[:-1])
            part[name] = np.stack([np.pad(own, ((0, ends.size and 44 - own.shape[0]), (0, 0))) for own in rows])
        lengths = stored["lengths"]
    corpus = read_mmsa(write_mmsa(tmp_path / "mosi.pkl", {"train": part, "valid": part, "test": part}))
    assert len(corpus) == 3 * 229
    audio = corpus.features[Modality.AUDIO]
    assert audio.values.shape == (3 * 229, 44, 74)
    assert np.all(audio.mask.sum(axis=1)[:229] <= lengths)
    assert len(set(corpus.groups)) == 10
    model = build(VariantConfig(name=Variant.MMCI, hidden=8), Windows(corpus).widths, 2, len(corpus)).eval()
    with torch.no_grad():
        score = model.predict(Windows(standardised(corpus), past=2).batch(np.arange(4))[0]).score
    assert torch.isfinite(score).all()


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_committed_experiments_are_valid_and_named_after_their_file(file: Path) -> None:
    config = read_config(file)
    assert config.name == f"{file.parent.name}-{file.stem}"
    assert config.seeds >= 5
    if config.data.split == "bclstm" and config.data.text == "given" and config.data.corpus == "mosi":
        assert config.training.choose == "last", "a validation part taken from these training videos is leaked"
    assert not config.data.future or "FUTURE" in config.note


def test_the_recipe_of_the_served_models_is_refused_with_the_right_command() -> None:
    with pytest.raises(TrainingError, match="is the recipe of the served models; train them with: sentistream train"):
        read_config(PROJECT_ROOT / "configs" / "training" / "live.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nmodel: {name: mmci, hiden: 3}", "model.hiden"),
        ("name: a\nmodel: {name: mmci}\nepochs: 3", "epochs"),
        ("name: a\nmodel: {name: mmci}\ndata: {future: 2}", "both_ways"),
        ("- 1", "keys and values"),
        ("a: [", "cannot be read"),
        ("extends: x.yaml", "circular"),
    ],
)
def test_errors_in_configurations_are_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(TrainingError, match=message):
        read_config(file)


def test_shuffled_batches_contain_rows_of_similar_length(bclstm: Corpus) -> None:
    windows = Windows(bclstm.only((Modality.AUDIO,)), tokens=(with_earlier_words(bclstm, 0), with_earlier_words(bclstm, 1)))
    training = bclstm.rows(Part.TRAIN)
    order = windows.shuffled(training, 4, np.random.default_rng(0))
    assert sorted(order) == sorted(training)
    assert not np.array_equal(order, windows.shuffled(training, 4, np.random.default_rng(1)))

    def padding(rows: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> float:
        batches = [windows.batch(rows[start : start + 4])[0].tokens for start in range(0, rows.size, 4)]
        return sum(float((1.0 - view.mask).sum()) for tokens in batches for view in tokens)

    assert padding(order) < 0.5 * padding(np.random.default_rng(0).permutation(training))
