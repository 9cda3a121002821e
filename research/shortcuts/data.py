"""Set S: CMU-MOSI utterance vectors without label leaks, in which a planted shortcut can be measured.

Text is the mean of frozen MiniLM's token states, audio is as in the corpus. The rows of video are permuted within each part: the
network of the video features had seen the labels of the training videos, and only the permutation removes this leak (warnings 1
and 2 of the corpus). Labels are binary, score >= 0. The parts are those of bc-LSTM; development data are whole training videos.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from research.shortcuts.rows import Rows
from stream.domain.features import Floats
from stream.domain.modality import MODALITIES
from stream.encoders.text import default_tokenizer
from stream.training.inference import session

DEVELOPMENT_VIDEOS = 10
PERMUTATION_SEED = 0
_BATCH = 32


@dataclass(frozen=True, slots=True)
class Parts:
    """Training, development and test rows; no video is in two of them."""

    train: Rows
    development: Rows
    test: Rows


def read_honest(data: Path, weights: Path, cache: Path) -> tuple[Rows, Rows]:
    """Read the training and test rows of set S.

    Args:
        data: Folder of the corpora.
        weights: ONNX file of the text encoder.
        cache: Folder for the means of the text, whose computation takes about a minute.
    """
    with np.load(data / "mosi" / "utterances.npz", allow_pickle=False) as archive:
        text = _text_means([str(line) for line in archive["text"]], weights, cache)
        audio, video = archive["audio_feat"].astype(np.float32), archive["video_feat"].astype(np.float32)
        scores = archive["label"].astype(np.float32)
        videos, train = archive["video"], archive["split_bclstm"] == "train"
    rng = np.random.default_rng(PERMUTATION_SEED)
    for part in (np.flatnonzero(train), np.flatnonzero(~train)):
        video[part] = video[rng.permutation(part)]
    blocks = {m: _standardised(block, train) for m, block in zip(MODALITIES, (text, audio, video), strict=True)}
    rows = Rows(blocks, scores, videos)
    return rows.take(np.flatnonzero(train)), rows.take(np.flatnonzero(~train))


def with_development(rows: Rows, test: Rows, seed: int) -> Parts:
    """Move `DEVELOPMENT_VIDEOS` whole videos from the training rows to the development part."""
    names = np.unique(rows.videos)
    held = np.random.default_rng(seed).choice(names, DEVELOPMENT_VIDEOS, replace=False)
    inside = np.isin(rows.videos, held)
    return Parts(rows.take(np.flatnonzero(~inside)), rows.take(np.flatnonzero(inside)), test)


def _standardised(block: Floats, train: npt.NDArray[np.bool_]) -> Floats:
    mean, scale = block[train].mean(axis=0), block[train].std(axis=0)
    return np.asarray((block - mean) / np.maximum(scale, 1e-6), dtype=np.float32)


def _text_means(lines: list[str], weights: Path, cache: Path) -> Floats:
    """(n, 384) mean token state of each line; cached by lines and weights."""
    key = hashlib.sha256("\n".join(lines).encode() + hashlib.sha256(weights.read_bytes()).digest()).hexdigest()[:16]
    file = cache / f"mosi-text-{key}.npy"
    if file.is_file():
        return np.asarray(np.load(file, allow_pickle=False), dtype=np.float32)
    tokenised = [default_tokenizer().tokenise(line.lower().split()) for line in lines]
    encoder = session(weights)
    means = np.empty((len(lines), 0), dtype=np.float32)
    order = sorted(range(len(lines)), key=lambda i: tokenised[i].input_ids.shape[0])
    for size in sorted({row.input_ids.shape[0] for row in tokenised}):
        same = [i for i in order if tokenised[i].input_ids.shape[0] == size]
        for group in (same[start : start + _BATCH] for start in range(0, len(same), _BATCH)):
            inputs = {
                name: np.stack([getattr(tokenised[i], name) for i in group]) for name in ("input_ids", "attention_mask", "token_type_ids")
            }
            hidden = encoder.run(["last_hidden_state"], inputs)[0]
            mask = inputs["attention_mask"][:, :, None].astype(np.float32)
            if not means.shape[1]:
                means = np.empty((len(lines), hidden.shape[2]), dtype=np.float32)
            means[group] = (hidden * mask).sum(axis=1) / mask.sum(axis=1)
    cache.mkdir(parents=True, exist_ok=True)
    np.save(file, means)
    return means
