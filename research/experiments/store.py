"""Results of an experiment on disk: ``RUNS/NAME/seed-N.json``, ``seed-N.pt``, ``result.json`` and ``curve.svg``.

A seed is not trained again if its report has the fingerprint of the same configuration and data.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from research.experiments.config import ExperimentConfig
from research.experiments.corpus import Corpus
from research.models.interface import SentimentModel
from stream.training.files import replace_text

DIGITS = 6


class Store:
    """The folder of one experiment."""

    def __init__(self, runs: Path, config: ExperimentConfig) -> None:
        self.folder = runs / config.name
        self._config = config

    def seed(self, seed: int, fingerprint: str) -> dict[str, Any] | None:
        """The report of a finished seed; None if there is none with this fingerprint."""
        report = self.report(seed)
        return report if report is not None and report.get("fingerprint") == fingerprint and self.checkpoint(seed).is_file() else None

    def report(self, seed: int) -> dict[str, Any] | None:
        """The report of a seed with any fingerprint; None if there is none."""
        try:
            found = json.loads((self.folder / f"seed-{seed}.json").read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError):
            return None
        return found if isinstance(found, dict) else None

    def checkpoint(self, seed: int) -> Path:
        """Path of the weights of a seed."""
        return self.folder / f"seed-{seed}.pt"

    def put_seed(self, seed: int, report: dict[str, Any], model: SentimentModel) -> None:
        """Write the weights and then the report. The order matters: a report means that the seed is finished."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".", delete=False) as draft:
            torch.save(model.state_dict(), draft)
        os.replace(draft.name, self.checkpoint(seed))
        replace_text(self.folder / f"seed-{seed}.json", json.dumps(rounded(report)) + "\n")

    def put_result(self, result: dict[str, Any], picture: str) -> None:
        """Write the row and its picture."""
        replace_text(self.folder / "result.json", json.dumps(rounded(result), indent=2) + "\n")
        replace_text(self.folder / "curve.svg", picture)


def fingerprint_of(config: ExperimentConfig, corpus: Corpus, start: Path | None) -> str:
    """Digest of everything that determines the result of a seed: configuration, data and initial text encoder.

    Name, note and number of seeds are left out: they do not change a seed's result.
    """
    digest = hashlib.sha256(config.model_dump_json(exclude={"seeds", "note", "name"}).encode())
    for text in (*corpus.ids, *corpus.texts, *corpus.parts):
        digest.update(text.encode())
    for array in (corpus.scores, corpus.polarities, *(own.values for own in corpus.features.values())):
        digest.update(np.ascontiguousarray(array).tobytes())
    if start is not None:
        digest.update(start.read_bytes())
    return digest.hexdigest()[:16]


def rounded(value: Any) -> Any:
    """Round all numbers to `DIGITS` decimals."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(part) for part in value]
    return round(value, DIGITS) if isinstance(value, float) else value
