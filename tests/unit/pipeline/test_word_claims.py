"""Phrases are removed, and the rest is encoded and scored again."""

from __future__ import annotations

import asyncio
from typing import cast

import numpy as np
import pytest
from msgspec import structs

from stream.domain.disclosure import Disclosure
from stream.domain.features import Floats, TextFeatures
from stream.domain.inference import Inference, WindowInputs
from stream.domain.result import ExplanationRecord, encode_record
from stream.domain.window import Window
from stream.encoders.text import TokenisedWords, default_tokenizer
from stream.pipeline.metrics import Metrics
from stream.pipeline.score import WindowScorer
from stream.pipeline.window_context import ContextStore
from stream.pipeline.word_claims import WordClaims
from stream.serving.models import Models
from tests.fakes.windows import make_window
from tests.fakes.word_models import WordModels

WORTH = {"good": 1.0, "awful": -1.5, "film": 0.2}


async def explained(
    models: WordModels,
    window: Window,
    *,
    most: int = 6,
    truth_share: float = 0.0,
    metrics: Metrics | None = None,
    verify_encoded: bool = False,
) -> ExplanationRecord:
    served = cast(Models, models)
    claims = WordClaims(served, default_tokenizer(), most)
    scorer = WindowScorer(
        served,
        default_tokenizer(),
        500,
        metrics=metrics,
        word_claims=claims,
        truth_share=truth_share,
        verify_encoded=verify_encoded,
    )
    return (await scorer.final(window, ContextStore().context_of(window), "1"))[1]


def said(record: ExplanationRecord) -> list[tuple[str, float]]:
    return [(claim.text, claim.effect) for claim in record.claims]


async def test_a_claim_is_the_difference_to_the_window_without_the_phrase() -> None:
    window, models = make_window(["a", "good", "film", "with", "awful", "sound"]), WordModels(WORTH)
    record = await explained(models, window)
    assert said(record) == [("with awful", -1.5), ("a good", 1.0), ("film", 0.2)]
    without = [sum(WORTH.get(word.text, 0.0) for word in inputs.word_nodes) for inputs in models.asked]
    assert np.round(without, 4).tolist() == [-0.3, 1.2, -1.3, -0.5, -0.3], "the whole window, then without each phrase by its estimate"
    assert [inputs.word_mask.sum() for inputs in models.asked] == [6, 4, 4, 5, 5]


async def test_the_remaining_words_are_encoded_again_as_they_change_without_the_phrase() -> None:
    record = await explained(WordModels(WORTH), make_window(["not", "slow", "but", "good"]))
    assert said(record) == [("not slow", -2.0), ("but good", -1.0)], "without its negation, the good word counts for the better"


async def test_only_the_phrases_with_the_largest_estimates_are_tried() -> None:
    models = WordModels(WORTH)
    record = await explained(models, make_window(["good", "awful", "film"]), most=2)
    assert said(record) == [("awful", -1.5), ("good", 1.0)]
    assert models.encoded == [3, 2, 2]


async def test_a_window_of_one_phrase_is_scored_without_text() -> None:
    models = WordModels(WORTH)
    record = await explained(models, make_window(["so", "good"], segments=2))
    assert [(claim.text, claim.effect, claim.label_without) for claim in record.claims] == [("so good", 1.0, "neutral")]
    assert models.encoded == [2]


async def test_words_that_their_producer_has_encoded_get_no_claims_unless_the_worker_may_encode_them() -> None:
    window, models = make_window(["good", "film"]), WordModels(WORTH)
    sent: Floats = np.zeros((2, 384), np.float32)
    window = structs.replace(window, text=(TextFeatures(window.words(), states=sent),))
    record = await explained(models, window)
    assert (record.claims, len(models.asked)) == ((), 1)
    record = await explained(models, window, verify_encoded=True)
    assert (said(record), models.encoded) == ([("good", 1.0), ("film", 0.2)], [2, 1, 1])


async def test_a_checked_window_counts_as_wrong_if_the_strongest_phrase_was_not_tried() -> None:
    metrics, window = Metrics(), make_window(["good", "awful", "film"])
    misled = WordModels(WORTH, relevance=np.array([0.9, 0.1, 0.0], np.float32))
    await explained(misled, window, most=1, truth_share=1.0, metrics=metrics)
    await explained(WordModels(WORTH), window, most=1, truth_share=1.0, metrics=metrics)
    assert metrics.word_truth.rates() == {"top": 0.5, "sign": 1.0}
    assert 'sentistream_word_claims_total{outcome="top_wrong"} 1.0' in metrics.text().decode()


async def test_a_checked_window_names_the_fewest_phrases_that_its_label_hangs_on() -> None:
    worth = {"good": 0.45, "nice": 0.4, "film": 0.1}
    window = make_window(["good", "film", "nice"])
    assert (await explained(WordModels(worth), window, truth_share=1.0)).counterfactual == ("good",)
    worth = {"good": 0.9, "nice": 0.8}
    pair = make_window(["good", "nice"], segments=1)
    assert (await explained(WordModels(worth), pair, truth_share=1.0)).counterfactual == ("good", "nice")
    assert (await explained(WordModels(worth), window)).counterfactual is None, "only a share of the windows is examined"


async def test_a_replay_gives_the_same_claims() -> None:
    window = make_window(["a", "good", "film", "with", "awful", "sound"])
    first, second = [await explained(WordModels(WORTH), window, truth_share=1.0) for _ in range(2)]
    assert first == second


@pytest.mark.parametrize("disclosure", Disclosure)
async def test_claims_show_of_the_words_what_the_settings_allow(disclosure: Disclosure) -> None:
    served = cast(Models, WordModels({"awful": -1.5, "john": 0.4}))
    scorer = WindowScorer(
        served,
        default_tokenizer(),
        500,
        word_claims=WordClaims(served, default_tokenizer(), 6),
        truth_share=1.0,
        disclosure=disclosure,
    )
    window = make_window(["awful", "john"])
    score, explanation = await scorer.final(window, ContextStore().context_of(window), "1")
    said = encode_record(score) + encode_record(explanation)
    assert (b"john" in said) is (disclosure is Disclosure.FULL)
    assert (b"awful" in said) is (disclosure is not Disclosure.NONE)
    assert [claim.effect for claim in explanation.claims] == [-1.5, 0.4]


async def test_all_rests_are_encoded_before_the_first_is_scored_so_that_they_share_requests() -> None:
    order: list[str] = []

    class Watched(WordModels):
        async def encode_text(self, tokenised: TokenisedWords, spare_s: float = 0.0) -> Floats:
            for _ in range(tokenised.words):
                await asyncio.sleep(0)
            order.append("text")
            return await super().encode_text(tokenised, spare_s)

        async def infer(self, inputs: WindowInputs, version: str = "1", extras: frozenset[object] = frozenset()) -> Inference:
            order.append("window")
            return await super().infer(inputs, version, extras)

    await explained(Watched(WORTH), make_window(["a", "good", "film", "with", "awful", "sound"]))
    assert order == ["text", "window", *4 * ["text"], *4 * ["window"]]
