"""Silero VAD 6, a small recurrent network that tells a voice from noise and music.

Its packages bring onnxruntime or torch into every worker, or need 70 ms for a second of sound. So its forward pass stands here, in numpy:
2 ms. The weights are those of ``silero_vad_v6.onnx`` in faster-whisper 1.2.1 as 16-bit floats (MIT License, see NOTICE).
"""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from safetensors.numpy import load

from stream.domain.features import Floats
from stream.domain.media_format import FULL_SCALE
from stream.media.pcm import Samples

FRAME_SAMPLES = 512
"""Samples for which the network gives one probability: 32 ms."""

CONTEXT_SAMPLES = 64
"""Samples before a frame that the network sees with it."""

FFT_SAMPLES = 256
FFT_HOP_SAMPLES = 128
"""Of the spectra that the network sees: four for each frame."""

STRIDES = (1, 2, 2, 1)
"""Of the convolutions. They turn the four spectra of a frame into one state."""


def voice_probabilities(samples: Samples, *, hear_twice: bool = True) -> Floats:
    """Probability of a voice in each frame.

    Args:
        samples: (n,) int16, 16 kHz mono.
        hear_twice: Whether the network hears all frames once before its answers count.

    Returns:
        (ceil(n / 512),) float32.
    """
    net = _network()
    # The LSTM's input gates do not depend on its memory, so they are computed for all frames at once.
    inputs = _frame_states(samples) @ net.input_weights + net.bias
    memory = hidden = np.zeros(net.hidden_weights.shape[0], np.float32)
    heard = []
    for gates in [*inputs, *inputs] if hear_twice else inputs:
        # The order of the gates in ONNX: input, output, forget, cell.
        let_in, let_out, keep, new = np.split(gates + hidden @ net.hidden_weights, 4)
        memory = _sigmoid(keep) * memory + _sigmoid(let_in) * np.tanh(new)
        hidden = _sigmoid(let_out) * np.tanh(memory)
        heard.append(hidden)
    return _sigmoid(np.maximum(heard[-len(inputs) :], 0) @ net.output_weights + net.output_bias)


def _frame_states(samples: Samples) -> Floats:
    """(frames, 128) state of each frame, from the magnitudes of its four spectra."""
    count = -(-samples.shape[0] // FRAME_SAMPLES)
    signal = np.zeros(CONTEXT_SAMPLES + count * FRAME_SAMPLES, np.float32)
    signal[CONTEXT_SAMPLES : CONTEXT_SAMPLES + samples.shape[0]] = samples / np.float32(FULL_SCALE)
    frames = _slices(signal, CONTEXT_SAMPLES + FRAME_SAMPLES, FRAME_SAMPLES)
    mirrored = np.concatenate([frames, frames[:, -2 : -2 - CONTEXT_SAMPLES : -1]], axis=1)
    spectra = np.fft.rfft(_slices(mirrored, FFT_SAMPLES, FFT_HOP_SAMPLES) * _hann(), axis=2)
    states: Floats = np.abs(spectra).astype(np.float32)
    for (weights, bias), stride in zip(_network().convolutions, STRIDES, strict=True):
        padded = np.pad(states, ((0, 0), (1, 1), (0, 0)))
        # (frames, times, channels, 3) to rows that hold the channels of three neighbouring times.
        neighbours = np.lib.stride_tricks.sliding_window_view(padded, 3, axis=1)[:, ::stride].swapaxes(2, 3)
        states = np.maximum(neighbours.reshape(*neighbours.shape[:2], -1) @ weights + bias, 0)
    return states[:, 0]


def _slices(signal: Floats, length: int, hop: int) -> Floats:
    """Overlapping slices along the last axis."""
    return np.lib.stride_tricks.sliding_window_view(signal, length, axis=-1)[..., ::hop, :]


def _sigmoid(values: Floats) -> Floats:
    # As a hyperbolic tangent, which cannot overflow.
    sigmoid: Floats = np.float32(0.5) * (np.float32(1) + np.tanh(np.float32(0.5) * values))
    return sigmoid


@functools.cache
def _hann() -> Floats:
    window: Floats = np.hanning(FFT_SAMPLES + 1)[:-1].astype(np.float32)
    return window


class _Network(NamedTuple):
    """The weights: (weights, bias) of each convolution, then the LSTM and the output layer."""

    convolutions: list[tuple[Floats, Floats]]
    input_weights: Floats
    hidden_weights: Floats
    bias: Floats
    output_weights: Floats
    output_bias: Floats


@functools.cache
def _network() -> _Network:
    stored = load((files("stream.media") / "silero_vad.safetensors").read_bytes())
    weights = {name: values.astype(np.float32) for name, values in stored.items()}
    convolutions = [(weights[f"convolution_{number}"], weights[f"convolution_{number}_bias"]) for number in range(len(STRIDES))]
    return _Network(convolutions, *(weights[name] for name in _Network._fields[1:]))
