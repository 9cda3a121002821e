"""Served models are compared with those that this release uses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stream.config.settings import Settings
from stream.model_repository.model_config import CPU_CONFIG, GPU_CONFIG, TensorSpec, read_config
from stream.model_repository.served_models import AUDIO_ENCODER, MMCI, MODEL_NAMES
from stream.serving.signatures import SIGNATURES, Signature


@pytest.mark.parametrize("config_file", [GPU_CONFIG, CPU_CONFIG])
@pytest.mark.parametrize("model", MODEL_NAMES)
def test_the_packaged_models_are_those_of_this_release(model: str, config_file: str) -> None:
    config = read_config(Settings().triton.model_repository / model / config_file, [])
    assert config is not None
    assert config.inputs == SIGNATURES[model].inputs
    assert [tensor for tensor in config.outputs if tensor.name != "feature_map"] == list(SIGNATURES[model].outputs)
    assert list(SIGNATURES[model].differences(Signature(config.inputs, config.outputs, config.max_batch_size))) == []


def test_every_kind_of_difference_is_named() -> None:
    ours = SIGNATURES[MMCI]
    words, word_times, *inputs = ours.inputs
    served = Signature(
        (replace(words, dims=(-1, 300)), replace(word_times, datatype="FP64"), *inputs[1:], TensorSpec("prosody", "FP32", (4,))),
        ours.outputs[:-1],
        max_rows=8,
    )
    assert list(ours.differences(served)) == [
        "input words is FP32[-1, 300], not FP32[-1, 384]",
        "input word_times is FP64[-1, 2], not FP32[-1, 2]",
        "it has no input word_mask",
        "it wants an input prosody, which this release does not have",
        "it has no output word_effects",
        "it takes 8 rows at a time, not 16",
    ]


def test_a_free_axis_takes_any_length_and_further_outputs_do_no_harm() -> None:
    ours = SIGNATURES[AUDIO_ENCODER]
    (log_mel,), (embedding,) = ours.inputs, ours.outputs
    served = Signature((replace(log_mel, dims=(-1, -1)),), (embedding, TensorSpec("logits", "FP32", (8,))), max_rows=128)
    assert list(ours.differences(served)) == []
