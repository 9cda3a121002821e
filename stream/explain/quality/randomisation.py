"""Parameter randomisation (Adebayo et al., arXiv 1810.03292): an explanation of the model must change when its weights become random."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch

from stream.model.served import ServedMMCI

CASCADE = ("model.head.", "model.bank.", "model.causal.", "model.edge_attention.", "model.node_attention.", "model.encode.", "model.age.")
"""Prefixes of the weights, from the score down to the inputs."""


def randomised(module: ServedMMCI, seed: int) -> Iterator[tuple[str, ServedMMCI]]:
    """Copies of a network whose weights are shuffled from the top down, one more layer in each copy.

    Each tensor keeps its own numbers in a random order, and so its scale: with other scales a saturated score would hide the change.
    """
    generator = torch.Generator().manual_seed(seed)
    changed = copy.deepcopy(module)
    for prefix in CASCADE:
        state = changed.state_dict()
        for name in sorted(name for name in state if name.startswith(prefix)):
            flat = state[name].flatten()
            state[name] = flat[torch.randperm(flat.numel(), generator=generator)].reshape(state[name].shape)
        changed = copy.deepcopy(changed)
        changed.load_state_dict(state)
        yield prefix.removeprefix("model.").rstrip("."), changed.eval()
