"""Pictures of suspects: a probe window as it is and with the mark. Probes are of the sample or of corpora, never of a session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from stream.domain.media_format import SAMPLE_RATE
from stream.domain.modality import Modality
from stream.nuisances.marks import mark_named
from stream.reveal.findings import Suspect
from stream.reveal.windows import RawWindow, Samples

Grey = npt.NDArray[np.uint8]

FRAME, HOP = SAMPLE_RATE // 40, SAMPLE_RATE // 100
"""Samples of a spectrum, and from one to the next."""

RANGE_DB = 70.0
"""Below the loudest band. What is softer is black."""


class Picture(NamedTuple):
    """A probe window without a mark and with it.

    Attributes:
        modality: `Modality.AUDIO` for (100, t) bands of sound up to 4 kHz, low ones below, 10 ms a column; `Modality.VIDEO` for a (48, 48)
            face.
        window: Name of the probe window.
        plain: As it is, 0 to 255.
        marked: With the mark.
    """

    modality: Modality
    window: str
    plain: Grey
    marked: Grey


def pictures(suspects: Iterable[Suspect], probes: Sequence[RawWindow]) -> Mapping[str, Picture]:
    """By name, a picture of each suspect that is a mark on sound or faces: of the window in which it moved the score furthest."""
    found = {}
    for suspect in suspects:
        try:
            mark = mark_named(suspect.name)
        except KeyError:
            continue
        own = [raw for raw in probes if raw.has(mark.modality)]
        if mark.modality is Modality.TEXT or not own:
            continue
        furthest = [example.window for finding in suspect.findings for example in finding.examples]
        raw = next((raw for name in furthest for raw in own if raw.name == name), own[0])
        marked = raw.with_mark(mark, mark.usual, np.random.default_rng(crc32(mark.name.encode())))
        drawn = _bands(raw, marked) if mark.modality is Modality.AUDIO else _faces(raw, marked)
        found[suspect.name] = Picture(mark.modality, raw.name, *drawn)
    return found


def _bands(raw: RawWindow, marked: RawWindow) -> tuple[Grey, Grey]:
    """Both on one scale. The audio encoder sees each second at the same level; a picture of that would show silence as noise."""
    plain, other = (_decibels(own.samples) for own in (raw, marked))
    loudest = max(float(plain.max()), float(other.max()))
    first, second = (np.clip(255.0 * (1.0 + (own - loudest) / RANGE_DB), 0.0, 255.0).astype(np.uint8) for own in (plain, other))
    return first, second


def _decibels(samples: Samples) -> npt.NDArray[np.float64]:
    """(`FRAME` / 4, t) levels of bands of 40 Hz, high ones first."""
    padded = np.concatenate([samples, np.zeros(max(0, FRAME - len(samples)), np.int16)]).astype(np.float64)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP] * np.hanning(FRAME)
    power = np.square(np.abs(np.fft.rfft(frames, axis=1)))[:, : FRAME // 4]
    return np.asarray(10.0 * np.log10(power + 1.0))[:, ::-1].T


def _faces(raw: RawWindow, marked: RawWindow) -> tuple[Grey, Grey]:
    middle = len(raw.crops) // 2
    return raw.crops[middle], marked.crops[middle]
