from __future__ import annotations

import torch

from stream.domain.modality import Modality
from stream.model.relations import RELATIONS, Relation, neighbours


def times(*spans: tuple[float, float]) -> torch.Tensor:
    return torch.tensor([list(spans)])


def hears(relation: Relation, targets: torch.Tensor, sources: torch.Tensor) -> list[list[float]]:
    return neighbours(relation, targets, sources, torch.ones(1, sources.shape[1]))[0].tolist()


PAST = Relation(Modality.TEXT, Modality.TEXT, "past")
NOW = Relation(Modality.TEXT, Modality.TEXT, "now")
CROSS = Relation(Modality.AUDIO, Modality.TEXT, "now")


def test_there_are_twelve_relations_each_once() -> None:
    assert len(RELATIONS) == 12
    assert len({relation.name for relation in RELATIONS}) == 12
    assert sum(relation.within for relation in RELATIONS) == 6


def test_past_is_heard_and_future_is_not() -> None:
    spans = times((0.0, 0.3), (0.3, 0.6), (0.6, 0.9))
    assert hears(PAST, spans, spans) == [[0, 0, 0], [1, 0, 0], [1, 1, 0]]


def test_past_ends_after_two_seconds() -> None:
    assert hears(PAST, times((3.0, 3.2)), times((0.5, 0.9), (0.8, 1.1))) == [[0, 1]]


def test_touching_spans_are_past_and_not_now_despite_rounding() -> None:
    spans = times((0.0, 0.30000004), (0.3, 0.6))
    assert hears(PAST, spans, spans) == [[0, 0], [1, 0]]
    assert hears(NOW, spans, spans) == [[1, 0], [0, 1]]


def test_node_without_duration_hears_itself() -> None:
    spans = times((1.0, 1.0))
    assert hears(NOW, spans, spans) == [[1]]


def test_same_time_across_modalities_has_a_tolerance() -> None:
    sources = times((0.0, 0.35), (0.35, 0.45), (0.9, 1.0), (1.05, 1.15), (1.2, 1.3))
    assert hears(CROSS, times((0.5, 1.0)), sources) == [[0, 1, 1, 1, 0]]


def test_padding_is_never_heard() -> None:
    spans = times((0.0, 0.1), (0.0, 0.1))
    assert neighbours(NOW, spans, spans, torch.tensor([[1.0, 0.0]]))[0].tolist() == [[1, 0], [1, 0]]
