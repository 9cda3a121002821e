from __future__ import annotations

import numpy as np
import pytest

from stream.domain.features import Floats
from stream.domain.inference import CONTEXT_BIT
from stream.domain.modality import MODALITIES, Modality
from stream.explain.warnings import SURE, disagree

TEXT, AUDIO, VIDEO = Modality.TEXT, Modality.AUDIO, Modality.VIDEO
UNSURE = (0.35, 0.3, 0.35)
NEGATIVE, POSITIVE, NEUTRAL = (SURE, 0.3, 0.1), (0.1, 0.3, SURE), (0.1, 0.8, 0.1)


def probabilities(by_coalition: dict[tuple[Modality, ...], tuple[float, float, float]]) -> Floats:
    """Probabilities of every coalition, unsure where nothing else is given."""
    rows = np.array([UNSURE] * 16, np.float32)
    for modalities, row in by_coalition.items():
        rows[sum(m.bit for m in modalities) | CONTEXT_BIT] = row
    return rows


@pytest.mark.parametrize(("first", "second"), [(TEXT, AUDIO), (AUDIO, TEXT), (TEXT, VIDEO), (VIDEO, AUDIO)])
def test_two_modalities_that_are_each_sure_of_opposite_polarities_disagree(first: Modality, second: Modality) -> None:
    assert disagree(probabilities({(first,): NEGATIVE, (second,): POSITIVE}), MODALITIES)


@pytest.mark.parametrize("other", [NEGATIVE, NEUTRAL, UNSURE, (0.1, 0.305, SURE - 0.005)])
def test_one_sure_modality_disagrees_with_none_that_is_not_sure_of_the_opposite(other: tuple[float, float, float]) -> None:
    assert not disagree(probabilities({(TEXT,): NEGATIVE, (AUDIO,): other}), MODALITIES)


def test_only_present_modalities_disagree_and_only_alone() -> None:
    assert not disagree(probabilities({(TEXT,): NEGATIVE, (VIDEO,): POSITIVE}), (TEXT, AUDIO))
    assert not disagree(probabilities({(TEXT,): NEGATIVE, (TEXT, AUDIO): POSITIVE, (AUDIO, VIDEO): POSITIVE, (): POSITIVE}), MODALITIES)
