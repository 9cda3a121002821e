"""Scores of many coalitions of one window's nodes, without computing again what no mask changes.

A mask changes the weights of the read-outs and the number of neighbours, equations (3) and (4) of `stream.model.mmci`; states, shares and
messages of the nodes stay. So a coalition costs a fifth of a run of the graph. The measures need hundreds of thousands of them. What
explainers cost is measured on the served graph all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stream.domain.features import Floats
from stream.domain.inference import NODE_TENSORS, WindowInputs
from stream.domain.modality import MODALITIES, Modality
from stream.explain.methods.gradient import tensors
from stream.model.heads import capped
from stream.model.nodes import Nodes
from stream.model.relations import neighbours
from stream.model.served import ServedMMCI, served_past
from stream.model.streams import Skip

Masks = dict[Modality, Tensor]
REMEMBERED = 200


class CoalitionScores:
    """A `stream.explain.methods.value.Value` of a network. It remembers the last `REMEMBERED` windows that it was asked about."""

    def __init__(self, module: ServedMMCI) -> None:
        self._module = module
        self._windows: dict[tuple[int, ...], _Unmasked] = {}

    def __call__(self, windows: Sequence[WindowInputs]) -> Floats:
        """(B,) scores; windows that share their arrays but for the masks share the work."""
        scores = np.empty(len(windows), np.float32)
        start = 0
        for key, alike in groupby(windows, _key):
            own = list(alike)
            scores[start : start + len(own)] = self._unmasked(own[0], key).scores(own)
            start += len(own)
        return scores

    def _unmasked(self, inputs: WindowInputs, key: tuple[int, ...]) -> _Unmasked:
        if key not in self._windows:
            while len(self._windows) >= REMEMBERED:
                del self._windows[next(iter(self._windows))]
            self._windows[key] = _Unmasked(self._module, inputs)
        return self._windows[key]


def _key(inputs: WindowInputs) -> tuple[int, ...]:
    arrays = (inputs.words, inputs.audio, inputs.video, inputs.word_times, inputs.audio_times, inputs.video_times)
    past = (inputs.past_words, inputs.past_audio, inputs.past_video, inputs.past_mask, inputs.past_same)
    return tuple(map(id, arrays + past))


class _Unmasked:
    """One window with every row as a node."""

    def __init__(self, module: ServedMMCI, inputs: WindowInputs) -> None:
        self._module = module
        self._inputs = inputs  # as long as these arrays live, no others can have their ids
        batch = tensors([inputs])
        window = {m: Nodes(batch[n.values], batch[n.times], torch.ones_like(batch[n.mask])) for m, n in NODE_TENSORS.items()}
        past = served_past((batch["past_words"], batch["past_audio"], batch["past_video"]), batch["past_mask"], batch["past_same"])
        model = module.model
        with torch.inference_mode():
            causal = model.pass_messages(window, past).causal
            self._share = {m: model.node_attention(model.encode[m](window[m].values))[0] for m in MODALITIES}
            self._own = {m: causal.own[m][0] for m in MODALITIES}
            skips = {m: cast("Skip", model.causal.skip[m]) for m in MODALITIES}
            self._skip = {m: skip.project(window[m].values[0, :, : skip.width]) for m, skip in skips.items()}
            self._said = {name: said[0] for name, said in causal.said.items()}
            self._past = {r.name: causal.received[r.name][0] for r in model.config.relations if r.from_past}
            self._edges: dict[str, tuple[Tensor, Tensor]] = {}
            for r in model.config.relations:
                if not r.from_past:
                    sends = neighbours(r, window[r.target].times, window[r.source].times, window[r.source].mask)[0]
                    self._edges[r.name] = sends, causal.edges[r.name][0] * sends.sum(dim=1, keepdim=True).clamp_min(1.0)

    def scores(self, windows: Sequence[WindowInputs]) -> Floats:
        """(B,) scores of the window with other masks."""
        masks = {m: torch.from_numpy(np.stack([getattr(w, names.mask) for w in windows])) for m, names in NODE_TENSORS.items()}
        module, model = self._module, self._module.model
        with torch.inference_mode():
            readout = torch.cat([self._read(m, masks) for m in MODALITIES], dim=1)
            present = torch.stack([masks[m].amax(dim=1) for m in MODALITIES], dim=1)
            effective = (present * module.bits).sum(dim=1).long()
            adjusted = model.bank.adjust(model.head, readout, module.temperatures[effective])
            scores: Floats = capped(adjusted.score, module.score_caps[effective]).numpy()
        return scores

    def _read(self, target: Modality, masks: Masks) -> Tensor:
        """(B, parts H) of one modality."""
        share = self._share[target] * masks[target]
        weights = (share / share.sum(dim=1, keepdim=True).clamp_min(1e-6)).unsqueeze(1)
        into = [r for r in self._module.model.config.relations if r.target is target]
        intra = functional.relu(self._own[target] + sum(self._received(r.name, masks[r.source]) for r in into if r.within))
        inter = functional.relu(sum((self._received(r.name, masks[r.source]) for r in into if not r.within), torch.zeros(())))
        return torch.cat([weights @ intra, weights @ inter, weights @ self._skip[target]], dim=2)[:, 0]

    def _received(self, name: str, mask: Tensor) -> Tensor:
        """(B, I, H) messages of one relation; those of the past do not depend on the masks."""
        if name in self._past:
            return self._past[name]
        sends, edges = self._edges[name]
        count = (mask @ sends.T).clamp_min(1.0).unsqueeze(2)
        return (edges * mask.unsqueeze(1)) @ self._said[name] / count
