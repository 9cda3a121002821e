"""Probe windows of the corpora: a transcript, a voice and a face of one polarity, as training composes them, before the encoders."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import numpy as np

from stream.domain.media_format import SAMPLE_RATE, WORDS_PER_SECOND
from stream.encoders.window_of_words import WINDOW_MS
from stream.reveal.windows import RawWindow
from stream.training.corpora import Part, read_faces, read_meld, read_mosi, read_voices
from stream.training.voice import trimmed

Item = TypeVar("Item")

FRAMES = 5
LONGEST = WINDOW_MS * SAMPLE_RATE // 1_000
MOST_WORDS = WINDOW_MS // 1_000 * WORDS_PER_SECOND - 1
"""Most words of a probe: one more fits, a word that a mark inserts."""


def corpus_windows(data: Path, part: Part, count: int, seed: int) -> list[RawWindow]:
    """Windows of a part of the corpora, as many of each polarity.

    Args:
        data: Folder of the corpora.
        part: Part of the corpora.
        count: Number of windows.
        seed: Seed of all choices.

    Raises:
        FileNotFoundError: A corpus is missing.
    """
    rng = np.random.default_rng(seed)
    texts = [u for u in read_mosi(data) + read_meld(data) if u.part is part and 0 < len(u.text.split()) <= MOST_WORDS]
    voices = [voice for voice in read_voices(data) if voice.part is part]
    faces = read_faces(data, part)
    windows = []
    for number in range(count):
        polarity = number % 3
        text = _drawn([u for u in texts if u.polarity == polarity], rng)
        voice = _drawn([v for v in voices if v.polarity == polarity], rng)
        face = _drawn(np.flatnonzero(faces.polarities == polarity).tolist(), rng)
        crops = np.repeat(faces.images[face][np.newaxis], FRAMES, axis=0)
        samples = trimmed(voice.samples())[:LONGEST]
        windows.append(RawWindow(tuple(text.text.split()), samples, crops, polarity, f"{part} recordings, window {number + 1}"))
    return windows


def _drawn(items: list[Item], rng: np.random.Generator) -> Item:
    return items[int(rng.integers(len(items)))]
