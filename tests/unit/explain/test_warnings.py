from __future__ import annotations

import numpy as np
import pytest
from msgspec import structs

from stream.domain.evidence import WordClaim, WordEvidence
from stream.domain.features import Floats
from stream.domain.inference import CONTEXT_BIT
from stream.domain.modality import MODALITIES, Modality
from stream.explain.warnings import SURE, disagree, explainers_disagree, rests_on_one, rests_on_the_face, with_evidence
from tests.fakes.results import make_explanation, make_score

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


TEXT, AUDIO, VIDEO = MODALITIES


def test_one_of_several_modalities_may_carry_everything() -> None:
    assert rests_on_one({TEXT: -1.0, AUDIO: 0.05}, -0.9)
    assert not rests_on_one({TEXT: -1.0}, -1.0), "there is no other"
    assert not rests_on_one({TEXT: -1.0, AUDIO: -0.2}, -1.2)
    assert not rests_on_one({TEXT: -0.4, AUDIO: 0.0}, -0.4), "nothing much moved"


def test_a_face_without_words_or_against_them_is_relied_on_too_much() -> None:
    assert rests_on_the_face({VIDEO: -0.9})
    assert rests_on_the_face({TEXT: 0.5, AUDIO: -0.1, VIDEO: -0.9})
    assert rests_on_the_face({TEXT: -0.05, VIDEO: -0.9})
    assert not rests_on_the_face({TEXT: -0.3, VIDEO: -0.9}), "the words say the same"
    assert not rests_on_the_face({TEXT: 0.5, VIDEO: -0.5})
    assert not rests_on_the_face({TEXT: 0.7, AUDIO: 0.6, VIDEO: -0.9}), "it carries less than half"


def test_a_claim_on_words_that_the_evidence_does_not_list_is_a_disagreement() -> None:
    score = make_score(4000, -1.0)
    explanation = structs.replace(make_explanation(score), claims=(WordClaim("not working", 1000, 2000, -0.8, "neutral"),))
    listed = (WordEvidence("not", 1000, 1400, -0.4), WordEvidence("please", 3000, 3400, -0.3))
    assert not explainers_disagree(structs.replace(explanation, words=listed))
    assert explainers_disagree(structs.replace(explanation, words=listed[1:]))
    assert explainers_disagree(structs.replace(explanation, words=(WordEvidence("not", 1000, 1400, 0.4),)))
    weak = (WordClaim("not working", 1000, 2000, -0.4, "negative"),)
    assert not explainers_disagree(structs.replace(explanation, words=(), claims=weak))
    assert not explainers_disagree(make_explanation(score))
    assert with_evidence(structs.replace(score, warnings=("to_review", "shed", "z")), structs.replace(explanation, words=())) == (
        "to_review",
        "explainers_disagree",
        "shed",
        "z",
    )
