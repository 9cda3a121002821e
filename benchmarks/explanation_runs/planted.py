"""A network that reads nothing but planted marks, and windows with them: what an explanation should find is known.

The nodes are those of real windows, drawn anew for each window, so that they say nothing of its label. One run of neighbouring nodes of
one modality carries the mark: a fixed direction, added for a positive and taken away for a negative window. Another run, of another kind,
carries a decoy: another direction, of a random sign, as striking as the mark and of no use. The network is the served one in its form,
trained from random weights on nothing else. Where it answers right it has read the mark, since nothing else tells the label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from rich.progress import Progress
from torch.nn import functional

from stream.domain.features import Floats
from stream.domain.inference import NODE_TENSORS, WindowInputs
from stream.domain.modality import MODALITIES, Modality
from stream.explain.methods.gradient import tensors, value_of
from stream.explain.methods.value import BATCH
from stream.explain.quality.truth import Mask
from stream.model.mmci import MMCI
from stream.model.nodes import Nodes, Window
from stream.model.served import FULL, SERVED, ServedMMCI, coalition_gates

MARKED = 3
"""Most nodes that carry the mark."""
AMPLITUDE = 2.0
"""Length of mark and decoy in each number of a node that they change, in standard deviations."""
TARGET = 2.0
"""Score of a positive window; of a negative one with the other sign."""
STEPS = 300
RIGHT = 0.5
"""A window counts as answered right if its score is at least this far on its side."""


@dataclass(frozen=True, slots=True)
class Planted:
    """A window whose label one run of nodes carries.

    Attributes:
        inputs: Its tensors, without a context.
        mask: (N,) True for the nodes of the run.
        sign: 1.0 for a positive window, else -1.0.
    """

    inputs: WindowInputs
    mask: Mask
    sign: float


class Planter:
    """Plants marks into windows whose nodes are drawn from real ones."""

    def __init__(self, windows: Sequence[WindowInputs], donors: Mapping[Modality, Floats], seed: int) -> None:
        self._windows = windows
        self._donors = donors
        self._rng = np.random.default_rng(seed)
        self._mark, self._decoy = ({m: self._direction(own) for m, own in donors.items()} for _ in range(2))

    def _direction(self, nodes: Floats) -> Floats:
        """(width,) a change of a quarter of a node's numbers: in all of them even random numbers would seem to find it."""
        changed = self._rng.permutation(nodes.shape[1])[: max(1, nodes.shape[1] // 4)]
        direction = np.zeros(nodes.shape[1], np.float32)
        direction[changed] = AMPLITUDE * nodes.std(axis=0)[changed] * self._rng.choice([-1.0, 1.0], len(changed))
        return direction

    def draw(self) -> Planted:
        """A window with a mark."""
        shape = self._windows[int(self._rng.integers(len(self._windows)))]
        values: dict[Modality, Floats] = {}
        for modality in MODALITIES:
            rows = getattr(shape, NODE_TENSORS[modality].values)
            values[modality] = self._donors[modality][self._rng.integers(0, len(self._donors[modality]), len(rows))]
        masks = {m: getattr(shape, names.mask) for m, names in NODE_TENSORS.items()}
        present = [m for m in MODALITIES if masks[m].sum() > MARKED]
        marked, *others = self._rng.permutation(np.array(present, object)).tolist()
        sign = self._random_sign()
        truth = {m: np.zeros(len(masks[m]), np.bool_) for m in MODALITIES}
        run = self._run(int(masks[marked].sum()))
        values[marked][run] += sign * self._mark[marked]
        truth[marked][run] = True
        for other in others[:1]:
            values[other][self._run(int(masks[other].sum()))] += self._random_sign() * self._decoy[other]
        inputs = replace(
            shape,
            words=values[Modality.TEXT],
            audio=values[Modality.AUDIO],
            video=values[Modality.VIDEO],
            past_mask=np.zeros_like(shape.past_mask),
        )
        return Planted(inputs, np.concatenate([truth[m] for m in MODALITIES]), sign)

    def _run(self, nodes: int) -> slice:
        count = int(self._rng.integers(1, MARKED + 1))
        first = int(self._rng.integers(0, nodes - count + 1))
        return slice(first, first + count)

    def _random_sign(self) -> float:
        return 1.0 if self._rng.random() < 0.5 else -1.0


def trained(planter: Planter, seed: int, progress: Progress) -> ServedMMCI:
    """Train a network of the served form on planted windows alone."""
    torch.manual_seed(seed)
    model = MMCI(SERVED)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.02)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=STEPS)
    gates = coalition_gates()[:, FULL : FULL + 1]
    model.train()
    for _ in progress.track(range(STEPS), description="network that reads marks"):
        drawn = [planter.draw() for _ in range(BATCH)]
        readout = model(_window([one.inputs for one in drawn]), gates).causal.readout[:, 0]
        wanted = torch.tensor([TARGET * one.sign for one in drawn])
        loss = functional.mse_loss(model.head(readout).score, wanted)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step()
        cycle.step()
    return ServedMMCI(model).eval()


def answered_right(planter: Planter, module: ServedMMCI, count: int) -> tuple[list[Planted], float]:
    """Windows with marks that the network answers right, and the share of right answers on the way to them."""
    value, found, tried = value_of(module), list[Planted](), 0
    while len(found) < count and tried < 10 * count:
        one = planter.draw()
        tried += 1
        if one.sign * float(value([one.inputs])[0]) >= RIGHT:
            found.append(one)
    return found, len(found) / tried


def _window(windows: Sequence[WindowInputs]) -> Window:
    batch = tensors(windows)
    return {m: Nodes(batch[names.values], batch[names.times], batch[names.mask]) for m, names in NODE_TENSORS.items()}
