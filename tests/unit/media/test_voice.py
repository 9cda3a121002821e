from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stream.domain.features import LEAST_VOICE_MS
from stream.domain.media_format import SAMPLE_RATE, SEGMENT_MS
from stream.media.media_info import AudioSource
from stream.media.pcm import Samples
from stream.media.silero import voice_probabilities
from stream.media.source import read_audio
from stream.media.voice import confirmed_segments, voiced_segments
from stream.produce.sample import CALL

RANDOM = np.random.default_rng(0)


def noise(dbfs: float) -> Samples:
    return np.clip(RANDOM.normal(0, 10 ** (dbfs / 20) * 32_768, 16_000), -32_768, 32_767).astype(np.int16)


@pytest.fixture(scope="module")
def customer() -> Samples:
    """The customer's channel of the packaged call: speech from 0.0 to 2.6 s, silence until 5.2 s."""
    return read_audio(CALL, [AudioSource(0, 1)])[0][0].samples


@pytest.mark.parametrize(("samples", "segments"), [(1, 1), (1600, 1), (1601, 2), (16_000, 10)])
def test_every_segment_gets_an_answer(samples: int, segments: int) -> None:
    silence = np.zeros(samples, np.int16)
    assert voiced_segments(silence).tolist() == confirmed_segments(silence).tolist() == [False] * segments


@pytest.mark.parametrize("dbfs", [-60.0, -40.0, -25.0])
def test_noise_is_not_taken_for_a_voice(dbfs: float) -> None:
    assert voiced_segments(noise(dbfs)).sum() <= 1
    assert not confirmed_segments(noise(dbfs)).any()


def test_speech_is_found_and_the_silence_between_turns_is_not(customer: Samples) -> None:
    seconds = [voiced_segments(customer[start : start + 16_000]) for start in range(0, 5 * 16_000, 16_000)]
    assert np.concatenate(seconds[:2]).mean() > 0.8
    assert np.concatenate(seconds[3:]).mean() < 0.1


def test_a_chunk_gets_the_same_answer_whatever_came_before(customer: Samples) -> None:
    chunk = customer[16_000:32_000]
    for find in (voiced_segments, confirmed_segments):
        alone = find(chunk)
        find(noise(-10.0))
        assert find(chunk).tolist() == alone.tolist()


Signal = npt.NDArray[np.floating[Any]]
SECONDS = np.arange(8 * SAMPLE_RATE) / SAMPLE_RATE


def tones(*hz: float) -> Signal:
    signal: Signal = np.sum([np.sin(2 * np.pi * f * SECONDS) for f in hz], axis=0)
    return signal


def melody(note_s: float, decay: float, harmonics: int) -> Signal:
    """A scale up and down, each note with its harmonics."""
    time = SECONDS[: int(note_s * SAMPLE_RATE)]
    pitches = [262 * 2 ** (step / 12) for step in (0, 2, 4, 5, 7, 9, 11, 12, 11, 9, 7, 5, 4, 2)]
    notes = [sum(np.sin(2 * np.pi * f * k * time) / k for k in range(1, harmonics + 1)) * np.exp(-decay * time) for f in pitches]
    return np.resize(np.concatenate(notes), len(SECONDS))


MUSIC: dict[str, Signal] = {
    "a tone": tones(440),
    "mains hum": tones(50, 150),
    "a chord": tones(262, 330, 392),
    "a chord with tremolo": tones(220, 277, 330, 440) * (1 + 0.3 * np.sin(2 * np.pi * 5 * SECONDS)),
    "a plucked melody": melody(0.4, 3.0, 5),
    "a fast plucked melody": melody(0.15, 3.0, 5),
    "a melody on an organ": melody(0.5, 0.2, 3),
    "the ringing tone of a telephone": tones(440, 480) * (SECONDS % 6 < 2),
    "dialling": tones(770, 1336) * (SECONDS % 0.5 < 0.2),
}


def chunks(samples: Samples) -> Iterator[Samples]:
    for start in range(0, len(samples), SAMPLE_RATE):
        yield samples[start : start + SAMPLE_RATE]


@pytest.mark.parametrize("signal", MUSIC.values(), ids=MUSIC)
def test_no_window_of_music_holds_a_confirmed_voice(signal: Signal) -> None:
    samples = np.round(signal / np.abs(signal).max() * 0.4 * 32_767).astype(np.int16)
    voiced = np.concatenate([confirmed_segments(chunk) for chunk in chunks(samples)])
    segments = 4000 // SEGMENT_MS
    most = max(voiced[start : start + segments].sum() for start in range(0, len(voiced) - segments + 1))
    assert most * SEGMENT_MS < LEAST_VOICE_MS


def test_the_voice_of_a_turn_is_confirmed_and_the_silence_after_it_is_not(customer: Samples) -> None:
    confirmed = np.concatenate([confirmed_segments(chunk) for chunk in chunks(customer[: 5 * SAMPLE_RATE])])
    assert confirmed[:27].sum() * SEGMENT_MS >= 3 * LEAST_VOICE_MS
    assert confirmed[28:].sum() == 0


def test_the_network_answers_as_its_original(customer: Samples) -> None:
    """In onnxruntime. The weights here have 16 bits."""
    original: Callable[[], Callable[[Signal], Signal]]
    original = pytest.importorskip("faster_whisper.vad").get_vad_model
    samples = np.append(customer[: 93 * 512], np.zeros(512, np.int16))
    # The last frame is left out: faster-whisper clears its end.
    expected = original()(samples.astype(np.float32) / 32_768).ravel()[:-1]
    found = voice_probabilities(samples, hear_twice=False)[:-1]
    assert expected.max() > 0.7
    assert expected.min() < 0.1
    assert np.abs(found - expected).max() < 0.01
