"""Which nodes of a window are neighbours, by the time and modality of the nodes."""

from __future__ import annotations

import torch

from stream.domain.modality import Modality
from stream.model.relations import RELATIONS, Relation, neighbours


def times(*spans: tuple[float, float]) -> torch.Tensor:
    return torch.tensor([list(spans)])


def adjacency(relation: Relation, targets: torch.Tensor, sources: torch.Tensor) -> list[list[float]]:
    return neighbours(relation, targets, sources, torch.ones(1, sources.shape[1]))[0].tolist()


PAST = Relation(Modality.TEXT, Modality.TEXT, "past")
NOW = Relation(Modality.TEXT, Modality.TEXT, "now")
CROSS = Relation(Modality.AUDIO, Modality.TEXT, "now")


def test_there_are_twelve_different_relations() -> None:
    assert len(RELATIONS) == 12
    assert len({relation.name for relation in RELATIONS}) == 12
    assert sum(relation.within for relation in RELATIONS) == 6


def test_earlier_nodes_are_neighbours_and_later_nodes_are_not() -> None:
    spans = times((0.0, 0.3), (0.3, 0.6), (0.6, 0.9))
    assert adjacency(PAST, spans, spans) == [[0, 0, 0], [1, 0, 0], [1, 1, 0]]


def test_the_past_reaches_back_two_seconds() -> None:
    assert adjacency(PAST, times((3.0, 3.2)), times((0.5, 0.9), (0.8, 1.1))) == [[0, 1]]


def test_adjacent_spans_are_past_and_not_simultaneous_despite_rounding() -> None:
    spans = times((0.0, 0.30000004), (0.3, 0.6))
    assert adjacency(PAST, spans, spans) == [[0, 0], [1, 0]]
    assert adjacency(NOW, spans, spans) == [[1, 0], [0, 1]]


def test_a_node_without_duration_is_its_own_neighbour() -> None:
    spans = times((1.0, 1.0))
    assert adjacency(NOW, spans, spans) == [[1]]


def test_simultaneous_nodes_of_two_modalities_have_a_tolerance() -> None:
    sources = times((0.0, 0.35), (0.35, 0.45), (0.9, 1.0), (1.05, 1.15), (1.2, 1.3))
    assert adjacency(CROSS, times((0.5, 1.0)), sources) == [[0, 1, 1, 1, 0]]


def test_padding_is_never_a_neighbour() -> None:
    spans = times((0.0, 0.1), (0.0, 0.1))
    assert neighbours(NOW, spans, spans, torch.tensor([[1.0, 0.0]]))[0].tolist() == [[1, 0], [1, 0]]
