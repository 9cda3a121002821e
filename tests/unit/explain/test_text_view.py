"""Who may not read what was said sees times and effects."""

from __future__ import annotations

import pytest
from msgspec import structs

from stream.domain.evidence import WordClaim, WordEvidence
from stream.domain.result import encode_record
from stream.explain.text_view import without_text
from tests.fakes.results import make_explanation, make_score


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        (
            "She seems negative (-1.1). Mainly the words: “not working” and “at all”. Without the words it would be neutral (+0.1).",
            "She seems negative (-1.1). Mainly the words. Without the words it would be neutral (+0.1).",
        ),
        (
            "She seems positive (+1.5). Mainly the words (“thank you”) and the voice. Without “thank you” it would be neutral (+0.2).",
            "She seems positive (+1.5). Mainly the words and the voice.",
        ),
        ("The customer seems positive (+1.1). Mainly “so much”. Only words came.", "The customer seems positive (+1.1). Only words came."),
        ("Nothing was said by the customer.", "Nothing was said by the customer."),
    ],
)
def test_quotations_are_taken_out_of_the_sentence(sentence: str, expected: str) -> None:
    assert without_text(make_explanation(make_score(4000), sentence)).sentence == expected


def test_times_and_effects_stay() -> None:
    said = structs.replace(
        make_explanation(make_score(4000), "Mainly “secretword”."),
        words=(WordEvidence("secretword", 1000, 1400, -0.4),),
        claims=(WordClaim("secretword", 1000, 1400, -0.8, "neutral"),),
        counterfactual=("secretword",),
    )
    silent = without_text(said)
    assert b"secretword" not in encode_record(silent)
    assert silent.words == (WordEvidence("", 1000, 1400, -0.4),)
    assert silent.claims == (WordClaim("", 1000, 1400, -0.8, "neutral"),)
    assert silent.contributions == said.contributions
