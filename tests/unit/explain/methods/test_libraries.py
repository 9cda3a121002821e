"""Explainers from libraries: KernelSHAP, LIME and integrated gradients keep the axioms that they promise."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from stream.explain.methods.combined import Combiner
from stream.explain.methods.errors import ExplainerMissingError
from stream.explain.methods.lime import Lime
from stream.explain.methods.perturbation import RandomRelevance, occlusion
from stream.explain.methods.shap import KernelShap
from stream.explain.methods.value import Explainer, Game, node_mask
from stream.explain.quality.stability import agreement
from tests.fakes.games import additive, pair, small_window

pytest.importorskip("shap")
pytest.importorskip("captum")

pytestmark = pytest.mark.unit

WEIGHTS = np.array([0.5, -0.2, 0.0, 1.0, 0.1, 0.0, -0.4, 0.3, 0.05], np.float32)
WINDOW = small_window()
NODES = np.flatnonzero(node_mask(WINDOW))


def test_shap_is_complete_and_symmetric() -> None:
    relevance = KernelShap(samples=600)(WINDOW, pair(0, 6))
    assert relevance.sum() == pytest.approx(1.0, abs=1e-5)
    assert relevance[NODES] == pytest.approx([0.5, 0, 0, 0, 0, 0, 0.5, 0, 0], abs=1e-4)


def test_shap_gives_weights_back() -> None:
    assert KernelShap(samples=300)(WINDOW, additive(WEIGHTS, base=0.7))[NODES] == pytest.approx(WEIGHTS, abs=1e-4)


def test_shap_of_one_node_is_its_whole_effect() -> None:
    lonely = Game(WINDOW, additive(WEIGHTS)).window(np.arange(9) == 3)
    relevance = KernelShap()(lonely, additive(WEIGHTS))
    assert relevance.sum() == pytest.approx(1.0)
    assert np.count_nonzero(relevance) == 1


def test_lime_ranks_weights() -> None:
    relevance = Lime(samples=400)(WINDOW, additive(WEIGHTS))
    assert relevance[NODES] == pytest.approx(WEIGHTS, abs=0.1)


@pytest.mark.parametrize("explainer", [KernelShap(samples=40), Lime(samples=40)], ids=["shap", "lime"])
def test_a_repetition_gives_the_same_and_the_generators_are_left_alone(explainer: Explainer) -> None:
    np.random.seed(3)
    before = np.random.random()
    np.random.seed(3)
    one = explainer(WINDOW, pair(2, 7))
    assert np.random.random() == before
    assert np.array_equal(one, explainer(WINDOW, pair(2, 7)))


@pytest.mark.parametrize(("explainer", "library"), [(KernelShap(), "shap"), (Lime(), "captum")])
def test_a_missing_library_is_named_with_its_extra(explainer: Explainer, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ExplainerMissingError, match=rf"needs {library}: pip install 'sentistream\[explain\]'"):
        explainer(WINDOW, additive(WEIGHTS))


def test_the_learned_combination_follows_the_member_that_knows() -> None:
    rng = np.random.default_rng(0)
    members: dict[str, Explainer] = {"knows": occlusion, "knows nothing": RandomRelevance()}
    tried = [additive(rng.normal(size=9).astype(np.float32)) for _ in range(40)]
    fitted = Combiner.fitted(members, [WINDOW] * 40, tried[0])
    value = tried[1]
    assert agreement(fitted(WINDOW, value), occlusion(WINDOW, value), WINDOW) > 0.5
