"""Results of earlier runs, so that an interrupted run resumes: one line of JSON for each training.

The key of a training is a digest of its row, its seed, the settings of the training and its data. It does not cover the code:
delete the file if the code of the models or of the eraser changes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from research.benchmarks.shortcut_runs.rows import Row
from research.shortcuts.defence import TRAINING, Measured
from research.shortcuts.trial import Planted


class Store:
    """The file ``measured.jsonl`` of a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "measured.jsonl"
        lines = self._file.read_text(encoding="utf-8").splitlines() if self._file.is_file() else []
        self._known = {own["key"]: Measured(own["accuracies"], own["probes"]) for own in map(json.loads, lines)}

    def get(self, key: str) -> Measured | None:
        """The result of a training; None if there is none."""
        return self._known.get(key)

    def put(self, key: str, measured: Measured) -> None:
        """Add the result of a training."""
        self._known[key] = measured
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "accuracies": measured.accuracies, "probes": measured.probes}) + "\n")


def key_of(row: Row, trial: Planted, seed: int) -> str:
    """Digest of everything that determines the result of a row of a trial, except the code."""
    defence = asdict(row.defence) | {"model": row.defence.model.model_dump(mode="json")}
    digest = hashlib.sha256(json.dumps([defence, TRAINING.model_dump(mode="json"), seed], sort_keys=True).encode())
    for rows in (trial.train, *trial.tests.values()):
        for array in (rows.scores, *rows.blocks.values()):
            digest.update(np.ascontiguousarray(array).tobytes())
    for marks in (trial.train_marks, trial.neutral_marks):
        digest.update(b"" if marks is None else marks.tobytes())
    return digest.hexdigest()[:24]
