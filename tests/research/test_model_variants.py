"""Every variant fulfils the contract of the common interface."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from research.models.adjustment import stratum_means
from research.models.baselines.cider import ClassPrototypes
from research.models.baselines.clue import Counterfactual
from research.models.baselines.fusion import Fusion
from research.models.baselines.gear import Reweighted
from research.models.baselines.misa import moment_discrepancy, orthogonality
from research.models.baselines.self_mm import SelfMM, generated_label, relative_distance
from research.models.baselines.sequences import in_order
from research.models.baselines.tensor_fusion import LowRankFusion, TensorFusion
from research.models.interface import ModelInput, Prediction, SentimentModel, Targets, task_loss
from research.models.intervention import InterventionModel
from research.models.variants import Variant, VariantConfig, build
from stream.domain.modality import MODALITIES, Modality
from stream.model.config import MMCIConfig
from stream.model.heads import Answer, class_of, class_probabilities
from stream.model.nodes import Nodes, Past, no_past

WIDTHS = dict(zip(MODALITIES, (7, 5, 6), strict=True))
SIZE, PAST, WINDOWS = 5, 3, 20
ROWS = [
    *(VariantConfig(name=name, hidden=8) for name in Variant),
    VariantConfig(name=Variant.MMCI, hidden=8, intervention="recombination"),
    VariantConfig(name=Variant.MMCI, hidden=8, intervention="none"),
    VariantConfig(name=Variant.MMCI, hidden=8, shortcut_stream=False),
    VariantConfig(name=Variant.MMCI, hidden=8, attention=False),
    VariantConfig(name=Variant.MMCI, hidden=8, typed=False),
    VariantConfig(name=Variant.MMCI, hidden=8, skip=True),
    VariantConfig(name=Variant.MMCI, hidden=8, inter=False),
    VariantConfig(name=Variant.MMCI, hidden=8, intra=False),
]
FUSING = [row for row in ROWS if row.name is not Variant.TEXT_ONLY]


def title(row: VariantConfig) -> str:
    changed = row.model_dump(exclude_defaults=True, exclude={"name", "hidden"}, mode="json")
    return "-".join([row.name, *(f"{key}={value}" for key, value in changed.items())])


def build_model(row: VariantConfig, seed: int = 0) -> SentimentModel:
    torch.manual_seed(seed)
    return build(row, WIDTHS, PAST, WINDOWS).eval()


def inputs(seed: int = 0) -> ModelInput:
    """Windows with three nodes per modality, the last of them masked, and with up to three past windows."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.ones(SIZE, 3)
    mask[:, 2] = 0.0
    times = torch.tensor([[0.0, 0.4], [0.4, 0.8], [0.8, 1.0]]).expand(SIZE, -1, -1)
    window = {m: Nodes(torch.randn(SIZE, 3, width, generator=generator), times, mask) for m, width in WIDTHS.items()}
    present = (torch.arange(PAST) < torch.arange(SIZE).unsqueeze(1)).float()
    values = {m: torch.randn(SIZE, PAST, width, generator=generator) * present.unsqueeze(-1) for m, width in WIDTHS.items()}
    lag = torch.arange(1, PAST + 1).expand(SIZE, -1)
    return ModelInput(window, Past(values, dict.fromkeys(MODALITIES, present), lag, torch.tensor([1.0, 0.0, 1.0]).expand(SIZE, -1)))


def targets() -> Targets:
    score = torch.tensor([-2.0, -0.6, 0.0, 1.2, 3.0])
    return Targets(score, torch.tensor([0, 0, 1, 2, 2]), torch.arange(SIZE))


def without(given: ModelInput, *modalities: Modality) -> ModelInput:
    window = {m: nodes._replace(mask=torch.zeros_like(nodes.mask)) if m in modalities else nodes for m, nodes in given.window.items()}
    mask = {m: torch.zeros_like(own) if m in modalities else own for m, own in given.past.mask.items()}
    values = {m: own * mask[m].unsqueeze(-1) for m, own in given.past.values.items()}
    return given._replace(window=window, past=given.past._replace(mask=mask, values=values))


def predict(model: SentimentModel, given: ModelInput) -> Prediction:
    with torch.no_grad():
        return model.predict(given)


def tensors(prediction: Prediction) -> list[Tensor]:
    return [prediction.score, prediction.classes, prediction.polarity, prediction.uncertainty, *prediction.readouts.values()]


@pytest.mark.parametrize("row", ROWS, ids=title)
def test_predictions_have_the_right_shapes_ranges_and_readouts(row: VariantConfig) -> None:
    found = predict(build_model(row), inputs())
    assert (found.score.shape, found.classes.shape, found.polarity.shape, found.uncertainty.shape) == (
        (SIZE,),
        (SIZE, 7),
        (SIZE, 3),
        (SIZE,),
    )
    assert found.score.abs().max() <= 3
    assert found.uncertainty.min() > 0
    assert found.readouts
    assert all(own.shape[0] == SIZE for own in found.readouts.values())


@pytest.mark.parametrize("row", FUSING, ids=title)
@pytest.mark.parametrize("kept", MODALITIES)
def test_a_single_modality_is_enough_and_has_an_effect(row: VariantConfig, kept: Modality) -> None:
    model, rest = build_model(row), tuple(m for m in MODALITIES if m is not kept)
    one, other = predict(model, without(inputs(0), *rest)), predict(model, without(inputs(1), *rest))
    assert all(torch.isfinite(part).all() for part in tensors(one))
    assert not torch.allclose(one.score, other.score, atol=1e-5)


@pytest.mark.parametrize("row", ROWS, ids=title)
def test_an_absent_modality_has_no_effect(row: VariantConfig) -> None:
    model = build_model(row)
    one = without(inputs(0), Modality.VIDEO)
    strange = one.window[Modality.VIDEO]._replace(values=one.window[Modality.VIDEO].values + 9.0)
    other = one._replace(window=one.window | {Modality.VIDEO: strange})
    assert torch.allclose(predict(model, one).score, predict(model, other).score, atol=1e-6)


@pytest.mark.parametrize("row", ROWS, ids=title)
def test_masked_nodes_and_missing_past_windows_have_no_effect(row: VariantConfig) -> None:
    model, given = build_model(row), inputs()
    window = {m: n._replace(values=n.values + 9.0 * (1.0 - n.mask).unsqueeze(-1)) for m, n in given.window.items()}
    past = {m: own + 9.0 * (1.0 - given.past.mask[m]).unsqueeze(-1) for m, own in given.past.values.items()}
    strange = given._replace(window=window, past=given.past._replace(values=past))
    assert torch.allclose(predict(model, given).score, predict(model, strange).score, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=title)
def test_training_lowers_the_loss(row: VariantConfig) -> None:
    model, generator = build_model(row), torch.Generator().manual_seed(0)
    if isinstance(model, Counterfactual):
        model.alpha = 0.0
    given, wanted = inputs(), targets()
    before = float(task_loss(predict(model, given), wanted))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(30):
        loss = model.loss(given, wanted, generator)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        with torch.no_grad():
            model.after_epoch([(given, wanted)], generator)
    assert float(task_loss(predict(model, given), wanted)) < 0.7 * before


@pytest.mark.parametrize("row", ROWS, ids=title)
def test_the_same_seed_gives_the_same_model(row: VariantConfig) -> None:
    assert torch.equal(predict(build_model(row, 4), inputs()).score, predict(build_model(row, 4), inputs()).score)


@pytest.mark.parametrize("name", [Variant.BC_LSTM, Variant.MULT, Variant.RGCN, Variant.MMCI])
def test_models_with_context_depend_on_the_past(name: Variant) -> None:
    model, given = build_model(VariantConfig(name=name, hidden=8)), inputs()
    other = given._replace(past=given.past._replace(values={m: -own for m, own in given.past.values.items()}))
    changed = (predict(model, given).score - predict(model, other).score).abs() > 1e-6
    assert changed.tolist() == [False, True, True, True, True]


def test_the_graph_distinguishes_speakers() -> None:
    model, given = build_model(VariantConfig(name=Variant.MMCI, hidden=8)), inputs()
    swapped = given._replace(past=given.past._replace(same_speaker=1.0 - given.past.same_speaker))
    assert not torch.allclose(predict(model, given).score[1:], predict(model, swapped).score[1:], atol=1e-5)


def test_sequences_are_in_order_of_time_with_padding_at_the_end() -> None:
    given = inputs()
    rows = in_order(given)
    assert rows.lengths.tolist() == [1, 2, 3, 4, 4]
    assert rows.own.tolist() == [0, 1, 2, 3, 3]
    past = given.past.values[Modality.AUDIO]
    assert torch.equal(rows.values[Modality.AUDIO][3, :3], past[3].flip(0))
    assert torch.equal(rows.there[Modality.AUDIO][1], torch.tensor([1.0, 1.0, 0.0, 0.0]))


def test_classes_agree_with_the_rounded_score() -> None:
    score = torch.cat([torch.linspace(-2.4, 2.4, 58), torch.tensor([-2.8, 2.8])])
    probabilities = class_probabilities(Answer(score, torch.zeros(60, 3), torch.full((60,), 0.4)))
    assert torch.allclose(probabilities.sum(dim=-1), torch.ones(60), atol=1e-4)
    assert torch.equal(probabilities.argmax(dim=-1), class_of(score))


def test_the_task_loss_without_scores_is_the_loss_of_the_polarity() -> None:
    prediction = Prediction(torch.zeros(2), torch.zeros(2, 7), torch.zeros(2, 3), torch.ones(2))
    loss = task_loss(prediction, Targets(torch.full((2,), torch.nan), torch.tensor([0, 2]), torch.arange(2)))
    assert float(loss) == pytest.approx(float(torch.log(torch.tensor(3.0))), abs=1e-6)


def test_tensor_fusion_contains_every_product() -> None:
    model = TensorFusion(WIDTHS, 4, 0.0).eval()
    found = predict(model, without(inputs(), *MODALITIES))
    assert found.readouts["fused"].shape == (SIZE, 5**3)
    assert torch.equal(found.readouts["fused"].sum(dim=1), torch.ones(SIZE)), "without any modality only 1 x 1 x 1 is left"


def test_low_rank_fusion_equals_the_full_tensor_of_its_factors() -> None:
    torch.manual_seed(0)
    model = LowRankFusion(WIDTHS, 4, 0.0, rank=3).eval()
    given = inputs()
    states = [torch.cat([model.encode[m](given.window[m]), torch.ones(SIZE, 1)], dim=1) for m in MODALITIES]
    tensor = torch.einsum("r,rio,rjo,rko->ijko", model.rank_weights, *(model.factors[m] for m in MODALITIES))
    full = torch.einsum("bi,bj,bk,ijko->bo", *states, tensor)
    assert torch.allclose(predict(model, given).readouts["fused"], full, atol=1e-5)


def test_misa_distances_tell_different_states_apart() -> None:
    torch.manual_seed(0)
    states = torch.rand(40, 6)
    assert float(moment_discrepancy(states, states)) < 1e-4
    assert float(moment_discrepancy(states, states + 0.5)) > 1.0
    assert float(orthogonality(states, states)) > 2.0 * float(orthogonality(states, torch.rand(40, 6)))


def test_self_mm_moves_labels_towards_the_nearer_centre() -> None:
    scores = torch.tensor([2.0, 2.0, -2.0, -2.0])
    states = torch.tensor([[1.0, 0.0], [1.2, 0.0], [-1.0, 0.0], [-1.2, 0.0]])
    distance = relative_distance(states, scores)
    assert torch.all(distance[:2] > 0)
    assert torch.all(distance[2:] < 0)
    assert torch.allclose(generated_label(scores, distance, distance), scores)
    assert float(generated_label(torch.tensor([1.0]), torch.tensor([3.0]), torch.tensor([2.0]))) == pytest.approx(1.0 + 0.5 * 3.0 / 2.0)


def test_self_mm_stores_labels_only_for_rows_that_it_has_seen() -> None:
    model = build_model(VariantConfig(name=Variant.SELF_MM, hidden=8))
    assert isinstance(model, SelfMM)
    with torch.no_grad():
        model.after_epoch([(inputs(), targets())], torch.Generator())
    assert not model.labels[:, :SIZE].isnan().any()
    assert model.labels[:, SIZE:].isnan().all()


def test_each_ablation_removes_its_part_of_the_model() -> None:
    def graph(row: VariantConfig) -> InterventionModel:
        model = build_model(row)
        assert isinstance(model, InterventionModel)
        return model

    untyped = graph(VariantConfig(name=Variant.MMCI, hidden=8, typed=False))
    assert list(untyped.network.causal.message) == ["any"]
    within = graph(VariantConfig(name=Variant.MMCI, hidden=8, inter=False, skip=True))
    parts = predict(within, inputs()).readouts["causal"].view(SIZE, 3, 3, 8)
    assert torch.all(parts[:, :, 1] == 0)
    assert all(torch.any(parts[:, :, part] != 0) for part in (0, 2))
    without_skip = predict(graph(VariantConfig(name=Variant.MMCI, hidden=8)), inputs()).readouts["causal"]
    assert without_skip.shape == (SIZE, 2 * 3 * 8)
    without_attention = graph(VariantConfig(name=Variant.MMCI, hidden=8, attention=False))
    shares = without_attention.network(inputs().window, torch.ones(1, 1, 3), inputs().past).attention
    assert all(torch.equal(own, 0.5 * inputs().window[m].mask) for m, own in shares.items())


def test_strata_change_the_prediction_and_their_frequencies_sum_to_one() -> None:
    model = build_model(VariantConfig(name=Variant.MMCI, hidden=8, strata=3))
    assert isinstance(model, InterventionModel)
    before = predict(model, inputs()).score
    with torch.no_grad():
        model.after_epoch([(inputs(seed), targets()) for seed in range(4)], torch.Generator().manual_seed(0))
    assert float(model.network.bank.frequencies.sum()) == pytest.approx(1.0)
    assert not torch.allclose(before, predict(model, inputs()).score, atol=1e-5)


def test_a_graph_without_context_ignores_the_past() -> None:
    torch.manual_seed(0)
    model = InterventionModel(MMCIConfig(hidden=8, head_hidden=8, strata=2, widths=(7, 5, 6)), "none").eval()
    given = inputs()
    assert torch.equal(predict(model, given).score, predict(model, given._replace(past=no_past(given.window))).score)


def test_the_loss_of_a_window_is_weighted() -> None:
    prediction, wanted = predict(build_model(VariantConfig(name=Variant.FUSION, hidden=8)), inputs()), targets()
    only_last = torch.tensor([0.0, 0.0, 0.0, 0.0, 2.0])
    last = Prediction(prediction.score[4:], prediction.classes[4:], prediction.polarity[4:], prediction.uncertainty[4:])
    expected = task_loss(last, Targets(wanted.score[4:], wanted.polarity[4:], wanted.rows[4:]))
    assert torch.allclose(task_loss(prediction, wanted._replace(weight=only_last)), expected, atol=1e-5)
    equal_weights = wanted._replace(weight=torch.full((SIZE,), 3.0))
    assert torch.allclose(task_loss(prediction, equal_weights), task_loss(prediction, wanted), atol=1e-5)


def test_known_strata_become_the_strata_of_the_bank() -> None:
    model = build_model(VariantConfig(name=Variant.MMCI, hidden=8, strata=4))
    assert isinstance(model, InterventionModel)
    strata = torch.tensor([0, 2, 0, 0, 2])
    with torch.no_grad():
        model.after_epoch([(inputs(), targets()._replace(stratum=strata))], torch.Generator())
        shortcut = model.readouts(inputs())[1]
    bank = model.network.bank
    assert torch.allclose(bank.frequencies, torch.tensor([0.6, 0.0, 0.4, 0.0]))
    assert torch.allclose(bank.prototypes[2], shortcut[[1, 4]].mean(dim=0), atol=1e-6)
    with pytest.raises(ValueError, match="no stratum 2"):
        stratum_means(shortcut, strata, 2)


def test_cider_averages_over_the_classes_of_the_training_windows() -> None:
    model = build_model(VariantConfig(name=Variant.CIDER, hidden=8))
    assert isinstance(model, ClassPrototypes)
    given = without(inputs(), Modality.VIDEO)
    with torch.no_grad():
        model.after_epoch([(given, targets())], torch.Generator())
    assert torch.allclose(model.frequencies, torch.tensor([0.4, 0.2, 0.4]))
    audio = given.window[Modality.AUDIO].values[:2, :2].mean(dim=(0, 1))
    assert torch.allclose(model.prototypes(Modality.AUDIO)[0], audio, atol=1e-6)
    assert torch.all(model.prototypes(Modality.VIDEO) == 0)


def test_gear_gives_more_weight_to_windows_that_are_hard_for_single_modalities() -> None:
    model = build_model(VariantConfig(name=Variant.GEAR, hidden=8))
    assert isinstance(model, Reweighted)
    given, wanted = without(inputs(), Modality.VIDEO), targets()
    with torch.no_grad():
        found = model.loss(given, wanted, torch.Generator())
        logits = [model.easy_heads[m](model.easy[m](given.window[m])) for m in (Modality.TEXT, Modality.AUDIO)]
        right = torch.stack([torch.softmax(own, dim=1)[torch.arange(SIZE), wanted.polarity] for own in logits])
        prediction = model.predict(given)
        biased, own = -right.log().mean(dim=0), cross_entropy(prediction.polarity, wanted.polarity, reduction="none")
        expected = task_loss(prediction, wanted._replace(weight=biased / (biased + own))) + ((1 - right**0.7) / 0.7).sum(dim=0).mean()
    assert torch.allclose(found, expected, atol=1e-5)


def test_clue_subtracts_the_direct_effect_of_the_text() -> None:
    model, given = build_model(VariantConfig(name=Variant.CLUE, hidden=8)), inputs()
    assert isinstance(model, Counterfactual)
    with torch.no_grad():
        fused, text = Fusion.forward(model, given).polarity, model.text.predict(given).polarity
    answer = predict(model, given).polarity
    assert torch.allclose(answer[:, 2] - answer[:, 0], fused[:, 2], atol=1e-5), "c is 0: only the direct effect of the text is subtracted"
    model.alpha = 0.0
    total = predict(model, given).polarity
    assert torch.allclose(total[:, 2] - total[:, 0], (fused + text)[:, 2], atol=1e-5)
