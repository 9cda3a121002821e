"""The models on a real Triton."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from stream.config.service_settings import TritonSettings
from stream.domain.context import CONTEXT_WINDOWS
from stream.domain.features import Floats
from stream.domain.inference import Extra, WindowInputs
from stream.domain.media_format import FACE_WIDTH, MEL_BINS, MEL_FRAMES, VOICE_WIDTH
from stream.encoders.text import TokenisedWords
from stream.local.triton import TritonServer
from stream.model_repository.repository import check_models
from stream.model_repository.served_models import AUDIO_ENCODER, FACE_ENCODER, MMCI, MODEL_NAMES, TEXT_ENCODER
from stream.serving.canary import Health, canaries
from stream.serving.client import TritonClient
from stream.serving.errors import ModelRejectedError
from stream.serving.models import Array, Models


@pytest.fixture
async def models(triton_url: str) -> AsyncIterator[Models]:
    models = Models(TritonSettings(url=triton_url))
    yield models
    await models.close()


def tokens(count: int, seed: int = 0) -> TokenisedWords:
    ids = np.random.default_rng(seed).integers(1000, 20_000, count)
    return TokenisedWords(ids, np.ones_like(ids), np.zeros_like(ids), np.arange(count), count)


def window_inputs(seed: int, words: int = 8, audio: int = 10, video: int = 5) -> WindowInputs:
    chance = np.random.default_rng(seed)

    def times(count: int) -> Floats:
        starts = np.linspace(0, 3.9, count)
        spans: Floats = np.stack([starts, starts + 0.1], axis=1).astype(np.float32)
        return spans

    return WindowInputs(
        words=chance.normal(0, 0.3, (words, 384)).astype(np.float32),
        word_times=times(words),
        word_mask=np.ones(words, np.float32),
        audio=chance.normal(0, 1, (audio, VOICE_WIDTH)).astype(np.float32),
        audio_times=times(audio),
        audio_mask=np.ones(audio, np.float32),
        video=chance.normal(0, 1, (video, FACE_WIDTH)).astype(np.float32),
        video_times=times(video),
        video_mask=np.ones(video, np.float32),
        past_words=chance.normal(0, 0.3, (CONTEXT_WINDOWS, 384)).astype(np.float32),
        past_audio=chance.normal(0, 1, (CONTEXT_WINDOWS, VOICE_WIDTH)).astype(np.float32),
        past_video=chance.normal(0, 1, (CONTEXT_WINDOWS, FACE_WIDTH)).astype(np.float32),
        past_mask=np.ones((CONTEXT_WINDOWS, 3), np.float32),
        past_same=(np.arange(CONTEXT_WINDOWS) % 2).astype(np.float32),
        word_nodes=(),
        audio_spans_ms=(),
        video_spans_ms=(),
    )


async def test_all_models_are_ready(models: Models) -> None:
    assert await models.problem() is None


def test_the_repository_fits_its_onnx_files(triton_server: TritonServer) -> None:
    assert {report.name: report.problems for report in check_models(triton_server.repository)} == dict.fromkeys(MODEL_NAMES, ())


MMCI_INPUTS = (
    *("words", "word_times", "word_mask", "audio", "audio_times", "audio_mask", "video", "video_times", "video_mask"),
    *("past_words", "past_audio", "past_video", "past_mask", "past_same"),
)


def batches() -> dict[str, dict[str, Array]]:
    """A batch for each model."""
    chance = np.random.default_rng(7)
    ids = chance.integers(1000, 20_000, (3, 16))
    windows = [window_inputs(seed, 32, 40, 20) for seed in range(3)]
    return {
        TEXT_ENCODER: {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)},
        AUDIO_ENCODER: {"log_mel": chance.normal(size=(3, MEL_BINS, MEL_FRAMES)).astype(np.float32)},
        FACE_ENCODER: {"face": chance.normal(size=(3, 1, 48, 48)).astype(np.float32)},
        MMCI: {name: np.stack([getattr(window, name) for window in windows]) for name in MMCI_INPUTS},
    }


@pytest.mark.parametrize("where", ["embedded", "container"])
async def test_triton_computes_the_same_as_onnx_runtime(where: str, request: pytest.FixtureRequest, triton_server: TritonServer) -> None:
    """The container may be any Triton that serves ``triton_models``, for example Compose's with port 8001 published."""
    url: str | None = triton_server.grpc_url if where == "embedded" else os.environ.get("SENTISTREAM_TEST_TRITON")
    if url is None:
        pytest.skip("SENTISTREAM_TEST_TRITON does not say where a container serves triton_models (HOST:PORT of its gRPC)")
    client = TritonClient(url, 30.0)
    for model, inputs in batches().items():
        alone = onnxruntime.InferenceSession(triton_server.repository / model / "1" / "model.onnx", providers=["CPUExecutionProvider"])
        outputs = [output.name for output in alone.get_outputs()]
        answer, _ = await client.infer(model, inputs, outputs)
        for name, wanted in zip(outputs, alone.run(outputs, inputs), strict=True):
            np.testing.assert_allclose(answer[name], wanted, atol=1e-4, err_msg=f"{model} {name}")
    await client.close()


async def test_encoders_return_the_documented_shapes(models: Models) -> None:
    text = await models.encode_text(tokens(16))
    assert text.shape == (16, 384)
    assert np.abs(text).max() > 0.1
    audio = await models.encode_audio(np.random.default_rng(1).normal(size=(2, MEL_BINS, MEL_FRAMES)).astype(np.float32))
    assert audio.shape == (2, 10, VOICE_WIDTH)
    faces = await models.encode_faces(np.random.default_rng(2).normal(size=(11, 1, 48, 48)).astype(np.float32))
    assert faces.shape == (11, FACE_WIDTH)
    assert (await models.encode_faces(np.zeros((0, 1, 48, 48), np.float32))).shape == (0, FACE_WIDTH)


async def test_rows_do_not_depend_on_their_batch(models: Models) -> None:
    faces = np.random.default_rng(3).normal(size=(8, 1, 48, 48)).astype(np.float32)
    together = await models.encode_faces(faces)
    alone = [await models.encode_faces(face[np.newaxis]) for face in faces]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5)


async def test_a_window_is_scored(models: Models) -> None:
    inference = await models.infer(window_inputs(0), "1")
    assert inference.scores.shape == (16,)
    assert inference.causal.shape == inference.relevance.shape == (23,)
    assert np.abs(inference.scores).max() <= 3.0
    np.testing.assert_allclose(inference.probabilities.sum(axis=1), 1.0, atol=1e-4)


async def test_what_is_made_of_coalitions_has_the_bytes_of_the_whole_answer(models: Models) -> None:
    """Asked for alone, it is computed by a part of the graph. Requests for both may come to Triton's batcher together."""
    windows = [window_inputs(seed, words=(8, 16, 24)[seed % 3]) for seed in range(32)]
    whole, alone = await asyncio.gather(
        asyncio.gather(*(models.infer(window, "1") for window in windows)),
        asyncio.gather(*(models.coalitions(window, "1") for window in windows)),
    )
    for one, other in zip(whole, alone, strict=True):
        assert one.scores.tobytes() == other.scores.tobytes()
        assert one.probabilities.tobytes() == other.probabilities.tobytes()


async def test_concurrent_windows_share_executions_and_keep_their_answers(models: Models, triton_url: str) -> None:
    client = TritonClient(triton_url, 10.0)
    windows = [window_inputs(seed, words=16 if seed in {1, 2} else 8) for seed in range(48)]
    alone = [await models.infer(window, "1") for window in windows[:6]]
    requests_before, executions_before = await client.counts(MMCI)
    together = await asyncio.gather(*(models.infer(window, "1") for window in windows))
    async with asyncio.timeout(10):  # Triton counts a request after it has answered it
        while (await client.counts(MMCI))[0] - requests_before < 48:
            await asyncio.sleep(0.05)
    requests, executions = await client.counts(MMCI)
    await client.close()
    assert requests - requests_before == 48
    assert executions - executions_before < 40
    for one, other in zip(alone, together, strict=False):
        for name in ("scores", "probabilities", "causal", "relevance"):
            assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


async def test_a_row_has_the_same_bytes_whatever_shares_its_request(models: Models) -> None:
    """Replays share requests with other rows than before. Distinct answers prove that no row gets that of another."""
    chance = np.random.default_rng(5)
    blocks = chance.normal(size=(16, MEL_BINS, MEL_FRAMES)).astype(np.float32)
    faces = chance.normal(size=(16, 1, 48, 48)).astype(np.float32)
    texts = [tokens(16 if seed % 3 else 32, seed) for seed in range(16)]
    together = await asyncio.gather(
        asyncio.gather(*(models.encode_audio(block[np.newaxis]) for block in blocks)),
        asyncio.gather(*(models.encode_faces(face[np.newaxis]) for face in faces)),
        asyncio.gather(*map(models.encode_text, texts)),
    )
    alone = (
        [await models.encode_audio(block[np.newaxis]) for block in blocks],
        [await models.encode_faces(face[np.newaxis]) for face in faces],
        [await models.encode_text(text) for text in texts],
    )
    for one, other in zip(alone, together, strict=True):
        assert [array.tobytes() for array in one] == [array.tobytes() for array in other]
        assert len({array.tobytes() for array in one}) == 16


async def test_rows_for_words_that_are_not_sent_change_no_byte(models: Models, triton_url: str) -> None:
    inputs = window_inputs(3, 32, 40, 20)
    mask = (np.arange(32) < 11).astype(np.float32)
    inputs = replace(inputs, words=inputs.words * mask[:, np.newaxis], word_times=inputs.word_times * mask[:, np.newaxis], word_mask=mask)
    client = TritonClient(triton_url, 30.0)
    names = ["coalition_scores", "coalition_probabilities", "causal", "relevance", "word_effects"]
    whole, _ = await client.infer(MMCI, {name: getattr(inputs, name)[np.newaxis] for name in MMCI_INPUTS}, names, "1")
    await client.close()
    answer = await models.infer(inputs, "1", frozenset({Extra.WORD_EFFECTS}))
    found = (answer.scores, answer.probabilities, answer.causal, answer.relevance, answer.word_effects)
    for name, own in zip(names, found, strict=True):
        np.testing.assert_array_equal(own, whole[name][0], err_msg=name)


async def test_an_invalid_request_is_rejected_and_no_other(models: Models, triton_url: str) -> None:
    client = TritonClient(triton_url, 10.0)
    wrong = {"input_ids": np.zeros((1, 4), np.int64)}
    good = [models.encode_text(tokens(16, seed)) for seed in range(8)]
    answers = await asyncio.gather(client.infer(TEXT_ENCODER, wrong, ["last_hidden_state"]), *good, return_exceptions=True)
    await client.close()
    assert isinstance(answers[0], ModelRejectedError)
    assert [answer.shape for answer in answers[1:] if isinstance(answer, np.ndarray)] == [(16, 384)] * 8


async def test_a_request_that_the_model_cannot_run_fails_alone(models: Models) -> None:
    beyond_vocabulary = tokens(16)
    beyond_vocabulary.input_ids[3] = 10_000_000
    good = [models.encode_text(tokens(16, seed)) for seed in range(8)]
    answers = await asyncio.gather(models.encode_text(beyond_vocabulary), *good, return_exceptions=True)
    assert isinstance(answers[0], ModelRejectedError)
    assert [answer.shape for answer in answers[1:] if isinstance(answer, np.ndarray)] == [(16, 384)] * 8


async def test_not_a_number_is_rejected_before_it_is_sent(models: Models) -> None:
    with pytest.raises(ModelRejectedError, match="not finite"):
        await models.encode_audio(np.full((1, MEL_BINS, MEL_FRAMES), np.nan, np.float32))
    with pytest.raises(ModelRejectedError, match="rows of shape"):
        await models.encode_audio(np.zeros((1, MEL_BINS, MEL_FRAMES - 1), np.float32))


async def test_version_names_the_weights(models: Models, triton_server: TritonServer) -> None:
    version = await models.named((await models.infer(window_inputs(0), "1")).version)
    reports = {report.name: report for report in check_models(triton_server.repository)}
    assert (version.name, version.version, version.digest) == ("mmci", "1", reports[MMCI].sha256[:12])


async def test_every_model_answers_its_canary(triton_server: TritonServer) -> None:
    client = TritonClient(triton_server.grpc_url, 10.0)
    found = canaries(triton_server.repository)
    assert {canary.model for canary in found} == set(MODEL_NAMES)
    for canary in found:
        answer, _ = await client.infer(canary.model, canary.inputs, canary.outputs)
        assert all(np.isfinite(array).all() for array in answer.values()), canary.model
        assert await canary.check(client) is Health.ANSWERS
    await client.close()
