"""The relevance of nodes and the derivative by the faces agree with automatic differentiation, and the relevance adds up."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from stream.config.project import PROJECT_ROOT
from stream.domain.coalitions import STEPS
from stream.domain.inference import CONTEXT_BIT, EVERYTHING
from stream.domain.modality import MODALITIES, Modality
from stream.explain.shapley import shapley_values
from stream.model.heads import capped
from stream.model.nodes import Nodes
from stream.model.owen import OwenPath, Scored, adding_up
from stream.model.served import OUTPUT_NAMES, WEIGHTS, ServedMMCI, example_inputs, load_weights, served_past

COUNTS = (6, 9, 4)
VIDEO = 6


@pytest.fixture(scope="module")
def served() -> ServedMMCI:
    """The committed weights, with a cap that most scores of a voice alone meet."""
    loaded = load_weights(PROJECT_ROOT / "triton_models" / "mmci" / "1" / WEIGHTS)
    loaded.score_caps[Modality.AUDIO.bit] = 0.3
    return loaded.requires_grad_(requires_grad=False)


@pytest.fixture
def inputs() -> list[Tensor]:
    return list(example_inputs(5, *COUNTS, torch.Generator().manual_seed(1)))


def run(served: ServedMMCI, inputs: list[Tensor]) -> dict[str, Tensor]:
    return dict(zip(OUTPUT_NAMES, served(*inputs), strict=True))


def by_modality(out: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """(B, N_m) relevance of each modality."""
    return torch.split(out["relevance"], list(COUNTS), dim=1)


def gated_score(served: ServedMMCI, inputs: list[Tensor], gates: Mapping[Modality, Tensor], *, with_past: bool) -> Tensor:
    """(B,) score before its cap. The (B, N_m) gates scale what nodes add to their read-out and what they send to other modalities."""
    window = {m: Nodes(*inputs[3 * i : 3 * i + 3]) for i, m in enumerate(MODALITIES)}
    model = served.model
    messages = model.pass_messages(window, served_past((inputs[9], inputs[10], inputs[11]), inputs[12], inputs[13])).causal
    parts = []
    for modality in MODALITIES:
        intra, inter = messages.own[modality], torch.zeros_like(messages.own[modality])
        for relation in (r for r in model.config.relations if r.target is modality):
            if not relation.within:
                said = gates[relation.source].unsqueeze(-1) * messages.said[relation.name]
                inter = inter + messages.edges[relation.name] @ said
            elif with_past or not relation.from_past:
                intra = intra + messages.received[relation.name]
        weights = messages.weights[modality] * gates[modality]
        pooled = [(weights.unsqueeze(1) @ functional.relu(heard)).squeeze(1) for heard in (intra, inter)]
        parts += [*pooled, model.causal.skip[modality](window[modality].values, weights)]
    adjusted: Tensor = model.bank.adjust(model.head, torch.cat(parts, dim=-1), torch.tensor(1.0)).score
    return adjusted


def by_autograd(served: ServedMMCI, inputs: list[Tensor], modality: Modality) -> Tensor:
    """(B, N_m) integral of the derivatives along the steps of a modality, by the midpoint rule, before it is made to add up."""
    present = torch.stack([mask.amax(dim=1) for mask in inputs[2:9:3]], dim=1)
    total = torch.zeros_like(inputs[3 * MODALITIES.index(modality) + 2])
    for step in STEPS[modality.bit]:
        gates = {
            m: torch.full_like(inputs[3 * i + 2], 0.5 if m is modality else float(bool(step.before & m.bit)))
            for i, m in enumerate(MODALITIES)
        }
        gate = gates[modality].requires_grad_()
        score = gated_score(served, inputs, gates, with_past=bool(step.before & CONTEXT_BIT))
        sets = [sum(present[:, i] * m.bit for i, m in enumerate(MODALITIES) if index & m.bit) for index in (step.before, step.joined)]
        caps = [served.score_caps[torch.as_tensor(index).expand(len(score)).long()] for index in sets]
        half_way = (capped(score, caps[0]) + capped(score, caps[1])) / 2
        total = total + step.weight * torch.autograd.grad(half_way.sum(), gate)[0]
    return total * inputs[3 * MODALITIES.index(modality) + 2]


def without(inputs: list[Tensor], *modalities: Modality) -> list[Tensor]:
    return [torch.zeros_like(t) if any(i == 3 * MODALITIES.index(m) + 2 for m in modalities) else t for i, t in enumerate(inputs)]


@pytest.mark.parametrize("absent", [(), (Modality.TEXT,), (Modality.TEXT, Modality.VIDEO)], ids=str)
def test_relevance_is_the_derivative_along_the_steps_of_each_modality(
    served: ServedMMCI, inputs: list[Tensor], absent: tuple[Modality, ...]
) -> None:
    inputs = without(inputs, *absent)
    found = by_modality(run(served, inputs))
    scores = run(served, inputs)["coalition_scores"]
    for i, modality in enumerate(MODALITIES):
        integral = by_autograd(served, inputs, modality)
        value = torch.tensor([shapley_values(own.numpy()).modalities[modality] for own in scores])
        size = integral.abs()
        spread = size / size.sum(dim=1, keepdim=True).clamp_min(1e-9)
        expected = integral + spread * (value - integral.sum(dim=1)).unsqueeze(1)
        assert torch.allclose(found[i], expected, atol=2e-5)
        assert bool((found[i] == 0).all()) is (modality in absent)


@pytest.mark.parametrize("absent", [(), (Modality.AUDIO,), (Modality.TEXT, Modality.AUDIO)], ids=str)
def test_the_nodes_of_a_modality_add_up_to_its_shapley_value(
    served: ServedMMCI, inputs: list[Tensor], absent: tuple[Modality, ...]
) -> None:
    out = run(served, without(inputs, *absent))
    sums = torch.stack([own.sum(dim=1) for own in by_modality(out)], dim=1)
    values = [[*shapley_values(scores.numpy()).modalities.values()] for scores in out["coalition_scores"]]
    assert torch.allclose(sums, torch.tensor(values), atol=1e-5)


def test_a_node_that_only_speaks_to_others_is_credited_for_it(served: ServedMMCI, inputs: list[Tensor]) -> None:
    """Without its own read-out, what a modality contributes is what others hear of it."""
    weight = served.model.head.inner.weight
    kept = weight.clone()
    try:
        of_audio = weight.chunk(len(MODALITIES), dim=1)[1]
        of_audio.zero_()
        out = run(served, inputs)
        spoken = by_modality(out)[1]
        assert float(spoken.abs().max()) > 1e-4
        alone = out["coalition_scores"][:, Modality.AUDIO.bit]
        assert torch.allclose(alone, alone[:1], atol=1e-6), "the voice alone says the same of every window"
    finally:
        weight.copy_(kept)


def test_a_difference_is_spread_even_where_nothing_moved_the_score() -> None:
    weights = torch.tensor([[0.25, 0.75, 0.0], [0.0, 0.0, 0.0]])
    spread = adding_up(torch.zeros(2, 3), torch.tensor([0.4, 0.0]), weights)
    assert torch.allclose(spread, torch.tensor([[0.1, 0.3, 0.0], [0.0, 0.0, 0.0]]))


def first_layer(served: ServedMMCI, inputs: list[Tensor]) -> Tensor:
    """(B, hidden) what the first layer of the head gets of everything."""
    window = {m: Nodes(*inputs[3 * i : 3 * i + 3]) for i, m in enumerate(MODALITIES)}
    graph = served.model.pass_messages(window, served_past((inputs[9], inputs[10], inputs[11]), inputs[12], inputs[13]))
    terms = served.reading.terms(graph.causal, served.model.causal.skipped(window, graph.causal))
    return served.reading.first_layer(served.model.head, graph.causal.weights, terms)[:, EVERYTHING]


def test_the_slope_of_the_faces_is_the_derivative_by_the_faces_weighed_by_that_on_their_path(
    served: ServedMMCI, inputs: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    slopes: list[Tensor] = []
    slope_of = OwenPath.slope_of

    def kept(path: OwenPath, modality: Modality, scored: Scored) -> Tensor:
        slopes.append(slope_of(path, modality, scored))
        return slopes[-1]

    monkeypatch.setattr(OwenPath, "slope_of", kept)
    for given in (inputs, without(inputs, Modality.TEXT), without(inputs, Modality.TEXT, Modality.AUDIO)):
        leaf = given[VIDEO].clone().requires_grad_()
        out = run(served, given)
        seen = first_layer(served, [*given[:VIDEO], leaf, *given[VIDEO + 1 :]])
        (expected,) = torch.autograd.grad((seen * slopes[-1]).sum(), leaf)
        assert torch.allclose(out["face_slope"], expected, atol=1e-6)
        assert float(expected.abs().max()) > 1e-3
        assert bool((out["face_slope"][given[VIDEO + 2] == 0] == 0).all())
