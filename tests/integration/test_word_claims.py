"""Claims on phrases, measured with a real Triton."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from stream.config.service_settings import TritonSettings
from stream.domain.result import ExplanationRecord, ScoreRecord
from stream.encoders.text import default_tokenizer
from stream.pipeline.metrics import Metrics
from stream.pipeline.score import WindowScorer
from stream.pipeline.window_context import ContextStore
from stream.pipeline.word_claims import WordClaims
from stream.serving.models import Models
from tests.fakes.windows import make_window

COMPLAINT = ("the", "room", "was", "lovely", "but", "the", "food", "was", "terrible")


@pytest.fixture
async def models(triton_url: str) -> AsyncIterator[Models]:
    models = Models(TritonSettings(url=triton_url))
    yield models
    await models.close()


async def final(
    models: Models, words: Sequence[str], *, metrics: Metrics | None = None, truth_share: float = 0.0
) -> tuple[ScoreRecord, ExplanationRecord]:
    claims = WordClaims(models, default_tokenizer(), most=6)
    scorer = WindowScorer(models, default_tokenizer(), 500, metrics=metrics, word_claims=claims, truth_share=truth_share)
    window = make_window(words)
    return await scorer.final(window, ContextStore().context_of(window), await models.default_version())


async def test_good_and_bad_words_have_the_right_sign_and_the_effect_of_a_run_without_them(models: Models) -> None:
    score, explanation = await final(models, COMPLAINT)
    effects = {claim.text: claim.effect for claim in explanation.claims}
    assert effects["was lovely"] > 0 > effects["was terrible"]
    # A claim keeps the times of the words that are left, which a shorter window of its own would not: the last phrase has no word after it.
    without, _ = await final(models, COMPLAINT[:-2])
    assert score.score is not None
    assert without.score == pytest.approx(score.score - effects["was terrible"], abs=2e-4)
    claim = next(claim for claim in explanation.claims if claim.text == "was terrible")
    assert claim.label_without == without.label


async def test_a_replay_gives_the_same_records_and_a_check_confirms_the_claims(models: Models) -> None:
    metrics = Metrics()
    first, second = [await final(models, COMPLAINT, metrics=metrics, truth_share=1.0) for _ in range(2)]
    assert first == second
    assert (metrics.word_truth.windows, metrics.word_truth.rates()) == (2, {"top": 1.0, "sign": 1.0})
