"""A made-up MOSI archive: few videos, features that carry some of the score."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stream.domain.features import Floats

VIDEOS = {"train": 8, "valid": 3, "test": 4}
UTTERANCES = 6


def write_mosi(folder: Path, *, seed: int = 0) -> Path:
    """Write ``mosi/utterances.npz`` below a folder; returns the folder."""
    rng = np.random.default_rng(seed)
    rows = [(part, f"{part}{video}", segment) for part, count in VIDEOS.items() for video in range(count) for segment in range(UTTERANCES)]
    rng.shuffle(rows)
    label = rng.choice([-2.4, -1.0, 0.0, 1.2, 2.6], size=len(rows)).astype(np.float32)
    words = ("AWFUL BORING", "NOT GOOD", "A MOVIE", "QUITE GOOD", "WONDERFUL GREAT MOVIE")
    video = np.array([row[1] for row in rows])
    segment = np.array([row[2] + 1 for row in rows], dtype=np.int64)
    std = np.array([row[0] for row in rows])
    (folder / "mosi").mkdir(parents=True)
    np.savez(
        folder / "mosi" / "utterances.npz",
        ids=np.array([f"{v}_{s}" for v, s in zip(video, segment, strict=True)]),
        video=video,
        segment=segment,
        text=np.array([words[int(np.searchsorted([-1.7, -0.5, 0.6, 1.9], value))] for value in label]),
        label=label,
        text_feat=_features(rng, label, 6),
        audio_feat=_features(rng, label, 4) * 50 + 100,
        video_feat=_features(rng, label, 5),
        split_std=std,
        split_bclstm=np.where(std == "test", "test", "train"),
    )
    return folder


def _features(rng: np.random.Generator, label: Floats, width: int) -> Floats:
    return (rng.standard_normal((label.size, width)) + label[:, None] * 0.8).astype(np.float32)
