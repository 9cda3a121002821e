"""Spans of verdicts become masks on the nodes of stored windows; what cannot be placed is counted and left out."""

from __future__ import annotations

import pytest

from stream.domain.modality import Modality
from stream.domain.verdict import Judgement, Mask, Span, SuspectJudgement, SuspectVerdict, Verdict
from stream.reveal.masks import masks_of
from tests.fakes.stored_windows import make_stored

pytestmark = pytest.mark.unit

WINDOW = make_stored(words=("so", "very", "good"))
NODES = WINDOW.inputs.word_nodes
ID = WINDOW.score.window_id


def verdict(span: Span | None, judgement: Judgement = Judgement.RIGHT_FOR_WRONG_REASON, window_id: str = ID) -> Verdict:
    return Verdict(window_id=window_id, verdict=judgement, reviewer="qa", given_at_ms=0, span=span)


def span(mask: Mask, first: int, last: int, modality: Modality = Modality.TEXT) -> Span:
    return Span(modality, NODES[first].start_ms, NODES[last].end_ms, mask)


def stored(window_id: str) -> object:
    return WINDOW if window_id == ID else None


@pytest.mark.parametrize("judgement", [Judgement.RIGHT, Judgement.WRONG, Judgement.RIGHT_FOR_WRONG_REASON])
def test_the_span_counts_whatever_the_verdict_says_of_the_label(judgement: Judgement) -> None:
    found = masks_of([verdict(span(Mask.NOT_EVIDENCE, 1, 1), judgement)], stored)  # type: ignore[arg-type]
    assert found.judged is not None
    assert found.judged.negative[Modality.TEXT][0, :3].tolist() == [0.0, 1.0, 0.0]
    assert (found.used, found.unused) == (1, 0)


def test_what_must_not_be_used_is_no_evidence() -> None:
    verdicts = [verdict(span(Mask.EVIDENCE, 0, 2)), verdict(span(Mask.NOT_EVIDENCE, 0, 0))]
    found = masks_of(verdicts, stored).judged  # type: ignore[arg-type]
    assert found is not None
    assert found.positive[Modality.TEXT][0, :3].tolist() == [0.0, 1.0, 1.0]
    assert found.size == 1


def test_verdicts_that_cannot_be_placed_are_left_out() -> None:
    elsewhere = verdict(span(Mask.EVIDENCE, 0, 0), window_id="default/other/customer/0-4000")
    later = verdict(Span(Modality.TEXT, 900_000, 901_000, Mask.EVIDENCE))
    on_a_suspect = SuspectVerdict(artefact="hiss", verdict=SuspectJudgement.ARTEFACT, reviewer="qa", given_at_ms=0)
    found = masks_of([elsewhere, later, verdict(None), on_a_suspect], stored)  # type: ignore[arg-type]
    assert found == (None, 0, 2)
