"""The parts of MMCI's training: windows, targets, losses, metrics and evaluation."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.progress import Progress

from stream.domain.context import CONTEXT_WINDOWS
from stream.domain.media_format import FACE_WIDTH, VOICE_WIDTH
from stream.domain.modality import MODALITIES
from stream.model.backdoor import k_means
from stream.model.config import MMCIConfig
from stream.model.heads import Answer, uniform_divergence
from stream.model.mmci import MMCI
from stream.model.served import ServedMMCI
from stream.training import voice
from stream.training.corpora import NEGATIVE, NEUTRAL, POSITIVE, Part, Utterance, polarity_of_score, polarity_of_valence
from stream.training.evaluate import OTHERS, evaluate, reliabilities
from stream.training.features import FacePool, Pools, TextPool, VoicePool
from stream.training.losses import LossWeights, Targets, causal_intervention_loss, targets, task_loss
from stream.training.metrics import (
    accuracy,
    bootstrap_by_group,
    calibration_error,
    f1_scores,
    majority,
    regression,
    reliability,
    review,
)
from stream.training.mmci import MMCIRecipe, calibrate_arousal, draw_texts, fit, random_gates
from stream.training.routine_talk import routine_talk
from stream.training.windows import AUDIO, WINDOW_S, WORDS, WindowMaker

TEXT, VOICE, FACE = MODALITIES


@pytest.fixture
def pools() -> Pools:
    rng = np.random.default_rng(0)
    utterances = [Utterance("mosi", "v", "a b c", float(i % 3 - 1) * 2, i % 3, Part.TRAIN, "v", i) for i in range(6)]
    utterances += [Utterance("meld", f"d{i % 3}", "a b", None, i % 3, Part.TRAIN, f"s{i % 2}", i) for i in range(30)]
    states = tuple(rng.standard_normal((len(u.text.split()) + i % 5, 384)).astype(np.float16) for i, u in enumerate(utterances))
    segments = [rng.standard_normal((12, VOICE_WIDTH)).astype(np.float32) for _ in range(9)]
    long = rng.standard_normal((60, VOICE_WIDTH)).astype(np.float32)
    voices = VoicePool(
        tuple((s,) for s in [*segments, long]),
        tuple((np.arange(s.shape[0]) * (1 if s.shape[0] > 12 else 2),) for s in [*segments, long]),
        np.array([0, 1, 2] * 3 + [2]),
        np.array([-0.7, 0.0, 0.8] * 3 + [0.8], dtype=np.float32),
        np.array([1.0, 0.0, 1.0] * 3 + [np.nan], dtype=np.float32),
        np.array(["ravdess"] * 9 + ["other"]),
        np.array([str(number) for number in range(9)] + ["ann"]),
        np.ones(10, dtype=np.float32),
    )
    faces = FacePool(
        rng.standard_normal((9, 2, FACE_WIDTH)).astype(np.float32), np.array([0, 1, 2] * 3), np.array([-0.7, 0, 0.8] * 3, dtype=np.float32)
    )
    return Pools(TextPool(tuple(utterances), states), voices, faces)


def test_polarity_rules() -> None:
    assert [polarity_of_valence(v) for v in (-0.6, 0.1, 0.3, 0.8)] == [NEGATIVE, NEUTRAL, NEUTRAL, POSITIVE]
    assert [polarity_of_score(s) for s in (-0.5, -0.4, 0.0, 0.6)] == [NEGATIVE, NEUTRAL, NEUTRAL, POSITIVE]


def test_paired_windows_share_polarity(pools: Pools) -> None:
    batch = WindowMaker(pools, 0).paired(list(range(36)))
    expected = np.array([-0.7, 0.0, 0.8], dtype=np.float32)[batch.polarity.numpy()]
    assert np.array_equal(batch.valence[:, 0].numpy(), expected)
    assert np.array_equal(batch.valence[:, 1].numpy(), expected)
    assert batch.polarity.tolist() == [u.polarity for u in pools.text.utterances]


def test_mismatch_breaks_some_pairs(pools: Pools) -> None:
    batch = WindowMaker(pools, 0, voice_mismatch=0.9).paired(list(range(36)))
    expected = np.array([-0.7, 0.0, 0.8], dtype=np.float32)[batch.polarity.numpy()]
    assert 0.2 < float((batch.valence[:, 0].numpy() == expected).mean()) < 0.8


def test_nodes_lie_in_the_window_with_words_inside_the_speech(pools: Pools) -> None:
    batch = WindowMaker(pools, 0).paired(list(range(36)))
    for nodes in batch.window.values():
        inside = nodes.mask > 0
        assert nodes.times[inside].min() >= 0
        assert nodes.times[inside].max() <= WINDOW_S + 1e-5
        assert torch.all(nodes.times[..., 1][inside] > nodes.times[..., 0][inside])
    text, audio = batch.window[TEXT], batch.window[VOICE]
    for row in range(36):
        heard = audio.times[row][audio.mask[row] > 0]
        said = text.times[row][text.mask[row] > 0]
        assert said.min() >= heard.min() - 1e-5
        assert said.max() <= heard.max() + 1e-5
    assert text.values.shape[1] == WORDS
    assert audio.mask.sum(dim=1).max() <= AUDIO


def test_voices_are_drawn_by_their_weights(pools: Pools) -> None:
    weights = np.where(np.arange(10) == 9, 3.0, 1.0).astype(np.float32)
    maker = WindowMaker(Pools(pools.text, replace(pools.voice, weights=weights), pools.face), 0)
    positive = [index for index, utterance in enumerate(pools.text.utterances) if utterance.polarity == 2]
    unknown = torch.cat([maker.paired(positive).aroused.isnan() for _ in range(20)])
    # Three of the positive voices weigh 1 each, and the one whose arousal is unknown weighs 3.
    assert 0.4 < float(unknown.float().mean()) < 0.6


def test_windows_of_one_modality(pools: Pools) -> None:
    voices = WindowMaker(pools, 0).voices_only([0, 1])
    assert [float(voices.window[m].mask.sum()) > 0 for m in MODALITIES] == [False, True, False]
    faces = WindowMaker(pools, 0).faces_only([0, 1])
    assert [float(faces.window[m].mask.sum()) > 0 for m in MODALITIES] == [False, False, True]
    assert faces.score.isnan().all()


def test_same_seed_same_windows(pools: Pools) -> None:
    first, second = (WindowMaker(pools, 7).paired([0, 1, 2]) for _ in range(2))
    assert all(torch.equal(a, b) for m in MODALITIES for a, b in zip(first.window[m], second.window[m], strict=True))


def test_passes_are_half_mosi_half_meld(pools: Pools) -> None:
    recipe = MMCIRecipe(windows=40, batch=8)
    drawn = [index for texts in draw_texts(pools, recipe, np.random.default_rng(0)) for index in texts]
    mosi = sum(pools.text.utterances[index].corpus == "mosi" for index in drawn)
    assert len(drawn) == 40
    assert 18 <= mosi <= 22


def test_made_up_calls_have_their_share_of_a_pass(pools: Pools) -> None:
    calls = tuple(routine_talk(20, 0, Part.TRAIN))
    text = TextPool(pools.text.utterances + calls, pools.text.states + (np.zeros((3, 384), np.float16),) * len(calls))
    recipe = MMCIRecipe(windows=400, batch=8, routine_share=0.2)
    drawn = [index for texts in draw_texts(Pools(text, pools.voice, pools.face), recipe, np.random.default_rng(0)) for index in texts]
    counts = Counter(text.utterances[index].corpus for index in drawn)
    assert len(drawn) == 400
    assert counts["routine"] == pytest.approx(80, abs=3)
    assert counts["mosi"] == pytest.approx(160, abs=3)


def test_made_up_calls_are_in_no_table_of_what_people_have_said(pools: Pools) -> None:
    calls = tuple(routine_talk(20, 0, Part.TEST))
    text = TextPool(pools.text.utterances + calls, pools.text.states + (np.zeros((3, 384), np.float16),) * len(calls))
    served = ServedMMCI(MMCI(MMCIConfig(hidden=8, head_hidden=8, past=CONTEXT_WINDOWS))).eval()
    results = evaluate(served, Pools(text, pools.voice, pools.face))
    assert results["text routine"]["n"] == 20
    assert results["paired text"]["n"] == len(pools.text.utterances)
    counted = sum(count for _, _, count in reliabilities(served, Pools(text, pools.voice, pools.face))["text"])
    assert counted == len(pools.text.utterances)


def test_windows_that_cut_sentences_are_measured_apart(pools: Pools) -> None:
    served = ServedMMCI(MMCI(MMCIConfig(hidden=8, head_hidden=8, past=CONTEXT_WINDOWS))).eval()
    without = evaluate(served, pools)
    mosi = TextPool(pools.text.utterances[:6], pools.text.states[:6])
    results = evaluate(served, replace(pools, cut_text={"cut": mosi}))
    assert set(results) - set(without) == {"text mosi, cut"}
    assert results["text mosi, cut"]["n"] == 6
    assert {name: results[name] for name in without} == without


def test_modality_dropout_has_all_one_and_other() -> None:
    gates = random_gates(200, torch.Generator().manual_seed(0))
    counts = gates.sum(dim=2)
    assert torch.all(counts[:, 0] == 3)
    assert torch.all(counts[:, 1] == 1)
    assert set(counts[:, 2].tolist()) == {0.0, 2.0}


def test_score_targets(pools: Pools) -> None:
    batch = WindowMaker(pools, 0).paired([2, 7])
    gates = torch.tensor([[[1.0, 1, 1], [0, 1, 1], [0, 0, 0]]]).expand(2, -1, -1)
    wanted = targets(batch, gates, LossWeights(score=1.0, valence=0.1, neutral=0.5))
    assert wanted.score[0].tolist() == pytest.approx([2.0, 2.4, 2.0])
    assert wanted.score_weight.tolist() == [[1.0, 0.0, 1.0], [0.5, 0.0, 0.0]]
    assert wanted.valence_weight.tolist() == [[0.0, pytest.approx(0.1), 0.0]] * 2


def test_uniform_answers_have_no_divergence_and_sure_ones_do() -> None:
    assert float(uniform_divergence(torch.zeros(4, 3))) == pytest.approx(0.0, abs=1e-6)
    assert float(uniform_divergence(torch.tensor([[5.0, 0.0, -5.0]]))) > 1.0


def test_task_loss_counts_only_scores_that_are_known() -> None:
    answer = Answer(torch.tensor([[1.0, -1.0]]), torch.zeros(1, 2, 3), torch.ones(1, 2))
    classes, scores, none = torch.zeros(1, 2, dtype=torch.int64), torch.tensor([[2.0, 2.0]]), torch.zeros(1, 2)
    annotated = Targets(classes, scores, torch.tensor([[1.0, 0.0]]), none)
    assert float(task_loss(answer, annotated)) == pytest.approx(np.log(3.0) + 0.5, abs=1e-5)
    constants = Targets(classes, scores, none, torch.tensor([[0.0, 0.5]]))
    assert float(task_loss(answer, constants)) == pytest.approx(np.log(3.0) + 0.5 * 9.0 / 2, abs=1e-5)


@pytest.mark.slow
def test_a_few_steps_lower_the_loss(pools: Pools) -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = MMCI(MMCIConfig(hidden=8, head_hidden=8, strata=2, dropout=0.0))
    batch = WindowMaker(pools, 0).paired(list(range(12)))
    gates = random_gates(12, generator)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(25):
        loss = causal_intervention_loss(model, batch, gates, LossWeights(), generator)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]
    assert all(parameter.grad is not None for name, parameter in model.named_parameters() if "bank" not in name)


def test_k_means_finds_two_clouds() -> None:
    generator = torch.Generator().manual_seed(1)
    points = torch.cat([torch.randn(30, 2, generator=generator), torch.randn(90, 2, generator=generator) + 20.0])
    centres, shares = k_means(points, 2, generator)
    assert sorted(shares.tolist()) == pytest.approx([0.25, 0.75])
    assert sorted(centres[:, 0].tolist()) == pytest.approx([0.0, 20.0], abs=1.0)


def test_metrics_by_hand() -> None:
    predicted, truth = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2])
    assert accuracy(predicted, truth) == 0.75
    assert majority(truth) == 0.5
    assert f1_scores(predicted, truth) == pytest.approx((7 / 9, 0.75))
    sure_and_right = np.array([[1.0, 0.0], [1.0, 0.0]], dtype=np.float32)
    assert calibration_error(sure_and_right, np.array([0, 0])) == pytest.approx(0.0)
    assert calibration_error(sure_and_right, np.array([1, 1])) == pytest.approx(1.0)
    numbers = regression(np.array([1.0, -1.0, 0.5], dtype=np.float32), np.array([2.0, -1.0, 0.0], dtype=np.float32))
    assert (numbers["mae"], numbers["accuracy_has0"], numbers["accuracy_non0"]) == (0.5, 1.0, 1.0)


def test_reliability_and_review() -> None:
    probabilities = np.array([[0.95, 0.05], [0.92, 0.08], [0.6, 0.4], [0.45, 0.55]], dtype=np.float32)
    truth = np.array([0, 1, 0, 0])
    bins = reliability(probabilities, truth)
    assert bins == [pytest.approx((0.55, 0.0, 1)), pytest.approx((0.6, 1.0, 1)), pytest.approx((0.935, 0.5, 2))]
    assert calibration_error(probabilities, truth) == pytest.approx((0.55 + 0.4 + 2 * 0.435) / 4)
    assert review(probabilities, truth, 0.6) == {"reviewed": 0.25, "wrong_reviewed": 1.0, "wrong_kept": pytest.approx(1 / 3)}
    assert review(probabilities, truth, 0.0) == {"reviewed": 0.0, "wrong_reviewed": 0.0, "wrong_kept": 0.5}


def test_the_chosen_weights_are_averages_of_the_trained_ones(pools: Pools) -> None:
    config = MMCIConfig(hidden=8, head_hidden=8, strata=2, past=CONTEXT_WINDOWS)
    recipe = MMCIRecipe(epochs=1, windows=24, batch=8, config=config)
    steps = {}
    for average in (0.0, 0.5, 1.0):
        with Progress(disable=True) as progress:
            served = fit(pools, pools, replace(recipe, average=average), 3, progress).served
        assert float(served.model.bank.frequencies.sum()) == pytest.approx(1.0)
        assert served.model.bank.prototypes.abs().sum() > 0
        steps[average] = torch.cat([parameter.detach().flatten() for parameter in served.model.parameters()])
    last, first = steps[0.0], steps[1.0]
    assert (last - first).norm() > 0
    assert 0.1 < (steps[0.5] - first).norm() / (last - first).norm() < 0.9


def test_results_have_groups_of_speakers_and_the_share_set_aside(pools: Pools) -> None:
    torch.manual_seed(0)
    served = ServedMMCI(MMCI(MMCIConfig(hidden=8, head_hidden=8, strata=2, past=CONTEXT_WINDOWS))).eval()
    served.review_below.fill_(1.1)
    found = evaluate(served, pools)
    speakers = {name: found[name]["n"] for name in found if name.startswith("speaker ")}
    assert speakers == {f"speaker {OTHERS}": 30}
    assert found["actors male"]["n"] + found["actors female"]["n"] == 9
    assert found["actor 3"]["n"] == 1
    assert (found["voice ravdess"]["n"], found["voice other"]["n"]) == (9, 1)
    assert all(found[name]["reviewed"] == 1.0 for name in ("text mosi", "voice ravdess", "face", "paired text + audio"))
    curves = reliabilities(served, pools)
    assert len(curves) == 7
    assert all(sum(count for _, _, count in bins) == 36 for bins in curves.values())


def test_the_calibration_of_the_arousal_gives_shares_as_probabilities() -> None:
    served = ServedMMCI(MMCI(MMCIConfig(hidden=8, head_hidden=8, strata=2, past=CONTEXT_WINDOWS)))
    evidence = torch.tensor([-1.0] * 20 + [1.0] * 20)
    excited = torch.tensor([1.0] * 4 + [0.0] * 16 + [1.0] * 15 + [0.0] * 5)
    calibrate_arousal(served, evidence, excited)
    found = torch.sigmoid(served.arousal_slope * torch.tensor([-1.0, 1.0]) + served.arousal_offset)
    assert found.tolist() == pytest.approx([0.2, 0.75], abs=0.01)
    calibrate_arousal(served, evidence, (evidence > 0).float())
    assert 1.0 < float(served.arousal_slope) < 20.0


def test_bootstrap_is_wider_by_group() -> None:
    right = np.repeat([True, False], 50)
    low, high = bootstrap_by_group(right, ["a"] * 50 + ["b"] * 50, seed=0)
    assert (low, high) == (0.0, 1.0)
    low, high = bootstrap_by_group(right, [str(i) for i in range(100)], seed=0)
    assert 0.35 < low < 0.5 < high < 0.65


def test_recordings_are_cut_to_the_speech_and_levelled() -> None:
    speech = (300 * np.sin(np.arange(8_000) / 5)).astype(np.int16)
    recording = np.concatenate([np.zeros(16_000, dtype=np.int16), speech, np.zeros(16_000, dtype=np.int16)])
    cut = voice.trimmed(recording)
    assert cut.shape[0] == 8_000
    assert np.abs(cut).max() == pytest.approx(32_767 * 10 ** (-6 / 20), rel=0.01)


def test_the_context_is_the_utterances_before(pools: Pools) -> None:
    batch = WindowMaker(pools, 0).paired([0, 5, 6, 18])
    past = batch.past
    assert past.mask[TEXT].tolist() == [[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]]
    said = pools.text.states[4].astype(np.float32).mean(axis=0)
    assert np.allclose(past.values[TEXT][1, 0].numpy(), said)
    assert past.same_speaker.tolist() == [[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0], [0, 1, 0, 1]]
    assert past.lag[1].tolist() == [1, 2, 3, 4]


def test_voices_and_faces_of_the_context_share_the_polarity_of_its_texts(pools: Pools) -> None:
    past = WindowMaker(pools, 0).paired([5]).past
    for index, earlier in enumerate((4, 3, 2, 1)):
        polarity = pools.text.utterances[earlier].polarity
        voices = [v[0].mean(axis=0) for v, own in zip(pools.voice.embeddings, pools.voice.polarities, strict=True) if own == polarity]
        faces = pools.face.embeddings[pools.face.polarities == polarity].mean(axis=1)
        assert any(np.allclose(past.values[VOICE][0, index].numpy(), mean, atol=1e-6) for mean in voices)
        assert any(np.allclose(past.values[FACE][0, index].numpy(), mean, atol=1e-6) for mean in faces)


def test_past_dropout_leaves_out_whole_pasts_and_modalities(pools: Pools) -> None:
    past = WindowMaker(pools, 0, past_dropout=0.4).paired([5] * 300).past
    kept = np.stack([past.mask[m].numpy().max(axis=1) for m in MODALITIES], axis=1)
    assert 0.3 < (kept.max(axis=1) == 0).mean() < 0.6
    assert {tuple(row) for row in kept.astype(int).tolist()} >= {(1, 1, 1), (1, 0, 1), (0, 1, 1), (1, 1, 0), (0, 0, 0)}


def test_windows_of_one_modality_have_no_context(pools: Pools) -> None:
    assert not any(mask.any() for mask in WindowMaker(pools, 0).voices_only([0, 1]).past.mask.values())
