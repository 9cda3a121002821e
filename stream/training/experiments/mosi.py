"""CMU-MOSI in its two splits.

``bclstm``: the given text, audio and video vectors may be used; text and video come from networks that were trained with the
labels of all its training videos, so nothing can be chosen by a validation part carved from them. ``std``: text and video
vectors leak its test labels and are left out; text comes from an encoder of ours.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Literal

import numpy as np

from stream.domain.modality import Modality
from stream.training.corpora import Part, polarity_of_score
from stream.training.experiments.corpus import Corpus, Features

Split = Literal["bclstm", "std"]
PARTS = {"train": Part.TRAIN, "valid": Part.VALIDATION, "test": Part.TEST}
KEYS = {Modality.TEXT: "text_feat", Modality.AUDIO: "audio_feat", Modality.VIDEO: "video_feat"}
LEAKED_ON_STD = (Modality.TEXT, Modality.VIDEO)


def read_mosi(data: Path, split: Split) -> Corpus:
    """The corpus with the features that the split allows.

    Raises:
        FileNotFoundError: If ``mosi/utterances.npz`` is not below ``data``.
    """
    with np.load(data / "mosi" / "utterances.npz", allow_pickle=False) as stored:
        allowed = [m for m in KEYS if split == "bclstm" or m not in LEAKED_ON_STD]
        scores = stored["label"].astype(np.float32)
        videos = tuple(str(video) for video in stored["video"])
        return Corpus(
            name=f"mosi {split}",
            ids=tuple(str(name) for name in stored["ids"]),
            groups=videos,
            order=stored["segment"].astype(np.int64),
            speakers=videos,
            parts=tuple(PARTS[str(part)] for part in stored[f"split_{split}"]),
            texts=tuple(str(text).lower() for text in stored["text"]),
            scores=scores,
            polarities=np.array([polarity_of_score(float(score)) for score in scores], dtype=np.int64),
            features={m: Features.of_vectors(stored[KEYS[m]]) for m in allowed},
        )


def read_meld_text(data: Path) -> Corpus:
    """MELD's lines with their speakers; no features, text comes from an encoder of ours.

    Raises:
        FileNotFoundError: If ``meld/`` is not below ``data``.
    """
    polarity = {"negative": 0, "neutral": 1, "positive": 2}
    rows, parts = [], []
    for name, part in (("train", Part.TRAIN), ("dev", Part.VALIDATION), ("test", Part.TEST)):
        with (data / "meld" / f"{name}_sent_emo.csv").open(encoding="utf-8", newline="") as file:
            found = list(csv.DictReader(file))
        rows += [row | {"group": f"{name}{row['Dialogue_ID']}"} for row in found]
        parts += [part] * len(found)
    return Corpus(
        name="meld",
        ids=tuple(f"{row['group']}_{row['Utterance_ID']}" for row in rows),
        groups=tuple(row["group"] for row in rows),
        order=np.array([int(row["Utterance_ID"]) for row in rows], dtype=np.int64),
        speakers=tuple(row["Speaker"] for row in rows),
        parts=tuple(parts),
        texts=tuple(row["Utterance"].replace("\x92", "'").replace("\x97", " ").lower() for row in rows),
        scores=np.full(len(rows), np.nan, dtype=np.float32),
        polarities=np.array([polarity[row["Sentiment"]] for row in rows], dtype=np.int64),
        features={},
    )
