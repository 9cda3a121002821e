"""Pickles in the format of MMSA (thuiar/MMSA): MOSI, MOSEI and CH-SIMS, for users who have them.

Loading a pickle can run any code. This reader admits only the names that arrays, strings and numbers need and refuses all others,
so that a pickle from an unknown source cannot run code.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from research.experiments.corpus import Corpus, Features
from stream.domain.features import Floats
from stream.domain.modality import Modality
from stream.training.corpora import Part, polarity_of_score
from stream.training.errors import TrainingError

ADMITTED = {
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
    ("collections", "OrderedDict"),
}
PARTS = {"train": Part.TRAIN, "valid": Part.VALIDATION, "test": Part.TEST}
KEYS = {Modality.TEXT: "text", Modality.AUDIO: "audio", Modality.VIDEO: "vision"}
SIMS_LIMIT = 1.0
"""Limit of CH-SIMS's annotations; scores are scaled to [-3, 3]."""


class RefusedPickleError(TrainingError):
    """The pickle contains a name that a data set does not need, or is not an MMSA pickle."""


class _DataOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Look up a name, if `ADMITTED` lists it."""
        if (module, name) not in ADMITTED:
            raise RefusedPickleError(f"the pickle contains {module}.{name}; only plain arrays are read")
        return super().find_class(module, name)


def read_mmsa(file: Path, *, limit: float = 3.0) -> Corpus:
    """Read a pickle ``{train, valid, test: {text, audio, vision, id, raw_text, regression_labels, ...}}``.

    Args:
        file: The pickle.
        limit: Largest absolute score: 3 for MOSI and MOSEI, `SIMS_LIMIT` for CH-SIMS.

    Raises:
        RefusedPickleError: If it is not an MMSA pickle, or contains other names.
    """
    with file.open("rb") as stream:
        stored = _load(stream)
    try:
        parts = [(PARTS[name], stored[name]) for name in PARTS if name in stored]
        return _corpus(file.stem, parts, limit)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise RefusedPickleError(f"{file.name} is not an MMSA pickle: {error!r}") from error


def _load(stream: BinaryIO) -> Mapping[str, Any]:
    try:
        stored = _DataOnly(stream).load()
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, TypeError, ValueError) as error:
        raise RefusedPickleError(f"the file cannot be read as a pickle: {error}") from error
    if not isinstance(stored, Mapping):
        raise RefusedPickleError("the file is not an MMSA pickle: it holds no dictionary")
    return stored


def _corpus(name: str, parts: list[tuple[Part, Mapping[str, Any]]], limit: float) -> Corpus:
    ids = [str(own) for _, part in parts for own in part["id"]]
    videos, segments = zip(*(_video_and_segment(own) for own in ids), strict=True)
    labels = np.concatenate([np.asarray(part["regression_labels"], dtype=np.float32).ravel() for _, part in parts])
    scores = (labels * (3.0 / limit)).astype(np.float32)
    return Corpus(
        name=name,
        ids=tuple(ids),
        groups=videos,
        order=np.array(segments, dtype=np.int64),
        speakers=videos,
        parts=tuple(part for part, stored in parts for _ in stored["id"]),
        texts=tuple(str(text).lower() for _, part in parts for text in part["raw_text"]),
        scores=scores,
        polarities=np.array([polarity_of_score(float(score)) for score in scores], dtype=np.int64),
        features={m: _features([part for _, part in parts], key) for m, key in KEYS.items() if key in parts[0][1]},
    )


def _video_and_segment(name: str) -> tuple[str, int]:
    """Split an id, ``VIDEO$_$SEGMENT`` (MMSA) or ``VIDEO[SEGMENT]``."""
    video, _, segment = name.rstrip("]").replace("$_$", "[").rpartition("[")
    return video, int(segment)


def _features(parts: list[Mapping[str, Any]], key: str) -> Features:
    values = [np.nan_to_num(np.asarray(part[key], dtype=np.float32), posinf=0.0, neginf=0.0) for part in parts]
    longest = max(own.shape[1] for own in values)
    padded: Floats = np.concatenate([np.pad(own, ((0, 0), (0, longest - own.shape[1]), (0, 0))) for own in values])
    return Features(padded, (np.abs(padded).sum(axis=2) > 0).astype(np.float32))
