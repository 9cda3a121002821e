from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from stream.domain.media_format import MEL_BINS, MEL_FRAMES, SAMPLE_RATE
from stream.encoders.audio import log_mel, segments


def tone(hz: float, seconds: float, amplitude: float = 8_000.0) -> npt.NDArray[np.int16]:
    times = np.arange(int(SAMPLE_RATE * seconds)) / SAMPLE_RATE
    wave: npt.NDArray[np.int16] = (amplitude * np.sin(2 * np.pi * hz * times)).astype(np.int16)
    return wave


def test_log_mel_shape_and_type() -> None:
    mel = log_mel(tone(440.0, 1.0))
    assert mel.shape == (MEL_BINS, MEL_FRAMES)
    assert mel.dtype == np.float32
    assert mel.flags["C_CONTIGUOUS"]


def test_higher_tone_lands_in_higher_bin() -> None:
    peaks = [int(log_mel(tone(hz, 1.0))[:, 50].argmax()) for hz in (200.0, 800.0, 3_200.0)]
    assert peaks == sorted(peaks)
    assert len(set(peaks)) == 3


def test_missing_samples_are_silence() -> None:
    short = log_mel(tone(440.0, 0.5))
    silent = log_mel(np.zeros(0, dtype=np.int16))
    assert np.array_equal(short[:, 55:], silent[:, 55:])
    assert short[:, :45].max() > silent.max()


def test_frames_follow_time() -> None:
    samples = np.zeros(SAMPLE_RATE, dtype=np.int16)
    samples[8_000:8_160] = tone(1_000.0, 0.01)
    assert int(log_mel(samples).max(axis=0).argmax()) == 50


@pytest.mark.parametrize("samples", [np.zeros(16_001, dtype=np.int16), np.zeros((2, 100), dtype=np.int16)])
def test_log_mel_refuses_other_shapes_than_a_block(samples: npt.NDArray[np.int16]) -> None:
    with pytest.raises(ValueError, match="block"):
        log_mel(samples)


@pytest.mark.parametrize(("samples", "count"), [(0, 0), (1, 1), (1_600, 1), (1_601, 2), (16_000, 10)])
def test_segments_count(samples: int, count: int) -> None:
    spans, audible = segments(5_000, np.ones(samples, dtype=np.int16), -55.0)
    assert spans.shape == (count, 2)
    assert spans.dtype == np.int64
    assert audible.shape == (count,)


def test_segments_have_media_times_and_the_last_may_be_short() -> None:
    spans, _ = segments(5_000, np.ones(1_760, dtype=np.int16), -55.0)
    assert spans.tolist() == [[5_000, 5_100], [5_100, 5_110]]


def test_segments_tell_sound_from_silence() -> None:
    samples = np.concatenate([np.zeros(1_600, dtype=np.int16), tone(300.0, 0.1), tone(300.0, 0.1, amplitude=20.0)])
    assert segments(0, samples, -55.0)[1].tolist() == [False, True, False]
    assert segments(0, samples, -75.0)[1].tolist() == [False, True, True]


def test_the_level_of_a_short_last_segment_is_measured_over_its_own_length() -> None:
    samples = np.concatenate([np.zeros(1_600, dtype=np.int16), tone(300.0, 0.01, amplitude=120.0)])
    assert segments(0, samples, -55.0)[1].tolist() == [False, True]
