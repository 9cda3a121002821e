from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from stream.domain.media_format import MEL_BINS, MEL_FRAMES, SAMPLE_RATE
from stream.encoders.audio import band_hz, log_mel, segments, with_still_band


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


def by_formula(samples: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
    """The definition, in double precision and one frame and bin at a time."""

    def mel(hz: float) -> float:
        return hz * 3 / 200 if hz < 1_000 else 15 + 27 * np.log(hz / 1_000) / np.log(6.4)

    def hz(mels: float) -> float:
        return mels * 200 / 3 if mels < 15 else 1_000 * np.exp((mels - 15) * np.log(6.4) / 27)

    signal = np.zeros(SAMPLE_RATE)
    signal[: len(samples)] = samples / 32_768
    around = np.concatenate([signal[200:0:-1], signal, signal[-2:-202:-1]])
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    edges = [hz(mel(8_000.0) * i / 81) for i in range(82)]
    bins = np.arange(201) * 40.0
    log = np.empty((80, 100))
    for t in range(100):
        power = np.abs(np.fft.rfft(around[160 * t : 160 * t + 400] * window)) ** 2
        for b in range(80):
            low, centre, high = edges[b : b + 3]
            triangle = np.interp(bins, [low, centre, high], [0.0, 2 / (high - low), 0.0], left=0.0, right=0.0)
            log[b, t] = np.log10(max(triangle @ power, 1e-10))
    level: npt.NDArray[np.float64] = (np.maximum(log - log.max(), -8.0) + 1.5 + 4.0) / 4.0
    return level


@pytest.mark.parametrize("seconds", [1.0, 0.37])
def test_log_mel_follows_its_formula(seconds: float) -> None:
    noise = np.random.default_rng(0).normal(0, 300, int(SAMPLE_RATE * seconds))
    samples = (tone(330.0, seconds) + tone(2_500.0, seconds, 400.0) + noise).astype(np.int16)
    np.testing.assert_allclose(log_mel(samples), by_formula(samples), atol=2e-4)


def test_the_level_does_not_matter() -> None:
    samples = (tone(330.0, 1.0) + np.random.default_rng(0).normal(0, 300, SAMPLE_RATE)).astype(np.int16) // 4 * 4
    np.testing.assert_allclose(log_mel(samples // 4), log_mel(samples), atol=1e-5)
    assert float(log_mel(samples).max()) == pytest.approx(1.375)


def test_digital_silence_is_finite() -> None:
    for samples in (np.zeros(SAMPLE_RATE, np.int16), np.zeros(0, np.int16)):
        assert np.unique(log_mel(samples)).tolist() == [1.375]


def test_missing_samples_are_silence() -> None:
    short = log_mel(tone(440.0, 0.5))
    padded = log_mel(np.concatenate([tone(440.0, 0.5), np.zeros(SAMPLE_RATE // 2, np.int16)]))
    assert np.array_equal(short, padded)
    assert np.unique(short[:, 52:]).tolist() == [-0.625]
    assert short[:, :48].max() == pytest.approx(1.375)


def test_frames_follow_time() -> None:
    samples = np.zeros(SAMPLE_RATE, dtype=np.int16)
    samples[7_920:8_080] = tone(1_000.0, 0.01)
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


def test_a_block_with_a_still_band_has_the_level_of_every_block() -> None:
    rng = np.random.default_rng(0)
    block = log_mel((rng.normal(size=16_000) * 3000).astype(np.int16))
    loudest = int(block.max(axis=1).argmax()) // 10 * 10
    still = with_still_band(block, loudest, loudest + 10)
    assert still.max() == pytest.approx(block.max())
    others = np.delete(still - block, slice(loudest, loudest + 10), axis=0)
    assert others.min() == pytest.approx(others.max(), abs=1e-6), "the other bins keep their shape"
    assert others.min() > 0, "without the loudest band the rest is louder"
    assert np.ptp(still[loudest : loudest + 10], axis=1).max() == 0


def test_the_bands_of_the_mel_bins_reach_from_the_lowest_to_the_highest_frequency() -> None:
    assert band_hz(0, 80) == pytest.approx((0.0, 8000.0))
    assert band_hz(0, 10)[1] == band_hz(10, 20)[0] > 0
    assert [band_hz(bin_, bin_ + 1) == tuple(sorted(band_hz(bin_, bin_ + 1))) for bin_ in range(80)] == [True] * 80
