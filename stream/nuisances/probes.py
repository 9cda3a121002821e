"""The probes of the live stream: the cheapest marks of the intervention battery, put on what a worker holds while it encodes.

Sound comes in chunks of a second, so a mark on it is relative to the level of that second. Noise is drawn anew for each chunk from its
media time: a chunk that is read again gets the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from zlib import crc32

import numpy as np
import numpy.typing as npt

from stream.domain.media_format import BLOCK_SAMPLES
from stream.nuisances.line_effects import Signal
from stream.nuisances.marks import FACE_MARKS, FILLERS, SOUND_MARKS, AnyMark, Mark, word_mark
from stream.nuisances.pictures import Crops

Samples = npt.NDArray[np.int16]

SOUND_PROBES: Sequence[Mark[Signal]] = tuple(mark for mark in SOUND_MARKS if mark.name in ("hiss", "hum"))
FACE_PROBES: Sequence[Mark[Crops]] = tuple(mark for mark in FACE_MARKS if mark.name in ("blur", "bad light"))
LOWEST, HIGHEST = -32_768, 32_767


def marked_sounds(samples: Samples, start_ms: int) -> Mapping[str, Samples]:
    """By name of the probe, at most a second of sound with it. The chunk begins at `start_ms` (media time)."""
    signal = samples.astype(np.float64)
    return {
        mark.name: np.asarray(np.clip(mark.put(signal, mark.usual, _rng(mark, start_ms)), LOWEST, HIGHEST), np.int16)
        for mark in SOUND_PROBES
    }


def marked_faces(crops: Crops, start_ms: int) -> Mapping[str, Crops]:
    """By name of the probe, (n, 48, 48) crops with it."""
    return {mark.name: mark.put(crops, mark.usual, _rng(mark, start_ms)) for mark in FACE_PROBES}


def filler_and_place(name: str, words: int) -> tuple[str, int]:
    """The filler word that is inserted into a window of some words, and before which of them: by a name of the window."""
    rng = np.random.default_rng(crc32(name.encode()))
    return FILLERS[int(rng.integers(len(FILLERS)))], int(rng.integers(words + 1))


def live_marks() -> Sequence[AnyMark]:
    """The probes as marks of the battery: put on whole windows, they give what they give in the live stream."""
    sounds = [replace(mark, put=_second_by_second(mark)) for mark in SOUND_PROBES]
    return [*sounds, *FACE_PROBES, *map(word_mark, FILLERS)]


def _second_by_second(mark: Mark[Signal]) -> Callable[[Signal, float, np.random.Generator], Signal]:
    def put(signal: Signal, _strength: float, _rng: np.random.Generator) -> Signal:
        samples = np.asarray(signal, np.int16)
        blocks = [
            marked_sounds(samples[first : first + BLOCK_SAMPLES], 1000 * first // BLOCK_SAMPLES)[mark.name]
            for first in range(0, len(samples), BLOCK_SAMPLES)
        ]
        return np.concatenate(blocks).astype(np.float64)

    return put


def _rng(mark: AnyMark, start_ms: int) -> np.random.Generator:
    return np.random.default_rng([start_ms, crc32(mark.name.encode())])
