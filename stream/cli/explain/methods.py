"""The explainers that `sentistream explain` can compare, by the name on the command line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stream.cli.explain.served import Served
from stream.domain.features import Floats
from stream.domain.inference import EVERYTHING, Inference, WindowInputs
from stream.explain.methods.errors import ExplainerMissingError
from stream.explain.methods.graph import Attention, Published
from stream.explain.methods.perturbation import RandomRelevance, greedy_deletion, leave_one_out, occlusion
from stream.explain.methods.value import Answers, Explainer, Value, mean_nodes

if TYPE_CHECKING:
    from stream.model.served import ServedMMCI

OURS = "ours"


@dataclass(frozen=True, slots=True)
class MethodResult:
    """What one explainer says.

    Attributes:
        name: Its name on the command line.
        relevance: (N,) relevance of the nodes; None if it could not run.
        ms: How long it took, with the time in Triton.
        problem: Why it could not run; empty if it could.
    """

    name: str
    relevance: Floats | None
    ms: float
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """What explainers are made from.

    Attributes:
        answers: The served model, as a function that may block.
        weights: File of the network's weights for torch; those that need gradients use it.
        others: Windows from which the mean node is taken, the baseline of integrated gradients.
    """

    answers: Answers
    weights: Path
    others: Sequence[WindowInputs]

    def network(self) -> ServedMMCI:
        """The network in torch. Raises `ExplainerMissingError` without torch, and `MissingWeightsError` without the file."""
        try:
            from stream.model.served import load_weights  # noqa: PLC0415 - torch is in an extra, and slow to import
        except ImportError:
            raise ExplainerMissingError("torch") from None
        if not self.weights.is_file():
            raise MissingWeightsError(f"the weights {self.weights} are not on this machine; set triton.model_repository to their folder")
        return load_weights(self.weights)


class MissingWeightsError(Exception):
    """An explainer needs the network's weights, and they are not on this machine."""


def _closed_form(setting: Setting) -> Explainer:
    network = setting.network()
    from stream.explain.methods.gradient import ClosedForm  # noqa: PLC0415 - imports torch

    return ClosedForm(network)


def _grad_cam(setting: Setting) -> Explainer:
    network = setting.network()
    from stream.explain.methods.gradient import GradCamPlusPlus  # noqa: PLC0415 - imports torch

    return GradCamPlusPlus(network)


def _integrated_gradients(setting: Setting) -> Explainer:
    network = setting.network()
    from stream.explain.methods.gradient import IntegratedGradients  # noqa: PLC0415 - imports torch

    return IntegratedGradients(network, mean_nodes(setting.others))


def _shap(_: Setting) -> Explainer:
    from stream.explain.methods.shap import KernelShap  # noqa: PLC0415 - its library is in an extra

    return KernelShap()


def _lime(_: Setting) -> Explainer:
    from stream.explain.methods.lime import Lime  # noqa: PLC0415 - its library is in an extra

    return Lime()


METHODS: Mapping[str, Callable[[Setting], Explainer]] = {
    OURS: lambda setting: Published(setting.answers),
    "closed-form": _closed_form,
    "attention": lambda setting: Attention(setting.answers),
    "occlusion": lambda _: occlusion,
    "leave-one-out": lambda _: leave_one_out,
    "grad-cam++": _grad_cam,
    "integrated-gradients": _integrated_gradients,
    "shap": _shap,
    "lime": _lime,
    "greedy": lambda _: greedy_deletion,
    "random": lambda _: RandomRelevance(),
}
"""Ours first, the oracle and what everything must beat last."""


def blocking(served: Served, loop: asyncio.AbstractEventLoop) -> tuple[Answers, Value]:
    """The served model as functions for another thread than that of the event loop: its full answers, and its scores."""

    def answers(windows: Sequence[WindowInputs]) -> Sequence[Inference]:
        return asyncio.run_coroutine_threadsafe(served.answers(windows), loop).result()

    def value(windows: Sequence[WindowInputs]) -> Floats:
        return np.array([answer.scores[EVERYTHING] for answer in answers(windows)], np.float32)

    return answers, value


def compared(name: str, inputs: WindowInputs, setting: Setting, value: Value) -> MethodResult:
    """Run one explainer. If it cannot run, the result says why."""
    try:
        explainer = METHODS[name](setting)
        began = time.perf_counter()
        relevance = explainer(inputs, value)
    except (ExplainerMissingError, MissingWeightsError) as error:
        return MethodResult(name, None, 0.0, str(error))
    return MethodResult(name, relevance, (time.perf_counter() - began) * 1000)
