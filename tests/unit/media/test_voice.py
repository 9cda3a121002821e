from __future__ import annotations

import numpy as np
import pytest

from stream.media.media_info import AudioSource
from stream.media.pcm import Samples
from stream.media.source import read_audio
from stream.media.voice import voiced_segments
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
    assert voiced_segments(np.zeros(samples, np.int16)).tolist() == [False] * segments


@pytest.mark.parametrize("dbfs", [-60.0, -40.0, -25.0])
def test_noise_is_not_taken_for_a_voice(dbfs: float) -> None:
    assert voiced_segments(noise(dbfs)).sum() <= 1


def test_speech_is_found_and_the_silence_between_turns_is_not(customer: Samples) -> None:
    seconds = [voiced_segments(customer[start : start + 16_000]) for start in range(0, 5 * 16_000, 16_000)]
    assert np.concatenate(seconds[:2]).mean() > 0.8
    assert np.concatenate(seconds[3:]).mean() < 0.1


def test_a_chunk_gets_the_same_answer_whatever_came_before(customer: Samples) -> None:
    chunk = customer[16_000:32_000]
    alone = voiced_segments(chunk)
    voiced_segments(noise(-10.0))
    assert voiced_segments(chunk).tolist() == alone.tolist()
