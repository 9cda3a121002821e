"""Training of the text encoder: MiniLM on rated sentences and MELD's lines, kept as an adapter beside its configuration."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from rich.progress import Progress
from safetensors.numpy import save_file

from stream.config.settings import PROJECT_ROOT
from stream.model.minilm import WithTextEncoder
from stream.model_repository.text_weights import ADAPTER, build_text_encoder, packaged_weights
from stream.training.corpora import Part
from stream.training.experiments.config import ExperimentConfig, ExperimentError, read_config
from stream.training.experiments.fit import answer
from stream.training.experiments.minilm_weights import adapter_of, pretrained
from stream.training.experiments.run import Places, builder, read_corpus, run, windows_of
from stream.training.experiments.scores import polarity_numbers, score_numbers
from stream.training.experiments.windows import Windows

CONFIG = PROJECT_ROOT / "configs" / "experiments" / "reviews-text.yaml"
RANK = 32
"""Of the adapter's matrices."""


def train_text(places: Places, progress: Progress) -> dict[str, Any]:
    """Train the encoder (or take the finished run), write its adapter into the repository and build the served file.

    Returns:
        Validation numbers of the trained encoder and of the adapter: polarity of MELD's and of the rated sentences, scores of these.
    """
    config = read_config(CONFIG)
    if not isinstance(config, ExperimentConfig):
        raise ExperimentError(f"{CONFIG.name} is not an experiment")
    run(config, places, progress)
    windows = windows_of(config.data, read_corpus(config.data, places, progress, 0), 0)
    model = builder(config, windows, places, 0)()
    model.load_state_dict(torch.load(places.runs / config.name / "seed-0.pt", weights_only=True))
    if not isinstance(model, WithTextEncoder):
        raise ExperimentError(f"{CONFIG.name} trains no text encoder")
    before = _numbers(model, windows)
    folder = places.repository / "text_encoder"
    save_file(adapter_of(model.encoder, pretrained(packaged_weights()), RANK), folder / ADAPTER)
    model.encoder = pretrained(build_text_encoder(folder))
    return {"rank": RANK, "trained": before, "adapter": _numbers(model, windows)}


def _numbers(model: WithTextEncoder, windows: Windows) -> dict[str, dict[str, float]]:
    rows = windows.corpus.rows(Part.VALIDATION)
    said = answer(model, windows, rows)
    scores = windows.corpus.scores[rows]
    rated = ~np.isnan(scores)
    polarities = said.polarity.argmax(axis=1)
    return {
        "rated sentences": score_numbers(said.scores[rated], scores[rated]),
        "meld": polarity_numbers(polarities[~rated], windows.corpus.polarities[rows][~rated]),
    }
