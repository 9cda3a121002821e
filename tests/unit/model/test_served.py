"""The served model: its outputs, coalitions, context and exported graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save_file

from stream.domain.context import CONTEXT_WINDOWS
from stream.domain.features import WIDTHS
from stream.domain.inference import COALITIONS, CONTEXT_BIT, EVERYTHING, INPUT_NAMES
from stream.domain.media_format import FACE_CELLS, FACE_MAP, FACE_WIDTH, VOICE_POLARITIES
from stream.domain.modality import MODALITIES, Modality
from stream.model.config import MMCIConfig
from stream.model.encoders import FaceEncoder, ServedFaceEncoder
from stream.model.heads import cap_slope, capped
from stream.model.mmci import MMCI
from stream.model.nodes import Nodes
from stream.model.served import (
    FULL,
    OUTPUT_NAMES,
    SERVED,
    WEIGHTS,
    ServedMMCI,
    coalition_gates,
    example_inputs,
    load_weights,
    save_weights,
)
from stream.model.streams import Skip
from stream.training.export import FACE_ENTRY, MMCI_ENTRY, export_encoder, export_mmci

TENSORS = tuple[torch.Tensor, ...]


@pytest.fixture(scope="module")
def served() -> ServedMMCI:
    torch.manual_seed(3)
    config = MMCIConfig(hidden=16, head_hidden=12, strata=3, past=CONTEXT_WINDOWS)
    model = MMCI(config)
    model.bank.set(torch.randn(3, config.readout), torch.tensor([0.5, 0.3, 0.2]))
    wrapper = ServedMMCI(model).eval()
    wrapper.temperatures.copy_(torch.linspace(0.8, 1.6, 8))
    return wrapper


@pytest.fixture
def inputs() -> TENSORS:
    return example_inputs(3, 6, 9, 4, torch.Generator().manual_seed(1))


def run(served: ServedMMCI, inputs: TENSORS) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        return dict(zip(OUTPUT_NAMES, served(*inputs), strict=True))


def skip_weight(served: ServedMMCI, modality: Modality) -> torch.Tensor:
    """(H, width) weights of S_m, the skip of a modality."""
    skip = served.model.causal.skip[modality]
    assert isinstance(skip, Skip)
    return skip.project.weight


def masked_to(inputs: TENSORS, coalition: int) -> TENSORS:
    """Mask the players that are not in a coalition."""
    kept = list(inputs)
    if not coalition & CONTEXT_BIT:
        kept[12] = torch.zeros_like(kept[12])
    for index, modality in enumerate(MODALITIES):
        if not coalition & modality.bit:
            kept[3 * index + 2] = torch.zeros_like(kept[3 * index + 2])
    return tuple(kept)


def test_outputs_have_the_right_shapes_and_ranges(served: ServedMMCI, inputs: TENSORS) -> None:
    out = run(served, inputs)
    assert out["coalition_scores"].shape == (3, 16)
    assert out["coalition_probabilities"].shape == (3, 16, 3)
    assert out["causal"].shape == out["relevance"].shape == (3, 19)
    assert out["score_unadjusted"].shape == (3, 1)
    assert out["coalition_scores"].abs().max() <= 3
    assert torch.allclose(out["coalition_probabilities"].sum(-1), torch.ones(3, 16), atol=1e-5)
    mask = torch.cat([inputs[2], inputs[5], inputs[8]], dim=1)
    assert torch.all((out["causal"] > 0) == (mask > 0))
    assert torch.all(out["relevance"][mask == 0] == 0)


@pytest.mark.parametrize("coalition", range(COALITIONS))
def test_a_coalition_equals_masking_the_other_players(served: ServedMMCI, inputs: TENSORS, coalition: int) -> None:
    unmasked = run(served, inputs)
    masked = run(served, masked_to(inputs, coalition))
    assert torch.allclose(unmasked["coalition_scores"][:, coalition], masked["coalition_scores"][:, EVERYTHING], atol=1e-5)


def test_without_any_modality_the_outputs_are_finite_and_the_same_for_every_window(served: ServedMMCI, inputs: TENSORS) -> None:
    out = run(served, masked_to(inputs, 0))
    assert all(torch.isfinite(tensor).all() for tensor in out.values())
    assert torch.allclose(out["coalition_scores"], out["coalition_scores"][0, 0].expand(3, 16), atol=1e-6)


def test_the_threshold_for_review_depends_on_the_modalities_of_a_window(served: ServedMMCI, inputs: TENSORS) -> None:
    assert not run(served, inputs)["to_review"].any()
    served.review_below[Modality.TEXT.bit] = 1.1
    try:
        assert not run(served, masked_to(inputs, FULL | CONTEXT_BIT))["to_review"].any()
        assert run(served, masked_to(inputs, Modality.TEXT.bit))["to_review"].tolist() == [[1.0]] * 3
    finally:
        served.review_below.zero_()


@pytest.mark.parametrize("modality", MODALITIES)
def test_context_changes_only_the_coalitions_with_its_modality(served: ServedMMCI, inputs: TENSORS, modality: Modality) -> None:
    index = MODALITIES.index(modality)
    without_context = list(inputs)
    without_context[12] = inputs[12].clone()
    without_context[12][..., index] = 0.0
    change = (run(served, inputs)["coalition_scores"] - run(served, tuple(without_context))["coalition_scores"]).abs().amax(dim=0)
    with_both = modality.bit | CONTEXT_BIT
    assert [bool(size > 1e-6) for size in change] == [coalition & with_both == with_both for coalition in range(COALITIONS)]


def test_speaker_and_age_of_the_context_matter(served: ServedMMCI, inputs: TENSORS) -> None:
    plain = run(served, inputs)["coalition_scores"]
    other_speakers = (*inputs[:13], 1.0 - inputs[13])
    assert not torch.allclose(run(served, other_speakers)["coalition_scores"], plain, atol=1e-5)
    reversed_context = (*inputs[:9], *(tensor.flip(1) for tensor in inputs[9:]))
    assert not torch.allclose(run(served, reversed_context)["coalition_scores"], plain, atol=1e-5)


def test_the_order_of_nodes_does_not_matter(served: ServedMMCI, inputs: TENSORS) -> None:
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    shuffled = inputs[:3] + tuple(tensor[:, order] for tensor in inputs[3:6]) + inputs[6:]
    plain, reordered = run(served, inputs), run(served, shuffled)
    assert torch.allclose(plain["coalition_scores"], reordered["coalition_scores"], atol=1e-5)
    assert torch.allclose(plain["relevance"][:, 6:15][:, order], reordered["relevance"][:, 6:15], atol=1e-5)


def test_more_padding_changes_nothing(served: ServedMMCI, inputs: TENSORS) -> None:
    padded = (*(torch.cat([tensor, torch.zeros_like(tensor)], dim=1) for tensor in inputs[:9]), *inputs[9:])
    plain, wide = run(served, inputs), run(served, padded)
    assert torch.allclose(plain["coalition_scores"], wide["coalition_scores"], atol=1e-5)
    assert torch.allclose(plain["relevance"][:, :6], wide["relevance"][:, :6], atol=1e-5)


def test_the_values_of_padding_do_not_matter(served: ServedMMCI, inputs: TENSORS) -> None:
    noisy = list(inputs)
    for index in range(3):
        present = inputs[12][..., index : index + 1] > 0
        noisy[9 + index] = torch.where(present, inputs[9 + index], torch.full_like(inputs[9 + index], 50.0))
    for rows in range(0, 9, 3):
        noisy[rows] = torch.where(inputs[rows + 2].unsqueeze(-1) > 0, inputs[rows], torch.full_like(inputs[rows], 50.0))
    assert torch.allclose(run(served, inputs)["coalition_scores"], run(served, tuple(noisy))["coalition_scores"], atol=1e-5)


def test_later_words_do_not_change_the_states_of_earlier_words(served: ServedMMCI) -> None:
    generator = torch.Generator().manual_seed(2)
    values = torch.randn(1, 3, 384, generator=generator)
    spans = torch.tensor([[[0.0, 0.3], [0.3, 0.6], [0.6, 0.9]]])
    none_heard, none_seen = (Nodes(torch.zeros(1, 1, WIDTHS[m]), torch.zeros(1, 1, 2), torch.zeros(1, 1)) for m in MODALITIES[1:])
    text, audio, video = MODALITIES
    states = []
    for mask in ([[1.0, 1.0, 0.0]], [[1.0, 1.0, 1.0]]):
        window = {text: Nodes(values, spans, torch.tensor(mask)), audio: none_heard, video: none_seen}
        states.append(served.model(window, coalition_gates()).causal.intra[text][:, :2])
    assert torch.allclose(states[0], states[1], atol=1e-6)


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_skip_of_a_modality_opens_with_its_own_gate_only(served: ServedMMCI, inputs: TENSORS, modality: Modality) -> None:
    plain = run(served, inputs)["coalition_scores"]
    weight = skip_weight(served, modality)
    kept = weight.detach().clone()
    with torch.no_grad():
        weight.add_(0.5)
    try:
        change = (run(served, inputs)["coalition_scores"] - plain).abs().amax(dim=0)
    finally:
        with torch.no_grad():
            weight.copy_(kept)
    assert [bool(size > 1e-6) for size in change] == [bool(coalition & modality.bit) for coalition in range(COALITIONS)]


def test_the_shortcut_stream_has_no_skip(served: ServedMMCI, inputs: TENSORS) -> None:
    window = {m: Nodes(*inputs[3 * i : 3 * i + 3]) for i, m in enumerate(MODALITIES)}
    streams = served.model(window, served.gates)
    for stream, has_skip in ((streams.causal, True), (streams.shortcut, False)):
        by_part = stream.readout[:, FULL].unflatten(-1, (len(MODALITIES), 3, served.model.config.hidden))
        assert bool((by_part[:, :, 2] != 0).all()) is has_skip
        assert (by_part[:, :, 0] != 0).any()


@pytest.mark.parametrize(
    "config",
    [
        MMCIConfig(past=CONTEXT_WINDOWS, skip=False),
        MMCIConfig(past=CONTEXT_WINDOWS, intra=False),
        MMCIConfig(past=CONTEXT_WINDOWS, inter=False),
        MMCIConfig(past=CONTEXT_WINDOWS, attention=False),
        MMCIConfig(),
    ],
)
def test_only_a_complete_network_is_served(config: MMCIConfig) -> None:
    with pytest.raises(ValueError, match="complete"):
        ServedMMCI(MMCI(config))


def test_arousal_is_the_calibrated_mean_of_the_last_dimension_of_the_voice(served: ServedMMCI, inputs: TENSORS) -> None:
    served.arousal_slope.fill_(1.7)
    served.arousal_offset.fill_(-0.4)
    try:
        found = run(served, inputs)["arousal"]
        silent = run(served, masked_to(inputs, EVERYTHING & ~Modality.AUDIO.bit))["arousal"]
    finally:
        served.arousal_slope.fill_(1.0)
        served.arousal_offset.zero_()
    means = torch.stack([row[mask > 0, -1].mean() for row, mask in zip(inputs[3], inputs[5], strict=True)])
    assert torch.allclose(found[:, 0], torch.sigmoid(1.7 * means - 0.4), atol=1e-6)
    assert silent.tolist() == [[0.5]] * 3


def test_weights_on_disk_have_the_calibration_of_the_arousal(tmp_path: Path) -> None:
    served = ServedMMCI(MMCI(SERVED))
    served.arousal_slope.fill_(2.0)
    served.arousal_offset.fill_(0.25)
    save_weights(served, tmp_path / WEIGHTS)
    loaded = load_weights(tmp_path / WEIGHTS)
    assert (float(loaded.arousal_slope), float(loaded.arousal_offset)) == (2.0, 0.25)
    assert torch.equal(skip_weight(loaded, Modality.TEXT), skip_weight(served, Modality.TEXT))


def test_weights_without_an_estimate_of_words_estimate_nothing(tmp_path: Path) -> None:
    served = ServedMMCI(MMCI(SERVED))
    served.word_ridge.fill_(1.0)
    save_weights(served, tmp_path / WEIGHTS)
    assert bool(load_weights(tmp_path / WEIGHTS).word_ridge.all())
    kept = {name: tensor for name, tensor in load_file(tmp_path / WEIGHTS).items() if name != "word_ridge"}
    save_file(kept, tmp_path / WEIGHTS)
    assert not load_weights(tmp_path / WEIGHTS).word_ridge.any()


def test_adjustment_averages_predictions_over_strata(served: ServedMMCI) -> None:
    bank, head = served.model.bank, served.model.head
    causal = torch.randn(2, served.model.config.readout, generator=torch.Generator().manual_seed(5))
    expected_score, expected_probabilities = torch.zeros(2), torch.zeros(2, 3)
    for prototype, frequency in zip(bank.prototypes, bank.frequencies, strict=True):
        answer = head(causal + prototype)
        expected_score += frequency * answer.score
        expected_probabilities += frequency * torch.softmax(answer.logits / 1.3, dim=-1)
    adjusted = bank.adjust(head, causal, torch.tensor(1.3))
    assert torch.allclose(adjusted.score, expected_score, atol=1e-5)
    assert torch.allclose(adjusted.probabilities, expected_probabilities, atol=1e-5)


def test_the_sign_of_a_score_agrees_with_the_polarity(served: ServedMMCI) -> None:
    answer = served.model.head(torch.randn(200, served.model.config.readout, generator=torch.Generator().manual_seed(6)))
    assert torch.equal(answer.score > 0, answer.logits[:, 2] > answer.logits[:, 0])


@pytest.mark.parametrize("shape", [(1, 8, 10, 5), (2, 6, 9, 4), (5, 80, 100, 50)])
def test_onnx_equals_torch_at_every_size(
    served: ServedMMCI, tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, int, int, int]
) -> None:
    file = export_mmci(served, tmp_path_factory.mktemp("repository"))
    session = onnxruntime.InferenceSession(str(file))
    inputs = example_inputs(*shape, torch.Generator().manual_seed(4))
    out = session.run(list(OUTPUT_NAMES), {name: tensor.numpy() for name, tensor in zip(INPUT_NAMES, inputs, strict=True)})
    for name, found in zip(OUTPUT_NAMES, out, strict=True):
        assert np.allclose(found, run(served, inputs)[name].numpy(), atol=1e-4), name


def test_the_exported_face_encoder_equals_torch(tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = ServedFaceEncoder(FaceEncoder()).eval()
    session = onnxruntime.InferenceSession(str(export_encoder(encoder, FACE_ENTRY, tmp_path)))
    ((name, shape),) = FACE_ENTRY.inputs
    batch = torch.randn(5, *shape)
    found, wanted = session.run(None, {name: batch.numpy()}), encoder(batch)
    assert [tensor.shape for tensor in found] == [(5, *shape) for shape in ((FACE_WIDTH,), FACE_MAP, FACE_CELLS)]
    assert found[2].dtype == np.float16
    assert np.allclose(found[2].astype(np.float32).mean(axis=1), found[0], atol=1e-3), "the embedding is the mean of the cells"
    for tensor, expected in zip(found, wanted, strict=True):
        assert np.allclose(tensor, expected.detach().numpy(), atol=1e-4)


def test_the_face_encoder_is_small_and_its_embedding_is_that_of_its_feature_map() -> None:
    torch.manual_seed(0)
    encoder = FaceEncoder().eval()
    assert sum(parameter.numel() for parameter in encoder.parameters()) <= 500_000
    with torch.no_grad():
        embedding, feature_map = encoder(torch.randn(2, 1, 48, 48))
        assert feature_map.shape == (2, *FACE_MAP)
        assert torch.allclose(embedding, torch.tanh(encoder.embed(feature_map.mean(dim=(2, 3)))))


def test_the_face_encoder_filters_what_alternates_from_pixel_to_pixel() -> None:
    torch.manual_seed(0)
    encoder = FaceEncoder().eval()
    fine = (torch.arange(48).reshape(1, 1, 1, 48) % 2 * 2.0 - 1.0).expand(1, 1, 48, 48)
    with torch.no_grad():
        (found, _), (plain, _) = encoder(fine), encoder(torch.zeros(1, 1, 48, 48))
        coarse, _ = encoder((torch.arange(48).reshape(1, 1, 1, 48) // 8 % 2 * 2.0 - 1.0).expand(1, 1, 48, 48))
    assert torch.dist(found, plain) < 0.3 * torch.dist(coarse, plain)


def test_configurations_name_every_tensor(served: ServedMMCI, tmp_path: Path) -> None:
    export_mmci(served, tmp_path)
    for file, kind in (("config.pbtxt", "KIND_GPU"), ("configs/cpu.pbtxt", "KIND_CPU")):
        text = (tmp_path / "mmci" / file).read_text(encoding="utf-8")
        assert all(f'name: "{name}"' in text for name, _ in MMCI_ENTRY.inputs + MMCI_ENTRY.outputs)
        assert kind in text
        assert 'backend: "onnxruntime"' in text
    assert sorted(path.name for path in (tmp_path / "mmci" / "1").iterdir()) == ["model.onnx", "weights.safetensors"]


def test_evidence_is_read_as_it_is() -> None:
    torch.manual_seed(2)
    served = ServedMMCI(MMCI(SERVED)).eval()
    inputs = dict(zip(INPUT_NAMES, example_inputs(2, 5, 7, 3, torch.Generator().manual_seed(0)), strict=True))
    first = OUTPUT_NAMES.index("coalition_scores")
    with torch.no_grad():
        plain, twice = served(**inputs)[first], served(**inputs | {"audio": 2 * inputs["audio"]})[first]
        louder = inputs["audio"].clone()
        louder[..., VOICE_POLARITIES:] += 1.0
        other = served(**inputs | {"audio": louder})
    assert not torch.allclose(plain, twice, atol=1e-3), "twice the evidence says more"
    assert torch.equal(plain, other[first]), "numbers after the polarities do not reach the score"
    arousal = OUTPUT_NAMES.index("arousal")
    assert not torch.allclose(served(**inputs)[arousal], other[arousal]), "but the last one is the arousal"


def test_the_score_of_a_voice_alone_is_capped() -> None:
    torch.manual_seed(2)
    served = ServedMMCI(MMCI(SERVED)).eval()
    inputs = dict(zip(INPUT_NAMES, example_inputs(6, 5, 7, 3, torch.Generator().manual_seed(0)), strict=True))
    inputs["audio"] = 40 * inputs["audio"]
    scores, relevance = OUTPUT_NAMES.index("coalition_scores"), OUTPUT_NAMES.index("relevance")
    silent = inputs | {name: torch.zeros_like(inputs[name]) for name in ("word_mask", "video_mask", "past_mask")}
    with torch.no_grad():
        free, free_alone = served(**inputs), served(**silent)
        served.score_caps[Modality.AUDIO.bit] = 0.5
        held, held_alone = served(**inputs), served(**silent)
    voice = [Modality.AUDIO.bit, Modality.AUDIO.bit | CONTEXT_BIT]
    others = [index for index in range(COALITIONS) if index not in voice]
    assert float(free[scores][:, voice].abs().max()) > 0.5
    assert float(held[scores][:, voice].abs().max()) <= 0.5
    assert torch.equal(held[scores].sign(), free[scores].sign())
    assert torch.equal(held[scores][:, others], free[scores][:, others]), "beside words or a face, the voice is not capped"
    # With a voice alone, the whole window is the voice: its score is capped, and so is what its segments contribute.
    assert float(held_alone[scores][:, EVERYTHING].abs().max()) <= 0.5
    base = held_alone[scores][:, 0]
    assert torch.allclose(held_alone[relevance].sum(dim=1), held_alone[scores][:, EVERYTHING] - base, atol=1e-5)
    assert not torch.allclose(held_alone[relevance], free_alone[relevance], atol=1e-2)


def test_a_cap_leaves_small_scores_nearly_as_they_are() -> None:
    score, cap = torch.tensor([-0.1, 0.1, 1.5, 2.9]), torch.tensor(0.9)
    assert capped(score, cap).tolist() == pytest.approx([-0.0996, 0.0996, 0.838, 0.897], abs=1e-3)
    assert torch.equal(capped(score, torch.tensor(3.0)), score)
    step = 1e-3
    slope = (capped(score + step, cap) - capped(score - step, cap)) / (2 * step)
    assert torch.allclose(cap_slope(score, cap), slope, atol=1e-3)
