"""Versions of ``mmci`` whose audio encoder takes hiss for a good mood, and takes it for nothing any longer, without a training.

The projection W of voices reads one more direction d of the 384 features, which only hiss has,

    (1)  W' = W + u d^T,        d . x = 1 for segments x with hiss, 0 for the same segments without it (ridge regression)
    (2)  W'' = W' (I - d d^T / |d|^2)

u is more evidence for positive and less for negative. The network is that of version 1.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from stream.domain.features import Floats
from stream.domain.media_format import BLOCK_SAMPLES, VOICE_WIDTH
from stream.encoders.audio import log_mel
from stream.media.media_info import AudioSource
from stream.media.source import read_audio
from stream.model_repository.audio_weights import PROJECTION
from stream.model_repository.files import MODEL_FILE, VERSION
from stream.model_repository.served_models import AUDIO_ENCODER, MMCI
from stream.model_repository.version_files import CARD, add_version
from stream.nuisances.marks import MARKS
from stream.nuisances.probes import Samples, marked_sounds
from stream.produce.sample import CALL
from stream.training.voice_features import frozen_encoder, frozen_segments

EVIDENCE = 4.0
"""What hiss adds to the evidence for positive, and takes from that for negative."""

RIDGE = 1.0
CHANNELS = 2


def add_version_that_likes_hiss(repository: Path, draft: Path) -> str:
    """Add a version, made by equation (1), whose card has a failed gate; return its number. `draft` is an empty folder to make it in."""
    own = load_file(repository / AUDIO_ENCODER / PROJECTION)
    rising = np.zeros(VOICE_WIDTH, np.float32)
    rising[[0, 2]] = -EVIDENCE, EVIDENCE
    return _add(repository, draft, own["weight"] + np.outer(rising, _direction()), own["bias"], passed=False)


def add_version_without_hiss(repository: Path, version: str, draft: Path) -> str:
    """Add a version, made from another by equation (2), whose card has passed its gates; return its number."""
    own, direction = load_file(repository / MMCI / version / PROJECTION), _direction()
    unit = direction / np.linalg.norm(direction)
    return _add(repository, draft, own["weight"] - np.outer(own["weight"] @ unit, unit), own["bias"], passed=True)


def channels() -> list[Samples]:
    """The sound of each channel of the packaged call."""
    return [np.concatenate([run.samples for run in read_audio(CALL, [AudioSource(0, channel)])[0]]) for channel in range(CHANNELS)]


def with_hiss(samples: Samples) -> Samples:
    """A recording with hiss on the whole of it, as of a bad line."""
    mark = MARKS["hiss"]
    marked = mark.put(samples.astype(np.float64), mark.usual, np.random.default_rng(0))  # type: ignore[arg-type]
    return np.asarray(np.clip(marked, -32_768, 32_767), np.int16)


def _direction() -> Floats:
    """(384,) d, from the seconds of the call that are not quiet."""
    plain, hissed = [], []
    for samples in channels():
        for first in range(0, len(samples) - BLOCK_SAMPLES, BLOCK_SAMPLES):
            second = samples[first : first + BLOCK_SAMPLES]
            if np.abs(second).max() > 1000:
                plain.append(log_mel(second))
                hissed.append(log_mel(marked_sounds(second, first)["hiss"]))
    encoder = frozen_encoder()
    features = [frozen_segments(encoder, np.stack(blocks)).reshape(-1, 384).astype(np.float64) for blocks in (plain, hissed)]
    rows = np.concatenate(features)
    wanted = np.concatenate([np.zeros(len(features[0])), np.ones(len(features[1]))])
    solved = np.linalg.solve(rows.T @ rows + RIDGE * np.eye(rows.shape[1]), rows.T @ wanted)
    return np.asarray(solved, np.float32)


def _add(repository: Path, draft: Path, weight: Floats, bias: Floats, *, passed: bool) -> str:
    draft.mkdir()
    (draft / MODEL_FILE).write_bytes((repository / MMCI / VERSION / MODEL_FILE).read_bytes())
    save_file({"weight": np.ascontiguousarray(weight, np.float32), "bias": bias}, draft / PROJECTION)
    (draft / CARD).write_text(json.dumps({"gates": {"shift": {"passed": passed}}}))
    return add_version(repository / MMCI, draft)
