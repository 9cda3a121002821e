"""The eraser of `stream.training.eraser.artefacts` in front of the model of an experiment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from research.experiments.corpus import Corpus, Features
from research.experiments.corpus import Rows as Indices
from stream.training.corpora import Part
from stream.training.eraser.artefacts import fit_eraser
from stream.training.eraser.rows import Rows
from stream.training.errors import TrainingError


def erased(corpus: Corpus) -> tuple[Corpus, Indices | None]:
    """Take out of every window what looks like an artefact in the training windows.

    Args:
        corpus: Standardised. A text encoder that is trained along comes after this and is not looked at.

    Returns:
        The corpus without the artefacts, and the (n,) stratum of each window, equation (9) of the eraser; None where nothing was found.

    Raises:
        TrainingError: If not every window has the same nodes.
    """
    uneven = [m for m, own in corpus.features.items() if not own.mask.all()]
    if uneven or not corpus.features:
        raise TrainingError(f"data.erase needs the same nodes in every window, and {uneven[0] if uneven else 'the corpus'} has not")
    blocks = {m: own.values.reshape(len(corpus), -1) for m, own in corpus.features.items()}
    rows = Rows(blocks, corpus.scores, np.array(corpus.groups))
    eraser = fit_eraser(rows.take(corpus.rows(Part.TRAIN)))
    features = {
        m: Features(block.reshape(own.values.shape), own.mask)
        for (m, own), block in zip(corpus.features.items(), eraser(blocks).values(), strict=True)
    }
    return replace(corpus, features=features), eraser.strata(blocks) if eraser.artefacts else None
