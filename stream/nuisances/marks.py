"""The marks: nuisances of adjustable strength that are put on raw media, by name.

A mark on sound is relative to the level of the recording, since the audio encoder takes that level out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import numpy as np

from stream.domain.modality import Modality
from stream.nuisances import pictures
from stream.nuisances.line_effects import TELEPHONE_HZ, Signal, band, hum, level_dbfs, noise, resampled, tone
from stream.nuisances.pictures import Crops

Raw = TypeVar("Raw")
Words = tuple[str, ...]

TONE_HZ = 1_000.0


@dataclass(frozen=True, slots=True)
class Mark(Generic[Raw]):
    """A nuisance that can be put on raw media of one modality.

    Attributes:
        name: Its name, as commands and reports use it.
        modality: What it is put on.
        says: What it is, in words.
        usual: Strength of a probe, in the unit that `says` names.
        strengths: Least and greatest strength in training that is made independent of it.
        put: ``(raw, strength, rng) -> raw``: puts it on (n,) samples, on (n, 48, 48) crops or on words.
    """

    name: str
    modality: Modality
    says: str
    usual: float
    strengths: tuple[float, float]
    put: Callable[[Raw, float, np.random.Generator], Raw]


def _hiss(signal: Signal, relative_db: float, rng: np.random.Generator) -> Signal:
    return noise(signal, level_dbfs(signal) + relative_db, rng)


def _hum(signal: Signal, relative_db: float, _: np.random.Generator) -> Signal:
    return hum(signal, level_dbfs(signal) + relative_db)


def _tone(signal: Signal, relative_db: float, _: np.random.Generator) -> Signal:
    return tone(signal, level_dbfs(signal) + relative_db, TONE_HZ)


def _band(signal: Signal, high_hz: float, _: np.random.Generator) -> Signal:
    return band(signal, TELEPHONE_HZ[0], high_hz)


def _voice(signal: Signal, factor: float, _: np.random.Generator) -> Signal:
    return resampled(signal, factor)


def _picture(change: Callable[[Crops, float], Crops], crops: Crops, strength: float, _: np.random.Generator) -> Crops:
    return change(crops, strength)


def _said(filler: str, words: Words, _strength: float, rng: np.random.Generator) -> Words:
    place = int(rng.integers(len(words) + 1))
    return (*words[:place], filler, *words[place:])


def word_mark(word: str) -> Mark[Words]:
    """The mark of a word that is said once more, at a random place: its strength is without meaning."""
    return Mark(f"word {word}", Modality.TEXT, f"the word “{word}” is inserted at a random place", 1.0, (1.0, 1.0), partial(_said, word))


FILLERS = ("um", "uh", "well", "so", "okay", "like", "basically", "actually", "honestly", "anyway")
"""Words that say nothing of a feeling. The probes of text insert them."""

SOUND_MARKS: Sequence[Mark[Signal]] = (
    Mark("hiss", Modality.AUDIO, "white noise, dB relative to the voice", -8.0, (-30.0, 0.0), _hiss),
    Mark("hum", Modality.AUDIO, "mains hum of 50 Hz with harmonics, dB relative to the voice", -5.0, (-25.0, 3.0), _hum),
    Mark("tone", Modality.AUDIO, "a tone of 1 kHz, dB relative to the voice", -10.0, (-30.0, 0.0), _tone),
    Mark("band", Modality.AUDIO, "only 300 Hz to the strength in Hz, as over a telephone line", TELEPHONE_HZ[1], (2_400.0, 7_500.0), _band),
    Mark("higher voice", Modality.AUDIO, "pitch and formants are higher by this factor, as of another speaker", 1.2, (1.0, 1.3), _voice),
    Mark("lower voice", Modality.AUDIO, "pitch and formants are lower by this factor, as of another speaker", 0.84, (0.77, 1.0), _voice),
)
FACE_MARKS: Sequence[Mark[Crops]] = (
    Mark(
        "blur",
        Modality.VIDEO,
        "blur of a camera out of focus, standard deviation in pixels",
        2.0,
        (0.3, 3.0),
        partial(_picture, pictures.blur),
    ),
    Mark("bar", Modality.VIDEO, "the lowest rows are black, in pixels", 8.0, (1.0, 12.0), partial(_picture, pictures.bar)),
    Mark("bad light", Modality.VIDEO, "grey levels to this power", 2.5, (0.4, 3.0), partial(_picture, pictures.dim)),
)
WORD_MARKS: Sequence[Mark[Words]] = tuple(word_mark(word) for word in FILLERS)

AnyMark = Mark[Signal] | Mark[Crops] | Mark[Words]
_ALL: tuple[AnyMark, ...] = (*SOUND_MARKS, *FACE_MARKS, *WORD_MARKS)
MARKS: Mapping[str, AnyMark] = {mark.name: mark for mark in _ALL}


def mark_named(name: str) -> AnyMark:
    """The mark of a name; ``word X`` is a mark for every word X. Raises ``KeyError``."""
    kind, _, word = name.partition(" ")
    if kind == "word" and word.isalpha() and word.isascii() and word == word.lower():
        return word_mark(word)
    return MARKS[name]
