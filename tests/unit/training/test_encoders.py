"""The training of the encoders of voice and face: effects of a line or room, variants, the training loop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.progress import Progress
from torch import Tensor, nn

from stream.domain.media_format import SAMPLE_RATE
from stream.training import faces, line_effects, voice
from stream.training.checkpoints import load_face, save_face
from stream.training.loop import Schedule, train


@pytest.fixture
def progress() -> Iterator[Progress]:
    with Progress(disable=True) as bar:
        yield bar


def tone(hz: float, amplitude: float = 3_000.0) -> line_effects.Signal:
    return np.asarray(amplitude * np.sin(2 * np.pi * hz * np.arange(SAMPLE_RATE) / SAMPLE_RATE))


def strength(signal: line_effects.Signal) -> float:
    return float(np.sqrt((signal**2).mean()))


@pytest.mark.parametrize(("hz", "passes"), [(100.0, False), (1_000.0, True), (6_000.0, False)])
def test_a_telephone_line_passes_only_its_band(hz: float, passes: bool) -> None:
    left = strength(line_effects.band(tone(hz), *line_effects.TELEPHONE_HZ)) / strength(tone(hz))
    assert left == pytest.approx(1.0 if passes else 0.0, abs=0.02)


def test_tilt_and_hum_have_the_strength_asked_for() -> None:
    assert strength(line_effects.tilt(tone(4_000.0), -3.0)) / strength(tone(4_000.0)) == pytest.approx(10 ** (-6 / 20), rel=0.01)
    humming = np.abs(np.fft.rfft(line_effects.hum(np.zeros(SAMPLE_RATE), -30.0))) * 2 / SAMPLE_RATE
    assert humming[50] == pytest.approx(32_768 * 10 ** (-30 / 20), rel=0.01)


def test_a_room_adds_a_decaying_tail() -> None:
    click = np.zeros(SAMPLE_RATE)
    click[0] = 1_000.0
    heard = line_effects.room(click, np.random.default_rng(0))
    assert heard.shape[0] > SAMPLE_RATE
    assert heard[0] == pytest.approx(1_000.0, rel=0.01)
    early, late = strength(heard[1:500]), strength(heard[1_500:2_000])
    assert 0 < late < early < 500.0


def test_variants_follow_from_the_seed_and_differ() -> None:
    samples = tone(300.0).astype(np.int16)
    first, second, other = (list(voice.variants_of(samples, 3, np.random.default_rng(seed))) for seed in (1, 1, 2))
    assert [np.array_equal(a, b) for a, b in zip(first, second, strict=True)] == [True] * 3
    assert [np.array_equal(a, b) for a, b in zip(first, other, strict=True)] == [False] * 3
    assert len({own.shape[0] for own in first}) == 3
    for own in first:
        assert SAMPLE_RATE <= own.shape[0] < 2.5 * SAMPLE_RATE
        assert -21.0 < 20 * np.log10(np.abs(own.astype(np.int64)).max() / 32_768) < -2.0


def test_the_averaged_weights_are_left_behind(progress: Progress) -> None:
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    seen: list[float] = []

    def losses(_: int) -> Iterator[Tensor]:
        for _ in range(50):
            seen.append(float(module.weight.detach()))
            yield (module.weight - 1.0).pow(2).sum()

    train(module, losses, lambda _: 0.0, Schedule(5, 50, 0.05), progress=progress, title="line")
    assert 0 < float(module.weight.detach()) < seen[-1]


def test_the_rate_rises_and_falls_to_nothing() -> None:
    schedule = Schedule(epochs=10, steps=100, peak_rate=1.0)
    rates = [schedule.rate(step) for step in range(1_000)]
    assert rates[0] < 0.05
    assert max(rates) == rates[300] == 1.0
    assert 0 < rates[-1] < 0.01


def test_small_faces_come_first() -> None:
    recipe = faces.FaceRecipe(epochs=10)
    sides = [recipe.side(epoch) for epoch in range(10)]
    assert sides == sorted(sides)
    assert (sides[0], sides[-1]) == (32, 48)
    moved = faces.augmented(torch.randn(3, 1, 48, 48), torch.Generator().manual_seed(0), 32)
    assert moved.shape == (3, 1, 32, 32)


def test_the_face_encoder_is_kept_with_its_classifiers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    seen = faces.FaceClassifier(7, 0.2).eval()
    save_face(seen, tmp_path)
    crops = torch.randn(2, 1, 48, 48)
    with torch.no_grad():
        assert torch.equal(load_face(tmp_path)(crops)[0], seen(crops)[0])
