"""The eraser of artefacts as the first step of an experiment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from research.experiments.corpus import Corpus, Features
from research.experiments.corpus import Rows as Indices
from stream.training.corpora import Part
from stream.training.eraser.artefacts import fit_eraser
from stream.training.errors import TrainingError


def erased(corpus: Corpus) -> tuple[Corpus, Indices | None]:
    """Find the artefacts of the training windows and remove them from every window.

    Args:
        corpus: Standardised. Text nodes of an encoder that is trained with the model do not exist yet, and stay as they are.

    Returns:
        The corpus without the artefacts, and the (n,) stratum of each window, equation (9) of the eraser; None without artefacts.

    Raises:
        TrainingError: If windows differ in their nodes.
    """
    uneven = [m for m, own in corpus.features.items() if not own.mask.all()]
    if uneven or not corpus.features:
        missing = f"{uneven[0]} lacks some" if uneven else "the corpus has none"
        raise TrainingError(f"data.erase needs the same nodes in every window; {missing}")
    blocks = {m: own.values.reshape(len(corpus), -1) for m, own in corpus.features.items()}
    training = corpus.rows(Part.TRAIN)
    eraser = fit_eraser({m: block[training] for m, block in blocks.items()}, (corpus.scores[training] >= 0).astype(np.int64))
    features = {
        m: Features(block.reshape(own.values.shape), own.mask)
        for (m, own), block in zip(corpus.features.items(), eraser(blocks).values(), strict=True)
    }
    return replace(corpus, features=features), eraser.strata(blocks) if eraser.found else None
