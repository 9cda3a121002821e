from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from stream.media.downmix import Downmix, Planes
from stream.media.media_info import Problem

RATE = 16_000
BLOCK = 800
FIVE_ONE = ("FL", "FR", "FC", "LFE", "SL", "SR")


def _noise(seed: int, level_db: float, seconds: float = 2.0) -> npt.NDArray[np.float32]:
    """Noise of a level in dBFS."""
    samples = np.random.default_rng(seed).normal(0, 10 ** (level_db / 20), round(seconds * RATE))
    return samples.astype(np.float32)


def _db(samples: npt.NDArray[np.float32]) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-20))


def _mixed(planes: Planes, channels: tuple[str, ...], layout: str = "stereo", **options: npt.NDArray[np.float64]) -> tuple[Planes, Downmix]:
    downmix = Downmix(layout, channels, RATE, **options)
    return np.concatenate([downmix.mix(planes[:, at : at + BLOCK]) for at in range(0, planes.shape[1], BLOCK)]), downmix


SILENCE = np.zeros(2 * RATE, np.float32)
SPEECH = _noise(1, -20)


def test_two_speakers_on_two_channels_are_averaged() -> None:
    other = _noise(2, -25)
    mixed, downmix = _mixed(np.stack([SPEECH, other]), ("FL", "FR"))
    np.testing.assert_allclose(mixed, (SPEECH + other) / 2, atol=1e-6)
    assert not downmix.problems


def test_one_dead_channel_costs_no_level_and_is_noticed() -> None:
    for planes in (np.stack([SPEECH, SILENCE]), np.stack([SILENCE, SPEECH]), np.stack([SPEECH, _noise(3, -75)])):
        mixed, downmix = _mixed(planes, ("FL", "FR"))
        assert _db(mixed) == pytest.approx(-20, abs=0.2)
        assert downmix.problems == {Problem.DEAD_CHANNEL}


def test_inverted_channels_do_not_cancel_out_and_are_noticed() -> None:
    mixed, downmix = _mixed(np.stack([SPEECH, -0.8 * SPEECH]), ("FL", "FR"))
    assert _db(mixed) == pytest.approx(-21, abs=0.5)
    assert downmix.problems == {Problem.CHANNELS_INVERTED}
    same, downmix = _mixed(np.stack([SPEECH, SPEECH]), ("FL", "FR"))
    assert _db(same) == pytest.approx(-20, abs=0.2)
    assert not downmix.problems


def test_a_sound_that_is_inverted_for_a_part_keeps_its_level_throughout() -> None:
    planes = np.concatenate([np.stack([SPEECH, SPEECH]), np.stack([SPEECH, -SPEECH]), np.stack([SPEECH, SPEECH])], axis=1)
    mixed, _ = _mixed(planes, ("FL", "FR"))
    for second in (1, 3, 5):
        assert _db(mixed[second * RATE : (second + 1) * RATE]) == pytest.approx(-20, abs=0.5)


def test_speech_in_the_centre_alone_keeps_its_level() -> None:
    planes = np.zeros((6, 2 * RATE), np.float32)
    planes[2] = SPEECH
    mixed, downmix = _mixed(planes, FIVE_ONE, "5.1(side)")
    assert _db(mixed) == pytest.approx(-20, abs=0.2)
    assert not downmix.problems


def test_speech_in_the_centre_is_louder_than_equally_loud_music_around_it() -> None:
    music = np.stack([_noise(seed, -20) for seed in range(10, 16)])
    music[2] = 0
    planes = music.copy()
    planes[2] = SPEECH
    mixed, _ = _mixed(planes, FIVE_ONE, "5.1(side)")
    share = float(np.dot(mixed, SPEECH) / np.dot(SPEECH, SPEECH))
    assert 20 * np.log10(share) == pytest.approx(0, abs=1)
    assert _db(mixed - share * SPEECH) < -29


def test_speech_in_all_channels_is_no_louder_than_in_one() -> None:
    mixed, _ = _mixed(np.stack([SPEECH] * 6), FIVE_ONE, "5.1(side)")
    assert _db(mixed) == pytest.approx(-20, abs=0.2)


def test_speech_in_the_front_of_a_surround_sound_without_a_centre_keeps_its_level() -> None:
    planes = np.zeros((6, 2 * RATE), np.float32)
    planes[0] = planes[1] = SPEECH
    planes[3] = _noise(5, -10)
    mixed, _ = _mixed(planes, FIVE_ONE, "5.1(side)")
    assert _db(mixed) == pytest.approx(-20, abs=0.2)


def test_channels_without_a_layout_are_mixed_alike() -> None:
    planes = np.zeros((9, 2 * RATE), np.float32)
    planes[7] = SPEECH
    mixed, _ = _mixed(planes, ("NONE",) * 9, "9 channels")
    assert _db(mixed) == pytest.approx(-20, abs=0.2)


def test_an_ambisonic_recording_is_its_first_channel() -> None:
    planes = np.stack([SPEECH, _noise(6, -10), _noise(7, -10), _noise(8, -10)])
    mixed, _ = _mixed(planes, ("AMBI0", "AMBI1", "AMBI2", "AMBI3"), "ambisonic 1")
    np.testing.assert_allclose(mixed, SPEECH, atol=1e-6)


def test_a_speaker_who_is_known_to_come_later_does_not_change_the_level() -> None:
    planes = np.stack([SPEECH, SILENCE])
    mixed, _ = _mixed(planes, ("FL", "FR"), known_levels=np.array([0.1, 0.1]))
    assert _db(mixed) == pytest.approx(-26, abs=0.2)


def test_silence_stays_silence() -> None:
    mixed, downmix = _mixed(np.zeros((2, RATE), np.float32), ("FL", "FR"))
    assert not mixed.any()
    assert not downmix.problems


def test_channels_that_are_inverted_below_4_khz_only_do_not_cancel_out() -> None:
    """As codecs leave them: they keep the levels of high tones and not their signs."""
    rate = 48_000
    spectrum = np.fft.rfft(_noise(1, -20, 6.0))
    hertz = np.fft.rfftfreq(6 * RATE, 1 / rate)
    low = np.fft.irfft(np.where(hertz < 4_000, spectrum, 0)).astype(np.float32)
    # Speech has less of them.
    high = (np.fft.irfft(np.where(hertz < 4_000, 0, spectrum)) / 4).astype(np.float32)
    downmix = Downmix("stereo", ("FL", "FR"), rate)
    planes: Planes = np.stack([low + high, high - low])
    mixed = np.concatenate([downmix.mix(planes[:, at : at + 4_800]) for at in range(0, low.size, 4_800)])
    assert downmix.problems == {Problem.CHANNELS_INVERTED}
    assert np.dot(mixed, low) / np.dot(low, low) == pytest.approx(1, abs=0.1)
