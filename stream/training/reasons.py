"""A penalty that makes a network right for the right reasons, on windows that reviewers have judged; it needs no labels.

A reviewer marks what must not be used (a negative mask) or where the feeling shows (a positive one). The relevance of what must not be used
is drawn to 0, and that of the other nodes of a modality to where the feeling shows; after Ross et al., "Right for the Right Reasons"
(IJCAI 2017). The relevance of a node is input times gradient of the adjusted score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stream.domain.inference import NODE_TENSORS, WindowInputs
from stream.domain.modality import MODALITIES, Modality
from stream.model.mmci import MMCI
from stream.model.nodes import Nodes, Past, Window
from stream.model.served import served_past

JUDGED_IN_A_STEP = 32
PENALTY = 1.0
"""Weight of the penalty in the loss, in which a score's absolute error has the same."""

EPSILON = 1e-3

Masks = Mapping[Modality, Tensor]


@dataclass(frozen=True, slots=True)
class Judged:
    """B windows that reviewers have judged.

    Attributes:
        window: Their nodes.
        past: Their context.
        negative: By modality (B, N_m), 1 for the nodes that must not be used. A modality without any is left out.
        positive: By modality (B, N_m), 1 for the nodes where the feeling shows. A modality without any is left out.
    """

    window: Window
    past: Past
    negative: Masks
    positive: Masks

    @property
    def size(self) -> int:
        """B."""
        return next(iter(self.window.values())).mask.shape[0]

    def rows(self, chosen: Tensor) -> Judged:
        """Some of the windows, by (b,) indices."""
        window = {m: nodes._replace(**{name: getattr(nodes, name)[chosen] for name in nodes._fields}) for m, nodes in self.window.items()}
        past = Past(
            {m: values[chosen] for m, values in self.past.values.items()},
            {m: mask[chosen] for m, mask in self.past.mask.items()},
            self.past.lag[chosen],
            self.past.same_speaker[chosen],
        )
        negative, positive = ({m: own[chosen] for m, own in masks.items()} for masks in (self.negative, self.positive))
        return Judged(window, past, negative, positive)


def explanation_penalty(model: MMCI, judged: Judged) -> Tensor:
    """Mean square of the relevance of what must not be used, in score points, plus the share of it outside of where the feeling shows.

    It is taken with all modalities and with each masked one alone, and added up. A window without a mask of one kind adds nothing to that
    part.
    """
    penalty = torch.zeros(())
    for modality in MODALITIES:
        negative, positive = judged.negative.get(modality), judged.positive.get(modality)
        if negative is None and positive is None:
            continue
        window = dict(judged.window)
        values = window[modality].values.clone().requires_grad_()
        window[modality] = window[modality]._replace(values=values)
        scores = adjusted_scores(model, window, judged.past, modality)
        for place in range(scores.shape[1]):
            (slopes,) = torch.autograd.grad(scores[:, place].sum(), values, create_graph=True)
            relevance = (slopes * values).sum(dim=2)
            if negative is not None:
                penalty = penalty + (relevance * negative).sum(dim=1).square().mean()
            if positive is not None:
                penalty = penalty + _outside(relevance.abs(), positive)
    return penalty


def _outside(size: Tensor, positive: Tensor) -> Tensor:
    """Mean share of (B, N) relevances outside of (B, N) positive masks; 0 for a window without one."""
    outside = 1.0 - (size * positive).sum(dim=1) / (size.sum(dim=1) + EPSILON)
    return (outside * positive.amax(dim=1)).mean()


def adjusted_scores(model: MMCI, window: Window, past: Past, modality: Modality) -> Tensor:
    """(B, 2) scores of all modalities and of one alone."""
    gates = torch.tensor([[[1.0] * len(MODALITIES), [float(own is modality) for own in MODALITIES]]])
    readout = model(window, gates, past).causal.readout
    return model.bank.adjust(model.head, readout, torch.ones(readout.shape[:2])).score


def penalty_of(judged: Judged, seed: int) -> Callable[[MMCI], Tensor]:
    """The penalty on a new draw of the judged windows in each step of a training."""
    rng = np.random.default_rng(seed)

    def penalty(model: MMCI) -> Tensor:
        chosen = torch.from_numpy(rng.permutation(judged.size)[:JUDGED_IN_A_STEP])
        return PENALTY * explanation_penalty(model, judged.rows(chosen))

    return penalty


def judged_windows(
    inputs: Sequence[WindowInputs], negative: Sequence[Mapping[Modality, np.ndarray]], positive: Sequence[Mapping[Modality, np.ndarray]]
) -> Judged:
    """Stored windows with their masks, padded to one length.

    Args:
        inputs: The windows, at least one.
        negative: For each window, by modality, a 1 for each of its first nodes that must not be used.
        positive: The same for where the feeling shows.
    """
    size, window = len(inputs), {}
    masks: list[dict[Modality, Tensor]] = [{}, {}]
    for modality, names in NODE_TENSORS.items():
        longest = max(getattr(own, names.mask).shape[0] for own in inputs)
        parts = [_padded([getattr(own, name) for own in inputs], longest) for name in (names.values, names.times, names.mask)]
        window[modality] = Nodes(*parts)
        for found, given in zip(masks, (negative, positive), strict=True):
            own = np.zeros((size, longest), np.float32)
            for row, by_modality in enumerate(given):
                if modality in by_modality:
                    own[row, : len(by_modality[modality])] = by_modality[modality]
            if own.any():
                found[modality] = torch.from_numpy(own)
    past = [torch.from_numpy(np.stack([getattr(own, names.past) for own in inputs])) for names in NODE_TENSORS.values()]
    mask, same = (torch.from_numpy(np.stack([getattr(own, name) for own in inputs])) for name in ("past_mask", "past_same"))
    return Judged(window, served_past((past[0], past[1], past[2]), mask, same), *masks)


def _padded(rows: Sequence[np.ndarray], longest: int) -> Tensor:
    """(n_i, …) arrays as one tensor (B, longest, …) with zeros at their ends."""
    found = np.zeros((len(rows), longest, *rows[0].shape[1:]), np.float32)
    for place, own in enumerate(rows):
        found[place, : len(own)] = own
    return torch.from_numpy(found)
