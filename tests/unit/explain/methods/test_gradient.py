"""Explainers with the network's gradients, on the served network with random weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from stream.domain.inference import NODE_TENSORS, WindowInputs
from stream.domain.modality import MODALITIES
from stream.explain.methods.gradient import ClosedForm, GradCamPlusPlus, IntegratedGradients, value_of
from stream.explain.methods.value import Explainer, Game, mean_nodes, node_mask
from stream.explain.quality.randomisation import CASCADE, randomised
from stream.model.mmci import MMCI
from stream.model.served import SERVED, ServedMMCI
from tests.fakes.games import small_window

captum = pytest.importorskip("captum")

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def network() -> ServedMMCI:
    torch.manual_seed(0)
    return ServedMMCI(MMCI(SERVED)).eval()


@pytest.fixture(scope="module")
def window() -> WindowInputs:
    rng = np.random.default_rng(0)
    empty = small_window()
    values = {name: rng.normal(size=getattr(empty, name).shape).astype(np.float32) for name in ("words", "audio", "video")}
    return replace(empty, **values)


def test_integrated_gradients_add_up_to_the_way_from_the_baseline(network: ServedMMCI, window: WindowInputs) -> None:
    baselines = mean_nodes([window])
    relevance = IntegratedGradients(network, baselines)(window, value_of(network))
    text, audio, video = (np.broadcast_to(baselines[m], getattr(window, NODE_TENSORS[m].values).shape).copy() for m in MODALITIES)
    at_baseline = replace(window, words=text, audio=audio, video=video)
    score, start = value_of(network)([window, at_baseline]).tolist()
    assert relevance.sum() == pytest.approx(score - start, abs=0.02 * max(abs(score - start), 0.1))


@pytest.mark.parametrize("name", ["closed form", "grad-cam++", "integrated gradients"])
def test_padding_has_no_relevance(name: str, network: ServedMMCI, window: WindowInputs) -> None:
    explainers: dict[str, Explainer] = {
        "closed form": ClosedForm(network),
        "grad-cam++": GradCamPlusPlus(network),
        "integrated gradients": IntegratedGradients(network, mean_nodes([window])),
    }
    relevance = explainers[name](window, value_of(network))
    assert relevance[node_mask(window) == 0] == pytest.approx(0.0)
    assert np.abs(relevance).sum() > 0


def test_the_closed_form_is_the_gradient_at_the_read_out(network: ServedMMCI, window: WindowInputs) -> None:
    """Scaling the read-out of all nodes by 1 + e changes the score by e times the sum of their relevances."""
    relevance = ClosedForm(network)(window, value_of(network))
    inner, step = network.model.head.inner.weight, 1e-3
    score = value_of(network)([window])[0]
    with torch.no_grad():
        inner.mul_(1 + step)
        scaled = value_of(network)([window])[0]
        inner.div_(1 + step)
    assert relevance.sum() == pytest.approx((scaled - score) / step, rel=0.02, abs=2e-3)


def test_grad_cam_has_no_evidence_against_the_score(network: ServedMMCI, window: WindowInputs) -> None:
    relevance = GradCamPlusPlus(network)(window, value_of(network))
    sign = 1.0 if value_of(network)([window])[0] >= 0 else -1.0
    assert (sign * relevance >= 0).all()


def test_weights_become_random_from_the_top_down(network: ServedMMCI, window: WindowInputs) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    steps = list(randomised(network, seed=0))
    assert len(steps) == len(CASCADE)
    head_only, everything = steps[0][1].state_dict(), steps[-1][1].state_dict()
    assert torch.equal(head_only["model.encode.text.project.weight"], before["model.encode.text.project.weight"])
    assert not torch.equal(head_only["model.head.inner.weight"], before["model.head.inner.weight"])
    assert not torch.equal(everything["model.encode.text.project.weight"], before["model.encode.text.project.weight"])
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in before.items())
    shuffled, own = everything["model.head.inner.weight"], before["model.head.inner.weight"]
    assert torch.equal(shuffled.flatten().sort().values, own.flatten().sort().values)
    game = Game(window, value_of(steps[-1][1]))
    assert game.ends()[0] != Game(window, value_of(network)).ends()[0]
