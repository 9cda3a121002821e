"""CMU-MOSI in its two splits, and MELD's lines.

``bclstm`` has the given text, audio and video vectors. Its text and video vectors come from networks that were trained with the
labels of all its training videos, so nothing can be chosen on a validation part of those videos. On ``std`` the text and video
vectors leak the test labels and are left out; the text is encoded here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from research.experiments.corpus import Corpus, Features
from stream.domain.modality import Modality
from stream.training.corpora import Part, polarity_of_score, read_meld

Split = Literal["bclstm", "std"]
PARTS = {"train": Part.TRAIN, "valid": Part.VALIDATION, "test": Part.TEST}
KEYS = {Modality.TEXT: "text_feat", Modality.AUDIO: "audio_feat", Modality.VIDEO: "video_feat"}
LEAKED_ON_STD = (Modality.TEXT, Modality.VIDEO)


def read_mosi(data: Path, split: Split) -> Corpus:
    """Read the corpus with the features that do not leak the split's test labels.

    Raises:
        FileNotFoundError: If ``mosi/utterances.npz`` is not in `data`.
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
    """Read MELD's lines with their speakers, without features.

    Raises:
        FileNotFoundError: If ``meld/`` is not in `data`.
    """
    lines = read_meld(data)
    return Corpus(
        name="meld",
        ids=tuple(f"{line.group}_{line.order}" for line in lines),
        groups=tuple(line.group for line in lines),
        order=np.array([line.order for line in lines], dtype=np.int64),
        speakers=tuple(line.speaker for line in lines),
        parts=tuple(line.part for line in lines),
        texts=tuple(line.text.lower() for line in lines),
        scores=np.full(len(lines), np.nan, dtype=np.float32),
        polarities=np.array([line.polarity for line in lines], dtype=np.int64),
        features={},
    )
