"""The training of the encoders of voice and face: effects of a line or room, variants, the training loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.progress import Progress
from torch import Tensor, nn

from stream.domain.media_format import SAMPLE_RATE
from stream.nuisances import line_effects
from stream.training import faces, voice
from stream.training.checkpoints import load_face, save_face
from stream.training.corpora import Faces
from stream.training.export import export_face, served_face
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


def test_two_views_of_a_face_are_near_each_other() -> None:
    smooth = torch.nn.functional.interpolate(torch.randn(16, 1, 5, 5), 48, mode="bicubic")
    pair = faces.views(smooth, torch.Generator().manual_seed(0), faces.FaceRecipe())
    assert pair.shape == (32, 1, 48, 48)
    assert torch.allclose(pair.mean(dim=(1, 2, 3)), torch.zeros(32), atol=0.05)
    first, second = pair.chunk(2)
    near, far = (first - second).pow(2).mean(), (first - second.roll(1, 0)).pow(2).mean()
    assert 0.0 < float(near) < 0.2 * float(far)


def test_views_follow_from_the_generator_and_the_strength() -> None:
    crops = torch.randn(4, 1, 48, 48)
    one, same, other = (faces.views(crops, torch.Generator().manual_seed(seed), faces.FINE_TUNING) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    still = faces.augmented(crops, torch.Generator().manual_seed(0), strength=0.0, covered=0.0)
    standard = (crops - crops.mean(dim=(1, 2, 3), keepdim=True)) / crops.std(dim=(1, 2, 3), keepdim=True)
    for crop, shown in zip(standard, still, strict=True):
        assert any(torch.allclose(shown, own, atol=1e-2) for own in (crop, crop.flip(2))), "without strength a crop is only mirrored"


def test_the_difference_of_views_does_not_change_with_the_scale_of_the_embedding() -> None:
    embeddings, logits = torch.randn(8, 64), torch.randn(8, 3)
    equal, level = torch.cat([embeddings, embeddings]), torch.cat([logits, logits])
    apart = torch.cat([embeddings, embeddings + 0.1])
    assert float(faces.unlike(equal, level)) == 0.0
    assert float(faces.unlike(apart, level)) > 0.0
    assert float(faces.unlike(3.0 * apart, level)) == pytest.approx(float(faces.unlike(apart, level)), rel=1e-4)
    assert float(faces.unlike(equal, torch.cat([logits, logits + 2.0]))) == pytest.approx(faces.LOGITS_WEIGHT * 4.0, rel=1e-4)


def images(count: int = 24) -> Faces:
    labels = np.arange(count) % 3
    rng = np.random.default_rng(0)
    crops = (rng.integers(0, 40, (count, 48, 48)) + 60 * (np.arange(48) // 8 % (labels[:, None, None] + 2))).astype(np.uint8)
    return Faces(crops, labels, labels, (labels - 1).astype(np.float32), 3)


def test_a_training_can_start_from_given_weights(progress: Progress) -> None:
    torch.manual_seed(3)
    given = faces.FaceClassifier(3)
    recipe = replace(faces.FINE_TUNING, batch=8, peak_rate=1e-9)
    tuned, _ = faces.train_faces(images(), images(), recipe, seed=0, progress=progress, initial=given)
    assert torch.allclose(tuned.emotion.weight, given.emotion.weight, atol=1e-6)
    fresh, _ = faces.train_faces(images(), images(), recipe, seed=0, progress=progress)
    assert not torch.allclose(fresh.emotion.weight, given.emotion.weight, atol=1e-2)


def test_the_answers_of_the_first_network_are_learned_beside_the_labels(progress: Progress) -> None:
    torch.manual_seed(3)
    sure = faces.FaceClassifier(3)
    with torch.no_grad():
        sure.emotion.weight.zero_()
        sure.emotion.bias.copy_(torch.tensor([9.0, 0.0, 0.0]))
    shown = replace(images(8), emotions=np.full(8, 2))
    recipe = replace(faces.FINE_TUNING, batch=8, epochs=20, peak_rate=3e-2, consistency=0.0)
    shares = {}
    for taught in (0.0, 0.5):
        tuned, _ = faces.train_faces(shown, shown, replace(recipe, taught=taught), seed=0, progress=progress, initial=sure)
        shares[taught] = faces.predict(tuned, shown.images)[0].mean(axis=0)
    assert shares[0.0][0] < 0.1 < 0.3 < shares[0.5][0] < 0.6


def test_the_weights_of_faces_are_exported_with_their_classifier(tmp_path: Path) -> None:
    torch.manual_seed(0)
    seen = faces.FaceClassifier(7).eval()
    export_face(seen, tmp_path)
    crops = torch.randn(2, 1, 48, 48)
    with torch.no_grad():
        for own, stored in zip(seen(crops), served_face(tmp_path)(crops), strict=True):
            assert torch.equal(own, stored)


def test_the_face_encoder_is_kept_with_its_classifiers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    seen = faces.FaceClassifier(7, 0.2).eval()
    save_face(seen, tmp_path)
    crops = torch.randn(2, 1, 48, 48)
    with torch.no_grad():
        assert torch.equal(load_face(tmp_path)(crops)[0], seen(crops)[0])
