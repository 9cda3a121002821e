"""Answers of a network in torch to windows as the worker lays them out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from stream.domain.features import Floats
from stream.domain.inference import WindowInputs
from stream.model.served import INPUT_NAMES, OUTPUT_NAMES, ServedMMCI

BATCH = 64
WANTED = ("coalition_scores", "coalition_probabilities", "relevance")


def window_answers(served: ServedMMCI, windows: Sequence[WindowInputs]) -> tuple[Floats, Floats, Floats]:
    """(n, 16) scores and (n, 16, 3) probabilities of n windows, all of one length, and the (n, nodes) relevance of their nodes."""
    places = [OUTPUT_NAMES.index(name) for name in WANTED]
    parts = []
    with torch.no_grad():
        for start in range(0, len(windows), BATCH):
            batch = windows[start : start + BATCH]
            outputs = served(*(torch.from_numpy(np.stack([getattr(own, name) for own in batch])) for name in INPUT_NAMES))
            parts.append([outputs[place].numpy() for place in places])
    scores, probabilities, relevance = (np.concatenate(part) for part in zip(*parts, strict=True))
    return scores, probabilities, relevance
