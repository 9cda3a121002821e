"""KernelSHAP: Shapley values of the nodes by weighted regression (Lundberg and Lee, arXiv 1705.07874), with the library ``shap``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream.domain.features import Floats
from stream.domain.inference import WindowInputs
from stream.explain.methods.errors import ExplainerMissingError
from stream.explain.methods.value import Doubles, Game, Value


@dataclass(frozen=True, slots=True)
class KernelShap:
    """KernelSHAP with all nodes as players. Its relevances add up to the score minus the score without any node.

    Attributes:
        samples: Coalitions whose score is asked for.
        seed: Seed of their choice.
    """

    samples: int = 2048
    seed: int = 0

    def __call__(self, inputs: WindowInputs, value: Value) -> Floats:
        """(N,) relevance. Raises `ExplainerMissingError` without ``shap``."""
        try:
            import shap  # noqa: PLC0415 - heavy, and only in the extra
        except ImportError:
            raise ExplainerMissingError("shap") from None
        game = Game(inputs, value)
        if len(game) < 2:  # a regression on one player has nothing to regress
            everything, nothing = game.ends()
            return game.spread(np.full(len(game), everything - nothing))

        def scores(coalitions: Doubles) -> Doubles:
            return game(coalitions > 0.5)

        before = np.random.get_state()
        np.random.seed(self.seed)
        try:
            explainer = shap.KernelExplainer(scores, np.zeros((1, len(game))))
            values = explainer.shap_values(np.ones(len(game)), nsamples=self.samples, l1_reg=False, silent=True)
        finally:
            np.random.set_state(before)
        return game.spread(np.asarray(values))
