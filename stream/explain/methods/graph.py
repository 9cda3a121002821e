"""Explainers that the served graph computes itself, with its scores."""

from __future__ import annotations

from dataclasses import dataclass

from stream.domain.features import Floats
from stream.domain.inference import WindowInputs
from stream.explain.methods.value import Answers, Value


@dataclass(frozen=True, slots=True)
class Published:
    """The relevance of the served model, as the records have it: the nodes of a modality add up to its Shapley value."""

    answers: Answers

    def __call__(self, inputs: WindowInputs, value: Value) -> Floats:
        """(N,) relevance."""
        return self.answers([inputs])[0].relevance


@dataclass(frozen=True, slots=True)
class Attention:
    """The causal node attention of the served model: unsigned, and so no more than where the model looks."""

    answers: Answers

    def __call__(self, inputs: WindowInputs, value: Value) -> Floats:
        """(N,) attention in [0, 1]."""
        return self.answers([inputs])[0].causal
