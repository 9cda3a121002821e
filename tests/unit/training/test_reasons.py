"""The penalty on judged windows vanishes where nothing is wrong, and needs no labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from stream.domain.inference import NODE_TENSORS
from stream.domain.modality import MODALITIES, Modality
from stream.model.mmci import MMCI
from stream.model.served import SERVED
from stream.training.reasons import Judged, explanation_penalty, judged_windows, penalty_of
from tests.fakes.windows import make_inputs, make_window

pytestmark = pytest.mark.unit

Masks = dict[Modality, np.ndarray]
FIRST = np.array([1.0, 0.0], np.float32)
NONE: Masks = {}


@pytest.fixture
def model() -> MMCI:
    torch.manual_seed(0)
    return MMCI(SERVED).eval()


def judged(negative: tuple[Masks, Masks] = (NONE, NONE), positive: tuple[Masks, Masks] = (NONE, NONE)) -> Judged:
    """A window of two words, and one of three."""
    rng, inputs = np.random.default_rng(0), []
    for words in (("so", "good"), ("it", "is", "fine")):
        own = make_inputs(make_window(words, 4, 2))
        values = {names.values: getattr(own, names.values) for names in NODE_TENSORS.values()}
        inputs.append(replace(own, **{name: rng.normal(size=rows.shape).astype(np.float32) for name, rows in values.items()}))
    return judged_windows(inputs, negative, positive)


def test_windows_of_all_lengths_go_together() -> None:
    own = judged(({Modality.TEXT: FIRST}, NONE))
    assert own.size == 2
    assert own.negative[Modality.TEXT][:, :3].tolist() == [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert set(own.negative) == {Modality.TEXT}
    assert not own.positive
    assert {m: nodes.mask.sum(dim=1).tolist() for m, nodes in own.window.items()}[Modality.TEXT] == [2.0, 3.0]
    assert set(NODE_TENSORS) == set(own.window)


def test_without_a_mask_there_is_no_penalty(model: MMCI) -> None:
    assert explanation_penalty(model, judged()).item() == 0.0


@pytest.mark.parametrize("modality", MODALITIES)
def test_what_must_not_be_used_costs_something_in_each_modality(model: MMCI, modality: Modality) -> None:
    assert explanation_penalty(model, judged(({modality: FIRST}, NONE))).item() > 0.0


def test_where_all_relevance_is_evidence_there_is_hardly_a_penalty(model: MMCI) -> None:
    whole, first = (explanation_penalty(model, judged(positive=({Modality.TEXT: mask}, NONE))).item() for mask in (np.ones(2), FIRST))
    assert 0.0 <= whole < first


def test_the_penalty_has_a_gradient_and_repeats_with_its_seed(model: MMCI) -> None:
    own = judged(({Modality.TEXT: FIRST}, NONE))
    first, again = (penalty_of(own, seed=3)(model) for _ in range(2))
    torch.autograd.backward(first)
    assert any(weight.grad is not None and bool(weight.grad.any()) for weight in model.parameters())
    assert first.item() == again.item()
