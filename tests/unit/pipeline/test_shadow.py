"""The shadow version scores a share of the windows, and only metrics know."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import cast

import pytest

from stream.config.media_settings import ModelSettings
from stream.domain.inference import COALITIONS, Inference, WindowInputs
from stream.domain.result import ScoreRecord
from stream.explain.records import final_records
from stream.pipeline.metrics import Metrics
from stream.pipeline.shadow import AT_ONCE, Shadow
from stream.serving.errors import ServingError, TritonUnavailableError
from stream.serving.models import Models
from tests.fakes.windows import MODEL, make_inference, make_inputs, make_window

WINDOW = make_window(["well", "then"])
INPUTS = make_inputs(WINDOW)


class ShadowModels:
    """Gives every window one score."""

    def __init__(self, score: float, error: ServingError | None = None) -> None:
        self._score = score
        self._error = error
        self.asked: list[str] = []
        self.encoders: dict[str, str] = {}
        self.gate = asyncio.Event()
        self.gate.set()

    async def audio_encoder(self, version: str) -> str:
        return self.encoders.get(version, "1")

    async def try_infer(self, _inputs: WindowInputs, version: str) -> Inference:
        self.asked.append(version)
        await self.gate.wait()
        if self._error is not None:
            raise self._error
        return replace(answer(self._score), version=version)


def answer(score: float) -> Inference:
    return make_inference([score] * COALITIONS)


def published(score: float) -> ScoreRecord:
    return final_records(WINDOW, INPUTS, answer(score), MODEL, 500)[0]


def counted(metrics: Metrics) -> dict[str, float]:
    found = re.findall(r'^sentistream_shadow_(\w+)_total\{version="2"\} (.+)$', metrics.text().decode(), re.MULTILINE)
    return {name: float(number) for name, number in found}


def shadow(models: ShadowModels, version: str | None = "2", share: float = 1.0) -> tuple[Shadow, Metrics]:
    metrics = Metrics()
    return Shadow(cast(Models, models), ModelSettings(shadow_version=version, shadow_share=share), metrics), metrics


async def test_differences_and_changed_labels_are_counted() -> None:
    comparing, metrics = shadow(ShadowModels(1.5))
    for score in (1.5, 1.0, -1.5):
        comparing.compare(WINDOW, INPUTS, published(score))
    await comparing.finished()
    counts = counted(metrics)
    assert (counts["windows"], round(counts["score_difference"], 3), counts["label_changes"]) == (3.0, 3.5, 1.0)


@pytest.mark.parametrize(("version", "share"), [(None, 1.0), ("2", 0.0), ("1", 1.0)])
async def test_nothing_is_asked_without_a_version_or_share_or_of_the_version_that_answered(version: str | None, share: float) -> None:
    models = ShadowModels(1.0)
    comparing, _ = shadow(models, version, share)
    comparing.compare(WINDOW, INPUTS, published(1.0))
    await comparing.finished()
    assert models.asked == []


@pytest.mark.parametrize("error", [TritonUnavailableError("version 2 is not loaded"), ServingError("odd")])
async def test_a_version_that_does_not_answer_is_counted_and_harms_nothing(error: ServingError) -> None:
    comparing, metrics = shadow(ShadowModels(1.0, error))
    comparing.compare(WINDOW, INPUTS, published(1.0))
    await comparing.finished()
    assert counted(metrics) == {"failures": 1.0}


async def test_no_more_than_a_few_windows_wait_for_the_shadow_version() -> None:
    models = ShadowModels(1.0)
    models.gate.clear()
    comparing, metrics = shadow(models)
    for _ in range(AT_ONCE + 3):
        comparing.compare(WINDOW, INPUTS, published(1.0))
    await asyncio.sleep(0)
    assert (len(models.asked), counted(metrics)) == (AT_ONCE, {"failures": 3.0})
    models.gate.set()
    await comparing.finished()
    assert counted(metrics)["windows"] == AT_ONCE


async def test_a_window_with_a_voice_is_not_compared_across_audio_encoders() -> None:
    models = ShadowModels(1.0)
    models.encoders = {"2": "2"}
    compared, metrics = shadow(models)
    for window in (make_window(["well"]), make_window(["well"], segments=5)):
        compared.compare(window, make_inputs(window), published(0.5))
        await compared.finished()
    assert counted(metrics)["windows"] == 1
    assert counted(metrics)["failures"] == 1
