"""The explainers that are compared, for one network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stream.domain.features import Floats
from stream.domain.inference import WindowInputs
from stream.domain.modality import Modality
from stream.explain.methods.combined import Combiner, unit_mass
from stream.explain.methods.gradient import ClosedForm, GradCamPlusPlus, IntegratedGradients
from stream.explain.methods.graph import Attention, Published
from stream.explain.methods.lime import Lime
from stream.explain.methods.perturbation import RandomRelevance, leave_one_out, occlusion
from stream.explain.methods.shap import KernelShap
from stream.explain.methods.value import Answers, Explainer, Value
from stream.model.served import ServedMMCI

CHEAP = ("ours", "closed_form", "attention", "occlusion", "leave_one_out")
"""What the learned combination reads."""
AVERAGED = ("closed_form", "integrated_gradients", "occlusion", "shap", "lime")
"""What the mean is of: families that fail in different ways."""
ORACLES = ("oracle", "oracle_insertion")
NO_SINGLE_METHOD = ("combiner", "mean", *ORACLES)
"""Rows that are made of other rows, or look at the answer."""


@dataclass(frozen=True, slots=True)
class Network:
    """A network to explain: its scores, its full answers and its torch module."""

    value: Value
    answers: Answers
    module: ServedMMCI


def explainers(network: Network, baselines: Mapping[Modality, Floats]) -> dict[str, Explainer]:
    """The single methods by name. `baselines` are the mean nodes for integrated gradients."""
    return {
        "ours": Published(network.answers),
        "closed_form": ClosedForm(network.module),
        "attention": Attention(network.answers),
        "grad_cam_pp": GradCamPlusPlus(network.module),
        "integrated_gradients": IntegratedGradients(network.module, baselines),
        "occlusion": occlusion,
        "leave_one_out": leave_one_out,
        "shap": KernelShap(),
        "lime": Lime(),
        "random": RandomRelevance(),
    }


def explain(
    members: Mapping[str, Explainer], windows: Sequence[WindowInputs], value: Value, advance: Callable[[], None]
) -> dict[str, list[Floats]]:
    """The (N,) relevance of every window by every method. `advance` is called after each."""
    found: dict[str, list[Floats]] = {name: [] for name in members}
    for inputs in windows:
        for name, explainer in members.items():
            found[name].append(explainer(inputs, value))
            advance()
    return found


def mean_of(found: Mapping[str, Sequence[Floats]]) -> list[Floats]:
    """The mean of `AVERAGED`, each with unit mass."""
    members = [found[name] for name in AVERAGED]
    return [np.mean([unit_mass(own) for own in window], axis=0) for window in zip(*members, strict=True)]


def learned(members: Mapping[str, Explainer], others: Sequence[WindowInputs], value: Value) -> Combiner:
    """The combination of `CHEAP` that is fitted on other windows."""
    return Combiner.fitted({name: members[name] for name in CHEAP}, others, value)
