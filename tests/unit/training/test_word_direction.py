"""A word that the network reads is taken out of its weights, and what it says of other words stays."""

from __future__ import annotations

import copy
from functools import cache

import numpy as np
import pytest
import torch

from stream.domain.features import Floats
from stream.domain.media_format import WORD_WIDTH
from stream.domain.modality import MODALITIES, Modality
from stream.model.mmci import MMCI
from stream.model.served import SERVED, ServedMMCI, example_inputs
from stream.training.word_direction import NoDirectionError, without_word, word_projection

pytestmark = pytest.mark.unit

SENTENCES, WORDS = 150, 12


@cache
def states() -> tuple[list[Floats], list[Floats], Floats]:
    """Word states in half of the dimensions, the same with what a word adds, and that."""
    rng = np.random.default_rng(0)
    plain = rng.normal(size=(SENTENCES, WORDS, WORD_WIDTH)).astype(np.float32)
    plain[:, :, WORD_WIDTH // 2 :] *= 0.05
    added = rng.normal(size=WORD_WIDTH).astype(np.float32)
    return list(plain), [own + added for own in plain], added


def network(added: Floats | None = None) -> ServedMMCI:
    """A network, whose skip and estimate read what a word adds, if it is given."""
    torch.manual_seed(0)
    served = ServedMMCI(MMCI(SERVED)).eval()
    served.word_ridge.normal_(std=0.02)
    if added is not None:
        direction = torch.from_numpy(added / np.linalg.norm(added))
        with torch.no_grad():
            skip = served.get_parameter(f"model.causal.skip.{Modality.TEXT}.project.weight")
            skip.add_(torch.outer(torch.randn(skip.shape[0]), direction))
            served.model.head.outer.weight.mul_(5.0)
    return served


def outputs(served: ServedMMCI, sentences: list[Floats]) -> tuple[torch.Tensor, ...]:
    inputs = list(example_inputs(SENTENCES, WORDS, 3, 2, torch.Generator().manual_seed(0)))
    inputs[0], inputs[2] = torch.from_numpy(np.stack(sentences)), torch.ones(SENTENCES, WORDS)
    for index in range(len(MODALITIES)):
        inputs[9 + index] = torch.zeros_like(inputs[9 + index])
    with torch.no_grad():
        found: tuple[torch.Tensor, ...] = served(*inputs)
    return found


def test_what_the_word_adds_moves_scores_no_longer_and_plain_sentences_keep_theirs() -> None:
    plain, marked, added = states()
    before = network(added)
    after = without_word(before, word_projection(plain, marked))
    first, moved, later, left = (outputs(served, own)[0][:, Modality.TEXT.bit] for served in (before, after) for own in (plain, marked))
    assert (moved - first).abs().mean() > 0.1
    assert (left - later).abs().mean() < 0.05 * (moved - first).abs().mean()
    assert (later - first).abs().mean() < 0.1 * (moved - first).abs().mean()


def test_the_estimate_of_the_effects_of_words_loses_the_word_too() -> None:
    plain, marked, _ = states()
    after = without_word(network(), word_projection(plain, marked))
    effects = [outputs(after, own)[-1] for own in (plain, marked)]
    torch.testing.assert_close(effects[0], effects[1], atol=1e-3, rtol=0.0)


def test_the_network_that_is_projected_stays_as_it_is() -> None:
    plain, marked, _ = states()
    served = network()
    kept = copy.deepcopy(served.state_dict())
    without_word(served, word_projection(plain, marked))
    assert all(torch.equal(own, kept[name]) for name, own in served.state_dict().items())


def test_a_sentence_of_nothing_but_the_word_is_left_out() -> None:
    plain, marked, _ = states()
    nothing = np.zeros((0, WORD_WIDTH), np.float32)
    found, wanted = (word_projection(*own) for own in (([*plain, nothing], [*marked, marked[0][:1]]), (plain, marked)))
    assert torch.equal(found.states.along, wanted.states.along)


@pytest.mark.parametrize("sentences", [0, 5])
def test_without_a_difference_there_is_no_projection(sentences: int) -> None:
    plain = states()[0][:sentences]
    with pytest.raises(NoDirectionError):
        word_projection(plain, plain)
