"""LIME: a linear model of the score around the window (Ribeiro et al., arXiv 1602.04938), with the library ``captum``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stream.domain.features import Floats
from stream.domain.inference import WindowInputs
from stream.explain.methods.errors import ExplainerMissingError
from stream.explain.methods.value import BATCH, Game, Value

RIDGE = 1.0
"""Penalty of the linear model's weights, as in the library ``lime``."""


@dataclass(frozen=True, slots=True)
class Lime:
    """LIME with all nodes as binary features.

    Attributes:
        samples: Coalitions whose score is asked for.
        seed: Seed of their choice.
    """

    samples: int = 512
    seed: int = 0

    def __call__(self, inputs: WindowInputs, value: Value) -> Floats:
        """(N,) relevance. Raises `ExplainerMissingError` without ``captum``."""
        try:
            import torch  # noqa: PLC0415 - heavy, and only in the extra
            from captum._utils.models.linear_model import SkLearnRidge  # noqa: PLC0415
            from captum.attr import Lime as CaptumLime  # noqa: PLC0415
            from captum.attr._core.lime import get_exp_kernel_similarity_function  # noqa: PLC0415
        except ImportError:
            raise ExplainerMissingError("captum") from None
        game = Game(inputs, value)

        def scores(coalitions: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(game(coalitions.numpy() > 0.5))

        # The width of the kernel is that of the library ``lime``: 0.75 sqrt(n) on the Euclidean distance.
        similarity = get_exp_kernel_similarity_function("euclidean", kernel_width=0.75 * np.sqrt(max(len(game), 1)))
        linear = CaptumLime(scores, interpretable_model=SkLearnRidge(alpha=RIDGE), similarity_func=similarity)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            found = linear.attribute(torch.ones(1, len(game)), n_samples=self.samples, perturbations_per_eval=BATCH)
        return game.spread(found[0].numpy())
