"""Silero VAD 6, a small recurrent network that tells a voice from noise and music.

Its packages bring onnxruntime or torch into every worker, or need 70 ms for a second of sound. So its forward pass stands here, in numpy:
1 ms. The weights are those of ``silero_vad_v6.onnx`` in faster-whisper 1.2.1 as 16-bit floats (MIT License, see NOTICE).
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

_HALF = np.float32(0.5)


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
    heard = _remembered(np.concatenate([inputs, inputs]) if hear_twice else inputs, net.hidden_weights)
    return _sigmoid(np.maximum(heard[-len(inputs) :], 0) @ net.output_weights + net.output_bias)


def _remembered(inputs: Floats, hidden_weights: Floats) -> Floats:
    """(steps, 128) hidden state of the LSTM after each step, from its input gates (steps, 512).

    The arrays of a step are small: calls cost more than arithmetic. So each step reuses them, and takes as few calls as it can.
    """
    width = hidden_weights.shape[0]
    states = np.empty((len(inputs), width), np.float32)
    # Side by side: how much goes out, how much of the new and of the memory stays, the new, and the memory.
    work = np.zeros(5 * width, np.float32)
    gates, sigmoids, let_out = work[: 4 * width], work[: 3 * width], work[:width]
    stay, new_and_memory, memory = work[width : 3 * width], work[3 * width :], work[4 * width :]
    kept = np.empty(2 * width, np.float32)
    of_new, of_memory = kept[:width], kept[width:]
    hidden = np.zeros(width, np.float32)
    for given, state in zip(inputs, states, strict=True):
        np.dot(hidden, hidden_weights, gates)
        np.add(gates, given, gates)
        np.tanh(gates, gates)
        # The weights of these gates are halved: half of one plus the hyperbolic tangent is then the sigmoid.
        np.multiply(sigmoids, _HALF, sigmoids)
        np.add(sigmoids, _HALF, sigmoids)
        np.multiply(new_and_memory, stay, kept)
        np.add(of_memory, of_new, memory)
        np.tanh(memory, state)
        np.multiply(state, let_out, state)
        hidden = state
    return states


def _frame_states(samples: Samples) -> Floats:
    """(frames, 128) state of each frame, from the magnitudes of its four spectra."""
    count = -(-samples.shape[0] // FRAME_SAMPLES)
    signal = np.zeros(CONTEXT_SAMPLES + count * FRAME_SAMPLES, np.float32)
    np.divide(samples, np.float32(FULL_SCALE), signal[CONTEXT_SAMPLES : CONTEXT_SAMPLES + samples.shape[0]])
    frames = _slices(signal, CONTEXT_SAMPLES + FRAME_SAMPLES, FRAME_SAMPLES)
    mirrored = np.concatenate([frames, frames[:, -2 : -2 - CONTEXT_SAMPLES : -1]], axis=1)
    spectra = np.fft.rfft(_slices(mirrored, FFT_SAMPLES, FFT_HOP_SAMPLES) * _hann(), axis=2)
    net = _network()
    # A time before the first and one after the last, for the convolutions.
    states = np.zeros((count, spectra.shape[1] + 2, spectra.shape[2]), np.float32)
    # `np.abs` guards against overflow, and takes five times as long.
    np.sqrt(spectra.real**2 + spectra.imag**2, states[:, 1:-1])
    for (weights, bias), stride in zip(net.convolutions, STRIDES, strict=True):
        # (frames, times, 3 * channels): rows that hold the channels of three neighbouring times, one after the other.
        neighbours = _slices(states.reshape(count, -1), len(weights), stride * states.shape[2])
        sums = neighbours.reshape(-1, len(weights)) @ weights
        sums += bias
        states = np.zeros((count, neighbours.shape[1] + 2, len(bias)), np.float32)
        np.maximum(sums.reshape(count, -1, len(bias)), 0, states[:, 1:-1])
    return states[:, 1]


def _slices(signal: Floats, length: int, hop: int) -> Floats:
    """Overlapping slices along the last axis, as a view."""
    *others, step = signal.strides
    count = (signal.shape[-1] - length) // hop + 1
    return np.lib.stride_tricks.as_strided(signal, (*signal.shape[:-1], count, length), (*others, hop * step, step), writeable=False)


def _sigmoid(values: Floats) -> Floats:
    # As a hyperbolic tangent, which cannot overflow.
    sigmoid: Floats = _HALF + _HALF * np.tanh(_HALF * values)
    return sigmoid


@functools.cache
def _hann() -> Floats:
    window: Floats = np.hanning(FFT_SAMPLES + 1)[:-1].astype(np.float32)
    return window


class _Network(NamedTuple):
    """The weights: (weights, bias) of each convolution, then the LSTM and the output layer.

    Those of the LSTM's gates that end in a sigmoid are halved, see `_remembered`.
    """

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
    for name in ("input_weights", "hidden_weights", "bias"):
        gates = weights[name].shape[-1]
        weights[name][..., : 3 * gates // 4] *= _HALF
        # ONNX has them as input, output, forget and cell; `_remembered` wants the output first.
        weights[name] = np.concatenate([np.split(weights[name], 4, axis=-1)[gate] for gate in (1, 0, 2, 3)], axis=-1)
    return _Network(convolutions, *(weights[name] for name in _Network._fields[1:]))
