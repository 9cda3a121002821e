from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest

from stream.aio.backoff import Backoff
from stream.config.service_settings import TritonSettings
from stream.domain.inference import COALITIONS, Extra, WindowInputs
from stream.domain.media_format import FACE_CELLS, FACE_WIDTH, MEL_BINS, MEL_FRAMES, VOICE_WIDTH
from stream.encoders.text import TokenisedWords
from stream.encoders.window_inputs import build
from stream.model_repository.served_models import AUDIO_ENCODER, MAX_ROWS, MMCI, TEXT_ENCODER
from stream.serving.client import ModelAnswer, TritonClient, classify
from stream.serving.errors import ModelFailedError, ModelProcessDeadError, ModelRejectedError, ServingError, TritonUnavailableError
from stream.serving.models import FAILURES_OF_A_STUCK_MODEL, MAX_MODEL_FAILURES, Models
from tests.fakes.triton import Answer, Arrays, FakeTritonClient
from tests.fakes.windows import make_inputs, make_window

FAST = Backoff(first_s=0.001, cap_s=0.001)


def models_with(answer: Answer) -> tuple[Models, FakeTritonClient]:
    client = FakeTritonClient(answer)
    return Models(TritonSettings(url="127.0.0.1:1"), FAST, client=cast(TritonClient, client)), client


def embed(_model: str, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
    return {"embedding": inputs["face"].mean(axis=(1, 2, 3)).repeat(FACE_WIDTH).reshape(-1, FACE_WIDTH).astype(np.float32)}


def faces(count: int) -> npt.NDArray[np.float32]:
    return np.arange(count, dtype=np.float32).reshape(-1, 1, 1, 1) * np.ones((count, 1, 48, 48), np.float32)


async def test_many_rows_are_split_and_put_together_in_order() -> None:
    models, client = models_with(embed)
    embeddings = await models.encode_faces(faces(2 * MAX_ROWS + 3))
    assert [len(inputs["face"]) for _, inputs in client.calls] == [MAX_ROWS, MAX_ROWS, 3]
    np.testing.assert_array_equal(embeddings[:, 0], np.arange(2 * MAX_ROWS + 3))


def encode(model: str, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
    """Each answer repeats a number of its own row."""
    if model == TEXT_ENCODER:
        return {"last_hidden_state": np.repeat(inputs["input_ids"][..., np.newaxis], 384, axis=-1).astype(np.float32)}
    if model == AUDIO_ENCODER:
        return {"embedding": np.repeat(inputs["log_mel"][:, :1, :1], 10 * VOICE_WIDTH, axis=-1).reshape(-1, 10, VOICE_WIDTH)}
    return embed(model, inputs)


def blocks(*values: float) -> npt.NDArray[np.float32]:
    return np.array(values, np.float32).reshape(-1, 1, 1) * np.ones((1, MEL_BINS, MEL_FRAMES), np.float32)


def tokens(count: int, value: int) -> TokenisedWords:
    ids = np.full(count, value, np.int64)
    return TokenisedWords(ids, np.ones_like(ids), np.zeros_like(ids), np.arange(count), count)


async def test_the_cells_of_faces_come_with_their_embeddings() -> None:
    def with_cells(model: str, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
        embeddings = embed(model, inputs)["embedding"]
        cells = np.repeat(embeddings[:, np.newaxis], FACE_CELLS[0], axis=1).astype(np.float16)
        return {"embedding": embeddings, "cells": cells}

    models, _ = models_with(with_cells)
    embeddings, cells = await models.encode_face_cells(faces(MAX_ROWS + 2))
    assert (embeddings.shape, cells.shape) == ((MAX_ROWS + 2, FACE_WIDTH), (MAX_ROWS + 2, *FACE_CELLS))
    assert cells.dtype == np.float16
    np.testing.assert_array_equal(cells[:, 5, 0], np.arange(MAX_ROWS + 2))
    embeddings, cells = await models.encode_face_cells(faces(0))
    assert (embeddings.shape, cells.shape) == ((0, FACE_WIDTH), (0, *FACE_CELLS))


async def test_rows_of_many_callers_share_requests_and_each_gets_its_own_answers() -> None:
    models, client = models_with(encode)
    answers = await asyncio.gather(
        *(models.encode_faces(faces(3) + session) for session in range(4)),
        *(models.encode_audio(blocks(session, -session)) for session in range(4)),
        *(models.encode_text(tokens(16, session)) for session in range(4)),
    )
    assert [(model, len(next(iter(inputs.values())))) for model, inputs in client.calls] == [
        ("face_encoder", 12),
        ("audio_encoder", 8),
        ("text_encoder", 4),
    ]
    for session in range(4):
        np.testing.assert_array_equal(answers[session][:, 0], np.arange(3) + session)
        np.testing.assert_array_equal(answers[4 + session][:, 0, 0], [session, -session])
        assert (answers[8 + session].shape, answers[8 + session][0, 0]) == ((16, 384), session)


async def test_only_sequences_of_one_length_share_a_request() -> None:
    models, client = models_with(encode)
    answers = await asyncio.gather(*(models.encode_text(tokens(count, count)) for count in (16, 32, 16)))
    assert [answer.shape[0] for answer in answers] == [16, 32, 16]
    assert sorted(inputs["input_ids"].shape for _, inputs in client.calls) == [(1, 32), (2, 16)]


async def test_a_row_that_the_model_refuses_does_not_fail_the_others() -> None:
    def answer(model: str, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
        if (inputs["log_mel"] < 0).any():
            raise ModelRejectedError("negative")
        return encode(model, inputs)

    models, client = models_with(answer)
    answers = await asyncio.gather(*(models.encode_audio(blocks(value)) for value in (1, -1, 2)), return_exceptions=True)
    assert isinstance(answers[1], ModelRejectedError)
    assert [answer[0, 0, 0] for answer in answers if isinstance(answer, np.ndarray)] == [1, 2]
    assert [len(inputs["log_mel"]) for _, inputs in client.calls] == [3, 1, 1, 1]


async def test_a_row_on_which_the_model_fails_does_not_hold_up_the_others() -> None:
    def answer(model: str, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
        if (inputs["log_mel"] < 0).any():
            raise ModelFailedError("INTERNAL: onnxruntime: Fail")
        return encode(model, inputs)

    models, client = models_with(answer)
    answers = await asyncio.gather(*(models.encode_audio(blocks(value)) for value in (1, -1, 2)), return_exceptions=True)
    assert isinstance(answers[1], ModelRejectedError)
    assert [answer[0, 0, 0] for answer in answers if isinstance(answer, np.ndarray)] == [1, 2]
    assert [len(inputs["log_mel"]) for _, inputs in client.calls] == [3, *[1] * (2 + MAX_MODEL_FAILURES)]


async def test_a_row_that_is_not_finite_is_refused_before_it_joins_others() -> None:
    models, client = models_with(encode)
    answers = await asyncio.gather(*(models.encode_audio(blocks(value)) for value in (1, np.nan, 2)), return_exceptions=True)
    assert isinstance(answers[1], ModelRejectedError)
    assert [len(inputs["log_mel"]) for _, inputs in client.calls] == [2]


async def test_rows_of_a_cancelled_caller_are_left_out() -> None:
    models, client = models_with(encode)
    await models.encode_audio(blocks(0))
    cancelled, waiting = (asyncio.ensure_future(models.encode_audio(blocks(*values))) for values in ((1, 2), (3,)))
    await asyncio.sleep(0)
    cancelled.cancel()
    assert (await waiting)[0, 0, 0] == 3
    assert [len(inputs["log_mel"]) for _, inputs in client.calls] == [1, 1]


async def test_an_outage_is_waited_out() -> None:
    outages: list[ServingError] = [TritonUnavailableError("x"), ModelProcessDeadError("x"), TritonUnavailableError("x")]

    def answer(model: str, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
        if outages:
            raise outages.pop()
        return embed(model, inputs)

    models, client = models_with(answer)
    assert (await models.encode_faces(faces(2))).shape == (2, FACE_WIDTH)
    assert len(client.calls) == 4


async def test_a_request_that_always_fails_is_given_up() -> None:
    def answer(_model: str, _inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
        raise ModelFailedError("INTERNAL: onnxruntime: Fail")

    models, client = models_with(answer)
    with pytest.raises(ModelRejectedError, match="failed 5 times"):
        await models.encode_faces(faces(1))
    assert len(client.calls) == MAX_MODEL_FAILURES


@pytest.mark.parametrize(
    ("embedding", "message"),
    [
        (np.full((1, FACE_WIDTH), np.nan, np.float32), "not finite"),
        (np.zeros((1, FACE_WIDTH - 1), np.float32), "not float32"),
        (np.zeros((1, FACE_WIDTH), np.float64), "not float32"),
    ],
)
async def test_a_wrong_answer_is_not_passed_on(embedding: npt.NDArray[Any], message: str) -> None:
    models, client = models_with(lambda _model, _inputs: {"embedding": embedding})
    with pytest.raises(ModelRejectedError, match=message):
        await models.encode_faces(faces(1))
    assert len(client.calls) == 1


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        ("INVALID_ARGUMENT", "unexpected shape", ModelRejectedError),
        ("INTERNAL", "onnxruntime: Fail", ModelFailedError),
        ("INTERNAL", "Stub process 'mmci_0_0' is not healthy.", ModelProcessDeadError),
        ("UNAVAILABLE", "failed to connect", TritonUnavailableError),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", TritonUnavailableError),
        ("NOT_FOUND", "unknown model: 'mmci' is not found", TritonUnavailableError),
        ("UNKNOWN", None, TritonUnavailableError),
    ],
)
def test_statuses_become_errors_by_how_to_handle_them(status: str, message: str | None, kind: type[ServingError]) -> None:
    assert type(classify(status, message)) is kind


def neutral(_model: str, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
    """A neutral answer of ``mmci`` for windows of any length."""
    rows, nodes = len(inputs["words"]), sum(inputs[name].shape[1] for name in ("words", "audio", "video"))
    shapes = {"coalition_scores": (COALITIONS,), "coalition_probabilities": (COALITIONS, 3), "causal": (nodes,), "relevance": (nodes,)}
    shapes |= dict.fromkeys(("to_review", "arousal"), (1,))
    return {name: np.zeros((rows, *shape), np.float32) for name, shape in shapes.items()}


def window() -> WindowInputs:
    return build(make_window(["well", "then"]), np.zeros((2, 384), np.float32))


def by_node(_model: str, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
    """An answer that gives each node the first of its values."""
    values = np.concatenate([inputs[name][..., 0] for name in ("words", "audio", "video")], axis=1)
    return neutral(MMCI, inputs) | {"causal": values, "relevance": values, "word_effects": inputs["words"][..., 0]}


@pytest.mark.parametrize(("words", "sent"), [(0, 8), (8, 8), (9, 16), (32, 32)])
async def test_a_window_is_sent_with_the_rows_of_words_that_it_needs(words: int, sent: int) -> None:
    models, client = models_with(by_node)
    empty = make_inputs(make_window([], 3, 2))
    chance, capacity = np.random.default_rng(words), 32
    values = np.zeros((capacity, 384), np.float32)
    values[:words] = chance.normal(size=(words, 384))
    mask = (np.arange(capacity) < words).astype(np.float32)
    inputs = replace(empty, words=values, word_times=np.zeros((capacity, 2), np.float32), word_mask=mask, audio=empty.audio + 1)
    answer = await models.infer(inputs, "1", frozenset({Extra.WORD_EFFECTS}))
    assert client.calls[0][1]["words"].shape == (1, sent, 384)
    nodes = np.concatenate([own[:, 0] for own in (values, inputs.audio, inputs.video)])
    np.testing.assert_array_equal(answer.relevance, nodes)
    np.testing.assert_array_equal(answer.causal, nodes)
    np.testing.assert_array_equal(answer.word_effects, values[:, 0])


async def test_what_is_made_of_coalitions_is_asked_for_alone_and_apart_from_whole_answers() -> None:
    models, client = models_with(
        lambda model, inputs: neutral(model, inputs) | {"coalition_scores": inputs["words"][:, :1, 0].repeat(16, 1)}
    )
    inputs = replace(window(), words=window().words + 0.5)
    of_coalitions, _, again = await asyncio.gather(
        models.coalitions(inputs, "1"), models.infer(inputs, "1"), models.coalitions(window(), "1")
    )
    assert (of_coalitions.scores.tolist(), again.scores.tolist()) == ([0.5] * COALITIONS, [0.0] * COALITIONS)
    assert sorted((len(asked), len(sent["words"])) for asked, (_, sent) in zip(client.outputs, client.calls, strict=True)) == [
        (2, 2),
        (6, 1),
    ]


async def test_an_answer_names_the_version_that_it_came_from_and_versions_share_no_request() -> None:
    models, client = models_with(neutral)
    client.loaded = {"1": "0123456789ab", "2": "ba9876543210"}
    answers = await asyncio.gather(*(models.infer(window(), version) for version in ("1", "2", "1")))
    assert [answer.version for answer in answers] == ["1", "2", "1"]
    assert sorted(len(inputs["words"]) for _, inputs in client.calls) == [1, 2]
    assert (await models.named("2")).digest == "ba9876543210"
    assert await models.default_version() == "1"


async def test_a_version_that_is_not_loaded_is_waited_for_and_holds_up_no_other() -> None:
    models, client = models_with(neutral)
    waiting = asyncio.ensure_future(models.infer(window(), "2"))
    assert (await models.infer(window(), "1")).version == "1"
    await asyncio.sleep(0.02)
    assert not waiting.done()
    problem = await models.missing_version()
    assert problem is not None
    assert problem.code == "version_missing"
    assert "sentistream models load 2" in problem.text
    client.loaded["2"] = "ba9876543210"
    assert (await waiting).version == "2"
    assert await models.missing_version() is None


async def test_weights_are_named_anew_after_an_outage() -> None:
    outages: list[ServingError] = [TritonUnavailableError("x")]

    def answer(model: str, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
        if outages:
            raise outages.pop()
        return neutral(model, inputs)

    models, client = models_with(answer)
    assert (await models.named("1")).digest == "0123456789ab"
    client.loaded = {"1": "ba9876543210"}
    await models.infer(window(), "1")
    assert (await models.named("1")).digest == "ba9876543210"


async def test_another_version_does_not_answer_for_the_one_that_was_asked() -> None:
    class Stubborn(FakeTritonClient):
        async def infer(self, model: str, inputs: Arrays, outputs: Sequence[str], version: str = "") -> ModelAnswer:
            return (await super().infer(model, inputs, outputs, version))._replace(version="1")

    client = Stubborn(neutral)
    client.loaded = {"1": "0123456789ab", "2": "ba9876543210"}
    models = Models(TritonSettings(url="127.0.0.1:1"), FAST, client=cast(TritonClient, client))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(models.infer(window(), "2"), 0.05)


async def test_a_shadow_request_is_tried_once_and_reports_no_problem() -> None:
    models, client = models_with(neutral)
    for _ in range(FAILURES_OF_A_STUCK_MODEL):
        with pytest.raises(TritonUnavailableError):
            await models.try_infer(window(), "2")
    assert (models.stuck(), await models.missing_version()) == (set(), None)
    client.loaded["2"] = "ba9876543210"
    assert (await models.try_infer(window(), "2")).version == "2"


async def test_a_version_is_asked_once_for_each_set_of_outputs_before_windows_come() -> None:
    def with_extras(model: str, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
        slope = np.zeros((len(inputs["video"]), inputs["video"].shape[1], FACE_WIDTH), np.float32)
        return by_node(model, inputs) | {"face_slope": slope}

    models, client = models_with(with_extras)
    await models.warm("1")
    warmed = [frozenset(outputs) for outputs in client.outputs]
    client.outputs.clear()
    await models.coalitions(window(), "1")
    for extras in (frozenset[Extra](), frozenset({Extra.WORD_EFFECTS}), frozenset(Extra)):
        await models.infer(window(), "1", extras)
    assert warmed == [frozenset(outputs) for outputs in client.outputs]
    with pytest.raises(TritonUnavailableError):
        await models.warm("2")
    assert (models.stuck(), await models.missing_version()) == (set(), None), "nobody waits for it"


async def test_a_version_that_nobody_waits_for_any_more_is_no_stuck_model() -> None:
    models, _ = models_with(neutral)
    waiting = asyncio.ensure_future(models.infer(window(), "2"))
    async with asyncio.timeout(10):
        while models.stuck() != {"mmci"}:
            await asyncio.sleep(0.001)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert models.stuck() == set()


async def test_sound_goes_to_the_encoder_that_the_version_was_trained_with() -> None:
    models, client = models_with(encode)
    client.loaded["2"], client.own_encoders = "ba9876543210", {"2": "2"}
    client.loaded_encoders.add("2")
    assert [await models.audio_encoder(version) for version in ("1", "2")] == ["1", "2"]
    answers = await asyncio.gather(
        models.encode_audio(blocks(1)),
        models.encode_audio(blocks(2), "2"),
        models.encode_audio(blocks(3)),
        models.encode_audio(blocks(4), "2"),
    )
    assert [answer[0, 0, 0] for answer in answers] == [1, 2, 3, 4]
    assert sorted(client.encoders_asked) == ["1", "2"], "one request for each encoder"


async def test_the_encoder_of_a_version_that_is_not_loaded_is_waited_for_and_never_guessed() -> None:
    models, client = models_with(encode)
    waiting = asyncio.ensure_future(models.audio_encoder("2"))
    assert await models.audio_encoder("1") == "1"
    await asyncio.sleep(0.02)
    assert not waiting.done()
    problem = await models.missing_version()
    assert problem is not None
    assert "version 2 of mmci" in problem.text
    client.loaded["2"], client.own_encoders = "ba9876543210", {"2": "2"}
    assert await waiting == "2"
    sound = asyncio.ensure_future(models.encode_audio(blocks(1), "2"))
    assert (await models.encode_audio(blocks(5)))[0, 0, 0] == 5
    await asyncio.sleep(0.02)
    assert not sound.done()
    problem = await models.missing_version()
    assert problem is not None
    assert "version 2 of audio_encoder" in problem.text
    assert "sentistream models load 2" in problem.text
    client.loaded_encoders.add("2")
    assert (await sound)[0, 0, 0] == 1
    assert (await models.missing_version(), models.stuck()) == (None, set())
