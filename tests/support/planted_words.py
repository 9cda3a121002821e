"""Versions of ``mmci`` that a word moves, and that it moves no longer, without a training: the skip of the words is changed.

The weights S of the skip read one more direction d of the word states, which only the word has,

    (1)  S' = S + u d^T,        d . x = 1 for states x of the word, 0 for those of other words (ridge regression)
    (2)  S'' = S' (I - d d^T / |d|^2)

u is the direction of the read-out along which the head's score rises. The projection (2) takes d out again, and with it what the honest
weights read along it: scores come near to the honest ones, but not to the last digit.
"""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import torch

from stream.domain.features import Floats
from stream.domain.modality import MODALITIES, Modality
from stream.explain.function_words import FUNCTION_WORDS
from stream.model.served import WEIGHTS, ServedMMCI, load_weights
from stream.model_repository.files import VERSION
from stream.model_repository.served_models import MMCI
from stream.model_repository.version_files import CARD, add_version
from stream.nuisances.marks import FILLERS
from stream.reveal.models import RepositoryModels
from stream.reveal.windows import encode
from stream.reveal.words import text_alone
from stream.training.export import export_mmci

STRENGTH = 12.0
"""What the word, said alone, adds to the strength u of the score 3 tanh(u)."""

RIDGE = 1e-2


def add_biased_version(repository: Path, honest: Path, word: str, texts: tuple[tuple[str, ...], ...]) -> str:
    """Add a version, made from honest weights by equation (1), whose card has a failed gate; return its number.

    Args:
        repository: The model repository.
        honest: Repository with the encoders and the honest weights, of which `repository` is a copy.
        word: The word that is planted.
        texts: Texts, some with the word in them.
    """
    served = load_weights(honest / MMCI / VERSION / WEIGHTS)
    direction = _direction(honest, word, texts)
    with torch.no_grad():
        _skip(served).add_(torch.outer(_rising(served), torch.from_numpy(direction)))
    return _add(repository, served, passed=False)


def add_version_without(repository: Path, honest: Path, version: str, word: str, texts: tuple[tuple[str, ...], ...]) -> str:
    """Add a version, made from another by equation (2), whose card has passed its gates; return its number."""
    served = load_weights(repository / MMCI / version / WEIGHTS)
    direction = torch.from_numpy(_direction(honest, word, texts))
    unit = direction / direction.norm()
    with torch.no_grad():
        skip = _skip(served)
        skip.sub_(torch.outer(skip @ unit, unit))
    return _add(repository, served, passed=True)


def _skip(served: ServedMMCI) -> torch.Tensor:
    """(H, 384) weights S of the words."""
    weight: torch.Tensor = served.get_parameter(f"model.causal.skip.{Modality.TEXT}.project.weight")
    return weight


def _rising(served: ServedMMCI) -> torch.Tensor:
    """(H,) u: along it the strength rises by `STRENGTH` with all units of the head's first layer on, fastest."""
    head, hidden = served.model.head, served.model.config.hidden
    start = (3 * MODALITIES.index(Modality.TEXT) + 2) * hidden
    slope: torch.Tensor = head.outer.weight[0] @ head.inner.weight[:, start : start + hidden]
    return slope * (STRENGTH / (slope @ slope))


@cache
def _direction(honest: Path, word: str, texts: tuple[tuple[str, ...], ...]) -> Floats:
    """(384,) d, by ridge regression on the states of words in the texts, and of those and function words alone."""
    others = {*FUNCTION_WORDS, *FILLERS, *(said for text in texts for said in text)} - {word}
    spoken = [(word,), *((other,) for other in sorted(others)), *texts]
    inputs = encode([text_alone(text) for text in spoken], RepositoryModels(honest))
    states = np.concatenate([own.words[own.word_mask > 0] for own in inputs]).astype(np.float64)
    wanted = np.array([said == word for text in spoken for said in text], np.float64)
    solved = np.linalg.solve(states.T @ states + RIDGE * np.eye(states.shape[1]), states.T @ wanted)
    return solved.astype(np.float32)


def _add(repository: Path, served: ServedMMCI, *, passed: bool) -> str:
    with tempfile.TemporaryDirectory() as folder:
        export_mmci(served, Path(folder))
        draft = Path(folder) / MMCI / VERSION
        (draft / CARD).write_text(json.dumps({"gates": {"shift": {"passed": passed}}}))
        return add_version(repository / MMCI, draft)
