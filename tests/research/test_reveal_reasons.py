"""Penalties on judged windows: they vanish where nothing is wrong, and training on them lowers them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from research.reveal.reasons import Pairs, pair_penalty
from stream.domain.features import WIDTHS
from stream.domain.modality import MODALITIES, Modality
from stream.model.mmci import MMCI
from stream.model.nodes import Nodes, no_past
from stream.training.reasons import Judged, explanation_penalty

pytestmark = pytest.mark.research

WINDOWS, WORDS = 6, 4


@pytest.fixture
def model() -> MMCI:
    torch.manual_seed(0)
    return MMCI().eval()


def judged(seed: int, *, masked: int) -> Judged:
    generator = torch.Generator().manual_seed(seed)
    times = torch.arange(WORDS).float().reshape(1, WORDS, 1).expand(WINDOWS, -1, 2) + torch.tensor([0.0, 1.0])
    window = {m: Nodes(torch.randn(WINDOWS, WORDS, WIDTHS[m], generator=generator), times, torch.ones(WINDOWS, WORDS)) for m in MODALITIES}
    masks = torch.zeros(WINDOWS, WORDS)
    masks[:, :masked] = 1.0
    return Judged(window, no_past(window), {Modality.TEXT: masks}, {})


def test_a_word_that_changes_nothing_costs_nothing(model: MMCI) -> None:
    same = judged(0, masked=1)
    assert pair_penalty(model, Pairs(same, same)).item() == 0.0
    assert pair_penalty(model, Pairs(same, judged(1, masked=1))).item() > 0.0


@pytest.mark.parametrize("name", ["masks", "pairs"])
def test_training_lowers_a_penalty(model: MMCI, name: str) -> None:
    own = Pairs(judged(0, masked=1), judged(1, masked=0))
    penalty: Callable[[], torch.Tensor] = {
        "masks": lambda: explanation_penalty(model, own.marked),
        "pairs": lambda: pair_penalty(model, own),
    }[name]
    before = penalty().item()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(20):
        optimiser.zero_grad()
        torch.autograd.backward(penalty())
        optimiser.step()
    assert penalty().item() < before / 2


def test_some_of_the_windows_are_drawn_with_their_masks() -> None:
    own = Pairs(judged(0, masked=1), judged(1, masked=0))
    drawn = own.drawn(np.random.default_rng(0), 3)
    assert drawn.marked.negative[Modality.TEXT].shape == (3, WORDS)
    kept = {tuple(row.tolist()) for row in own.marked.window[Modality.TEXT].values[:, 0, :4]}
    assert all(tuple(row.tolist()) in kept for row in drawn.marked.window[Modality.TEXT].values[:, 0, :4])
