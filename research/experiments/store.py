"""What an experiment leaves behind: ``RUNS/NAME/seed-N.json``, ``seed-N.pt``, ``result.json`` and ``curve.svg``.

A seed whose file was written by the same configuration on the same data is not trained again.
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
        """The report of a finished seed; None if there is none of this fingerprint."""
        report = self.report(seed)
        return report if report is not None and report.get("fingerprint") == fingerprint and self.checkpoint(seed).is_file() else None

    def report(self, seed: int) -> dict[str, Any] | None:
        """The report of a seed, whatever it was made by."""
        try:
            found = json.loads((self.folder / f"seed-{seed}.json").read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError):
            return None
        return found if isinstance(found, dict) else None

    def checkpoint(self, seed: int) -> Path:
        """Where a seed's weights are."""
        return self.folder / f"seed-{seed}.pt"

    def put_seed(self, seed: int, report: dict[str, Any], model: SentimentModel) -> None:
        """Write weights, then report: a report stands for a finished seed."""
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
    """Digest of what decides a seed's outcome: the configuration (but not how many seeds), the data, the text encoder's start."""
    digest = hashlib.sha256(config.model_dump_json(exclude={"seeds", "note", "name"}).encode())
    for text in (*corpus.ids, *corpus.texts, *corpus.parts):
        digest.update(text.encode())
    for array in (corpus.scores, corpus.polarities, *(own.values for own in corpus.features.values())):
        digest.update(np.ascontiguousarray(array).tobytes())
    if start is not None:
        digest.update(start.read_bytes())
    return digest.hexdigest()[:16]


def rounded(value: Any) -> Any:
    """Numbers to `DIGITS` digits after the point."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(part) for part in value]
    return round(value, DIGITS) if isinstance(value, float) else value
