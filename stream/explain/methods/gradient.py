"""Explainers that need the network's gradients: it runs in torch, from the weights beside the served graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from stream.domain.features import Floats
from stream.domain.inference import EVERYTHING, INPUT_NAMES, NODE_TENSORS, WindowInputs
from stream.domain.modality import MODALITIES, Modality
from stream.explain.grad_cam import grad_cam_plus_plus
from stream.explain.methods.errors import ExplainerMissingError
from stream.explain.methods.value import Value
from stream.model.heads import cap_slope
from stream.model.nodes import Nodes
from stream.model.served import FULL, ServedMMCI, served_past
from stream.model.streams import Skip

STEPS = 20
"""Points of the path of integrated gradients."""

Batch = dict[str, Tensor]


def tensors(windows: Sequence[WindowInputs]) -> Batch:
    """The inputs of windows of equal shape, by name."""
    return {name: torch.from_numpy(np.stack([getattr(inputs, name) for inputs in windows])) for name in INPUT_NAMES}


def value_of(module: ServedMMCI) -> Value:
    """The scores of a network in torch."""

    def value(windows: Sequence[WindowInputs]) -> Floats:
        with torch.inference_mode():
            scores: Floats = module(*tensors(windows).values())[0][:, EVERYTHING].numpy()
        return scores

    return value


class _Readout(NamedTuple):
    """What the read-out of one modality sums, for one window.

    Attributes:
        weights: (N_m,) w_i of equation (4) of `stream.model.mmci`.
        states: (N_m, G_m) what is summed with these weights: intra-modal and inter-modal state, and the skip.
        slope: (G_m,) derivative of the score with respect to the sum.
    """

    weights: Tensor
    states: Tensor
    slope: Tensor


def _readouts(module: ServedMMCI, inputs: WindowInputs) -> list[_Readout]:
    batch = tensors([inputs])
    window = {m: Nodes(batch[names.values], batch[names.times], batch[names.mask]) for m, names in NODE_TENSORS.items()}
    past = served_past((batch["past_words"], batch["past_audio"], batch["past_video"]), batch["past_mask"], batch["past_same"])
    model = module.model
    with torch.no_grad():
        messages = model.pass_messages(window, past).causal
        causal = model.causal.read(window, messages, module.gates[:, FULL:])
        present = sum(m.bit for m in MODALITIES if bool(window[m].mask.any()))
        score, to_first_layer = model.bank.score_and_slope(model.head, model.bank.recombine(model.head, causal.readout[:, 0]))
        slope = to_first_layer @ model.head.inner.weight * cap_slope(score, module.score_caps[present])
    found = []
    for m, own in zip(MODALITIES, slope[0].chunk(len(MODALITIES)), strict=True):
        skip = cast("Skip", model.causal.skip[m])
        states = torch.cat([causal.intra[m][0], causal.inter[m][0, 0], skip.project(window[m].values[0, :, : skip.width])], dim=1)
        found.append(_Readout(messages.weights[m][0], states.detach(), own.detach()))
    return found


@dataclass(frozen=True, slots=True)
class ClosedForm:
    """Gradient times activation at the read-out: HiResCAM (arXiv 2011.08891) on the graph, with the past in its place."""

    module: ServedMMCI

    def __call__(self, inputs: WindowInputs, value: Value) -> Floats:
        """(N,) relevance. The value is not asked."""
        found: Floats = torch.cat([part.weights * (part.states @ part.slope) for part in _readouts(self.module, inputs)]).numpy()
        return found


@dataclass(frozen=True, slots=True)
class GradCamPlusPlus:
    """Grad-CAM++ (`stream.explain.grad_cam`) of the states that the read-outs sum, the nodes of a modality as positions."""

    module: ServedMMCI

    def __call__(self, inputs: WindowInputs, value: Value) -> Floats:
        """(N,) relevance."""
        sign = 1.0 if value([inputs])[0] >= 0 else -1.0
        return np.concatenate([_grad_cam(part, sign) for part in _readouts(self.module, inputs)])


def _grad_cam(part: _Readout, sign: float) -> Floats:
    """(N_m,) Grad-CAM++ of one modality."""
    is_node = (part.weights > 0).unsqueeze(1)
    states = torch.where(is_node, part.states, 0.0)
    return grad_cam_plus_plus(states.numpy(), (part.weights.unsqueeze(1) * part.slope).numpy(), sign)


@dataclass(frozen=True, slots=True)
class IntegratedGradients:
    """Integrated gradients (Sundararajan et al., arXiv 1703.01365) from a baseline node to each node, with the library ``captum``.

    Attributes:
        module: The network.
        baselines: (width,) by modality: the mean node of other windows. Zeros are no node that the network knows.
    """

    module: ServedMMCI
    baselines: Mapping[Modality, Floats]

    def __call__(self, inputs: WindowInputs, value: Value) -> Floats:
        """(N,) relevance. Raises `ExplainerMissingError` without ``captum``."""
        try:
            from captum.attr import IntegratedGradients as CaptumGradients  # noqa: PLC0415 - heavy, and only in the extra
        except ImportError:
            raise ExplainerMissingError("captum") from None
        batch = tensors([inputs])
        names = [NODE_TENSORS[m].values for m in MODALITIES]
        others = [name for name in INPUT_NAMES if name not in names]

        def score(*arguments: Tensor) -> Tensor:
            given = dict(zip([*names, *others], arguments, strict=True))
            scores: Tensor = self.module(*(given[name] for name in INPUT_NAMES))[0][:, EVERYTHING]
            return scores

        found = CaptumGradients(score).attribute(
            tuple(batch[name] for name in names),
            baselines=tuple(torch.from_numpy(self.baselines[m]).expand_as(batch[NODE_TENSORS[m].values]) for m in MODALITIES),
            additional_forward_args=tuple(batch[name] for name in others),
            n_steps=STEPS,
        )
        relevance: Floats = torch.cat([part.sum(dim=2)[0] for part in found]).detach().numpy().astype(np.float32)
        return relevance
