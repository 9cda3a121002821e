"""The benchmark of explanations: its goal, its fast scores, and the page that holds its numbers."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.explanation_runs.coalition_scores import CoalitionScores
from benchmarks.explanation_runs.pages import picture
from benchmarks.explanation_runs.planted import MARKED, Planter
from benchmarks.explanations import missed
from benchmarks.tables import texts
from stream.domain.inference import WindowInputs
from stream.explain.methods.gradient import value_of
from stream.explain.methods.value import Game, node_mask, node_pool
from stream.model.mmci import MMCI
from stream.model.served import SERVED, ServedMMCI
from tests.fakes.games import small_window

pytestmark = pytest.mark.unit

OURS = {"comprehensiveness": 0.85, "sufficiency": 0.95, "ms": 2.0}
SHAP = {"comprehensiveness": 0.75, "sufficiency": 0.95, "ms": 800.0}
LIME = {"comprehensiveness": 0.75, "sufficiency": 0.95, "ms": 200.0}


def filled_window(seed: int) -> WindowInputs:
    rng = np.random.default_rng(seed)
    empty = small_window()
    words, audio, video = (rng.normal(size=getattr(empty, name).shape).astype(np.float32) for name in ("words", "audio", "video"))
    times = [np.sort(rng.uniform(0, 1, (rows, 2)), axis=1).astype(np.float32) for rows in (8, 10, 5)]
    past_mask = (rng.random(empty.past_mask.shape) < 0.5).astype(np.float32)
    past_words = rng.normal(size=empty.past_words.shape).astype(np.float32)
    return replace(
        empty,
        words=words,
        audio=audio,
        video=video,
        word_times=times[0],
        audio_times=times[1],
        video_times=times[2],
        past_mask=past_mask,
        past_words=past_words,
    )


def test_scores_of_coalitions_are_those_of_the_network() -> None:
    torch.manual_seed(0)
    module = ServedMMCI(MMCI(SERVED)).eval()
    fast, rng = CoalitionScores(module), np.random.default_rng(0)
    for seed in (0, 1):
        window = filled_window(seed)
        kept = rng.random((20, 9)) < 0.5
        kept[0], kept[1] = False, True
        assert Game(window, fast)(kept) == pytest.approx(Game(window, value_of(module))(kept), abs=1e-5)


def test_scores_of_windows_that_take_turns_are_not_mixed_up() -> None:
    torch.manual_seed(0)
    module = ServedMMCI(MMCI(SERVED)).eval()
    windows = [filled_window(0), filled_window(1), filled_window(0), filled_window(1)]
    scores = CoalitionScores(module)(windows)
    assert scores == pytest.approx(value_of(module)(windows), abs=1e-5)
    assert scores[0] != pytest.approx(scores[1], abs=1e-4)


def test_the_goal_is_met_by_what_is_no_worse_and_fifty_times_cheaper() -> None:
    assert missed({"ours": OURS, "shap": SHAP, "lime": LIME}) == []


@pytest.mark.parametrize(
    ("row", "change", "words"),
    [
        ("ours", {"comprehensiveness": 0.83}, "comprehensiveness 0.830 is below 0.84"),
        ("ours", {"sufficiency": 0.9}, "sufficiency 0.900 is below 0.945"),
        ("shap", {"comprehensiveness": 0.86}, "comprehensiveness is behind shap: 0.850 < 0.860"),
        ("lime", {"ms": 90.0}, "costs more than 1/50 of lime"),
    ],
)
def test_what_misses_the_goal_is_named(row: str, change: dict[str, float], words: str) -> None:
    methods = {"ours": OURS, "shap": SHAP, "lime": LIME}
    assert words in missed(methods | {row: methods[row] | change})


def test_oracles_and_combinations_are_no_rivals() -> None:
    better = {"comprehensiveness": 1.0, "sufficiency": 1.0, "ms": 1.0}
    methods = {"ours": OURS, "shap": SHAP, "lime": LIME, "oracle": better, "combiner": better, "mean": better}
    assert missed(methods) == []


def test_a_mark_is_one_run_of_nodes_and_nothing_else_tells_the_label() -> None:
    window = replace(filled_window(0), word_mask=np.ones(8, np.float32), audio_mask=np.ones(10, np.float32))
    planter = Planter([window], node_pool([window]), seed=0)
    for planted in (planter.draw() for _ in range(20)):
        marked = np.flatnonzero(planted.mask)
        assert 1 <= len(marked) <= MARKED
        assert marked[-1] - marked[0] == len(marked) - 1
        assert (node_mask(planted.inputs)[marked] == 1).all()
        assert not planted.inputs.past_mask.any()


def test_documents_and_picture_hold_the_stored_numbers() -> None:
    stale = [file.name for file, text in texts().items() if not file.is_file() or file.read_text(encoding="utf-8") != text]
    assert stale == []


def test_the_picture_shows_each_method_with_a_cost() -> None:
    drawn = picture({"methods": {"ours": OURS, "shap": SHAP, "oracle": {"comprehensiveness": 1.0}}})
    assert len(re.findall("<circle", drawn)) == 2
    assert "KernelSHAP<" in drawn
