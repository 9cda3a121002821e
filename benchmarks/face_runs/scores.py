"""How far the scores of whole windows move: faces, voices and words are encoded by the served models, as the worker does it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path as FilePath

import numpy as np

from benchmarks.explanation_runs.local_models import Array, LocalClient
from benchmarks.explanation_runs.sample_windows import cases_of
from benchmarks.explanation_runs.windows import Case
from benchmarks.face_runs.paths import LocalSandbox, Path
from stream.domain.features import Floats
from stream.domain.inference import EVERYTHING, INPUT_NAMES
from stream.model_repository.served_models import AUDIO_ENCODER, MMCI, TEXT_ENCODER
from stream.produce.prepare import MediaRequest, prepare


class RememberingClient(LocalClient):
    """Words and voices are the same on both paths: what they were encoded to is remembered."""

    def __init__(self, repository: FilePath) -> None:
        super().__init__(repository)
        self._answers: dict[tuple[object, ...], dict[str, Array]] = {}

    def run(self, model: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """Run a model once, and an encoder of words or voices not again on the same inputs."""
        if model not in (TEXT_ENCODER, AUDIO_ENCODER):
            return super().run(model, inputs, outputs)
        asked = (model, *outputs, *(part for name in sorted(inputs) for part in (name, inputs[name].shape, inputs[name].tobytes())))
        if asked not in self._answers:
            self._answers[asked] = super().run(model, inputs, outputs)
        return self._answers[asked]


def score_change(requests: Iterable[MediaRequest], every_frame: Path, searched: Path, repository: FilePath) -> dict[str, float]:
    """Change of the score (points) and of the label between the two paths, with the models of a repository.

    Returns:
        ``windows``, their number; ``mean``, ``p95`` and ``max`` of the change; ``flips``, windows whose most probable label changes.
    """
    client = RememberingClient(repository)
    changes: list[float] = []
    flips = 0
    for request in requests:
        before, after = (asyncio.run(_cases(request, path, client)) for path in (every_frame, searched))
        for old, new in zip(before, after, strict=True):
            (score, label), (new_score, new_label) = _answer(old, client), _answer(new, client)
            changes.append(abs(new_score - score))
            flips += label != new_label
    return {
        "windows": len(changes),
        "mean": round(float(np.mean(changes)), 4),
        "p95": round(float(np.quantile(changes, 0.95)), 4),
        "max": round(float(np.max(changes)), 4),
        "flips": flips,
    }


async def _cases(request: MediaRequest, path: Path, client: LocalClient) -> list[Case]:
    return await cases_of(prepare(request), LocalSandbox(path).as_sandbox(), client)


def _answer(case: Case, client: LocalClient) -> tuple[float, int]:
    inputs: dict[str, Floats] = {name: getattr(case.inputs, name)[np.newaxis] for name in INPUT_NAMES}
    found = client.run(MMCI, inputs, ["coalition_scores", "coalition_probabilities"])
    return float(found["coalition_scores"][0, EVERYTHING]), int(found["coalition_probabilities"][0, EVERYTHING].argmax())
