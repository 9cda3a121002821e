"""The two encoders' training: effects of a line, variants, losses that fall, training that is taken up again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.progress import Progress
from torch import Tensor, nn

from stream.domain.media_format import MEL_BINS, MEL_FRAMES, SAMPLE_RATE
from stream.encoders.audio import log_mel
from stream.training import faces, line_effects, voice
from stream.training.checkpoints import load_face, load_voice, save_classifier
from stream.training.corpora import VOICE_SHARES, Part, Voice
from stream.training.loop import Schedule, train

TINY = voice.VoiceRecipe(epochs=6, batch=4, variants=1)


@pytest.fixture
def progress() -> Iterator[Progress]:
    with Progress(disable=True) as bar:
        yield bar


def tone(hz: float, amplitude: float = 3_000.0) -> line_effects.Signal:
    return np.asarray(amplitude * np.sin(2 * np.pi * hz * np.arange(SAMPLE_RATE) / SAMPLE_RATE))


def strength(signal: line_effects.Signal) -> float:
    return float(np.sqrt((signal**2).mean()))


def recordings(count: int = 8) -> list[Voice]:
    return [
        Voice(tone(150.0 + 250 * (k % 3)).astype(np.int16), k + 1, (0, 2, 3)[k % 3], (1, 2, 0)[k % 3], (0.0, 0.8, -0.6)[k % 3], Part.TRAIN)
        for k in range(count)
    ]


@pytest.mark.parametrize(("hz", "passes"), [(100.0, False), (1_000.0, True), (6_000.0, False)])
def test_a_telephone_line_passes_only_its_band(hz: float, passes: bool) -> None:
    left = strength(line_effects.band(tone(hz), *line_effects.TELEPHONE_HZ)) / strength(tone(hz))
    assert left == pytest.approx(1.0 if passes else 0.0, abs=0.02)


def test_tilt_and_hum_have_the_strength_asked_for() -> None:
    assert strength(line_effects.tilt(tone(4_000.0), -3.0)) / strength(tone(4_000.0)) == pytest.approx(10 ** (-6 / 20), rel=0.01)
    humming = np.abs(np.fft.rfft(line_effects.hum(np.zeros(SAMPLE_RATE), -30.0))) * 2 / SAMPLE_RATE
    assert humming[50] == pytest.approx(32_768 * 10 ** (-30 / 20), rel=0.01)


def test_variants_follow_from_the_seed_and_differ(progress: Progress) -> None:
    first, second = (voice.make_variants(recordings(2), 2, 3, progress) for _ in range(2))
    other = voice.make_variants(recordings(2), 2, 4, progress)
    assert np.array_equal(first.mel, second.mel)
    assert not np.array_equal(first.mel, other.mel)
    assert not np.array_equal(first.mel[:, :, 0], first.mel[:, :, 1])
    assert not np.array_equal(first.mel[:, 0], first.mel[:, 1])
    assert 0.2 < first.audible[:, :, 0].mean() < 0.5


def test_a_step_is_shown_neighbouring_blocks_with_their_segments(progress: Progress) -> None:
    variants = voice.make_variants(recordings(3), 2, 3, progress)
    mel, audible = variants.shown(np.array([2, 0]), np.array([1, 0]), np.array([0, 1]), np.array([1, 0]))
    assert np.array_equal(mel.numpy(), np.stack([variants.mel[2, 1, 0, 1:3], variants.mel[0, 0, 1, 0:2]]).astype(np.float32))
    assert np.array_equal(audible.numpy(), np.stack([variants.audible[2, 1, 0, 10:30], variants.audible[0, 0, 1, 0:20]]))


def test_masks_only_lower_and_never_below_the_floor() -> None:
    floor = float(log_mel(tone(1_000.0).astype(np.int16)).min())
    blocks = torch.randn(6, 3, MEL_BINS, MEL_FRAMES).clamp_min(floor)
    masked = voice.masked(blocks, torch.Generator().manual_seed(0))
    assert bool((masked <= blocks + 1e-6).all())
    assert float(masked.min()) >= floor - 1e-5
    assert not torch.equal(masked, blocks)


def test_inaudible_segments_do_not_count() -> None:
    torch.manual_seed(0)
    model = voice.VoiceClassifier().eval()
    blocks = torch.randn(1, 2, MEL_BINS, MEL_FRAMES)
    audible = torch.ones(1, 20, dtype=torch.bool)
    audible[:, 10:] = False
    other = torch.cat([blocks[:, :1], torch.randn(1, 1, MEL_BINS, MEL_FRAMES)], dim=1)
    with torch.no_grad():
        assert torch.allclose(model(blocks, audible).polarities, model(other, audible).polarities, atol=1e-5)
        assert not torch.allclose(model(blocks, ~audible).polarities, model(other, ~audible).polarities, atol=1e-5)


def test_signs_are_those_of_the_emotions_as_if_equally_frequent() -> None:
    sure = voice.signs_of(np.eye(8, dtype=np.float32))
    assert sure.argmax(axis=1).tolist() == [1, 2, 2, 0, 0, 0, 0, 2]
    unsure = voice.signs_of(np.asarray([VOICE_SHARES], dtype=np.float32))
    assert unsure == pytest.approx(1 / 3)


@pytest.mark.slow
def test_voice_training_is_repeatable_and_can_be_taken_up_again(progress: Progress, tmp_path: Path) -> None:
    voices = recordings()
    variants = voice.make_variants(voices, 1, 0, progress)
    whole, fit = voice.train_voice(voices, variants, voices[:3], TINY, seed=1, progress=progress)
    assert [epoch for epoch, _ in fit] == [1, 6]
    state = tmp_path / "voice.state"
    stopped: list[int] = []

    class Stop(Exception):
        pass

    original = voice.predict

    def stop_after_one(*arguments: object) -> voice.Answers:
        stopped.append(1)
        if len(stopped) == 2:
            raise Stop
        return original(*arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(voice, "predict", stop_after_one)
        with pytest.raises(Stop):
            voice.train_voice(voices, variants, voices[:3], TINY, seed=1, progress=progress, state=state)
    again, resumed = voice.train_voice(voices, variants, voices[:3], TINY, seed=1, progress=progress, state=state)
    assert resumed == fit
    for one, other in zip(whole.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_a_state_of_another_schedule_is_not_used(progress: Progress, tmp_path: Path) -> None:
    voices = recordings()
    variants = voice.make_variants(voices, 1, 0, progress)
    state = tmp_path / "voice.state"
    voice.train_voice(voices, variants, (), TINY, seed=1, progress=progress, state=state)
    _, fit = voice.train_voice(voices, variants, (), replace(TINY, epochs=5), seed=1, progress=progress, state=state)
    assert len(fit) == 1


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


def test_classifiers_are_kept_with_their_encoders(tmp_path: Path) -> None:
    torch.manual_seed(0)
    heard, seen = voice.VoiceClassifier(0.3).eval(), faces.FaceClassifier(7, 0.2).eval()
    save_classifier(heard, "audio", tmp_path)
    save_classifier(seen, "face", tmp_path)
    blocks, audible, crops = torch.randn(2, 1, MEL_BINS, MEL_FRAMES), torch.ones(2, 10, dtype=torch.bool), torch.randn(2, 1, 48, 48)
    with torch.no_grad():
        assert torch.equal(load_voice(tmp_path)(blocks, audible).emotions, heard(blocks, audible).emotions)
        assert torch.equal(load_face(tmp_path)(crops)[0], seen(crops)[0])
