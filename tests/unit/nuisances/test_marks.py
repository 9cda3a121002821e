"""Marks put on media what their measures find there, and nothing else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from stream.domain.media_format import FACE_SIZE, SAMPLE_RATE
from stream.nuisances import measures
from stream.nuisances.line_effects import Signal
from stream.nuisances.marks import FACE_MARKS, MARKS, SOUND_MARKS, WORD_MARKS, mark_named
from stream.nuisances.pictures import Crops

pytestmark = pytest.mark.unit


def voice() -> Signal:
    """Two seconds of a buzz of 120 Hz that comes and goes, as syllables do."""
    times = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    buzz = sum(np.sin(2 * np.pi * 120.0 * harmonic * times) / harmonic for harmonic in range(1, 50))
    return np.asarray(3_000.0 * np.asarray(buzz) * np.maximum(np.sin(2 * np.pi * 2.0 * times), 0.0))


def faces() -> Crops:
    """Two crops with edges."""
    pixels = np.random.default_rng(0).integers(40, 216, (2, 12, 12)).astype(np.uint8)
    return np.stack([cv2.resize(crop, (FACE_SIZE, FACE_SIZE), interpolation=cv2.INTER_NEAREST) for crop in pixels]).astype(np.uint8)


@pytest.mark.parametrize(
    ("mark", "measure", "sign"),
    [
        ("hiss", "noise", 1),
        ("hum", "hum", 1),
        ("band", "band", -1),
        ("higher voice", "pitch", 1),
        ("lower voice", "pitch", -1),
    ],
)
def test_a_mark_on_sound_moves_its_measure(mark: str, measure: str, sign: int) -> None:
    (own,) = [own for own in SOUND_MARKS if own.name == mark]
    plain = voice()
    marked = own.put(plain, own.usual, np.random.default_rng(0))
    assert sign * (measures.SOUND[measure](marked) - measures.SOUND[measure](plain)) > 0.05 * abs(measures.SOUND[measure](plain))


@pytest.mark.parametrize(
    ("mark", "measure", "sign"), [("blur", "sharpness", -1), ("bar", "black rows", 1), ("bad light", "brightness", -1)]
)
def test_a_mark_on_faces_moves_its_measure(mark: str, measure: str, sign: int) -> None:
    (own,) = [own for own in FACE_MARKS if own.name == mark]
    plain = faces()
    marked = own.put(plain, own.usual, np.random.default_rng(0))
    assert marked.shape == plain.shape
    assert sign * (measures.PICTURE[measure](marked) - measures.PICTURE[measure](plain)) > 0.05


def test_noise_is_relative_to_the_voice() -> None:
    (hiss,) = [own for own in SOUND_MARKS if own.name == "hiss"]
    loud, quiet = (hiss.put(gain * voice(), -8.0, np.random.default_rng(0)) for gain in (1.0, 0.1))
    np.testing.assert_allclose(quiet, 0.1 * loud, atol=1e-6)


def test_a_word_is_inserted_and_the_others_stay() -> None:
    words = ("it", "was", "fine")
    marked = WORD_MARKS[0].put(words, 1.0, np.random.default_rng(3))
    assert len(marked) == 4
    assert tuple(word for word in marked if word != "um") == words


def test_marks_are_found_by_name() -> None:
    assert mark_named("hiss") is MARKS["hiss"]
    assert mark_named("word anyhow").name == "word anyhow"


@pytest.mark.parametrize("name", ["nothing", "word", "word two words", "word <b>", "word Ärger"])
def test_another_name_is_no_mark(name: str) -> None:
    with pytest.raises(KeyError):
        mark_named(name)
