"""The ranges of the face encoder's maps, for its products in 8 bits."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from stream.domain.features import Floats
from stream.domain.media_format import FACE_SIZE
from stream.model_repository.face_integers import Ranges, rounded_maps
from stream.training.inference import session

PICTURES = 256

ROOM = 1.25
"""Factor of the ranges. Of 0.75, 1, 1.25, 1.5 and 2, it changes scores least on the validation images of FER2013 (by 0.007 in the mean)."""


def measured_ranges(model: onnx.ModelProto) -> Ranges:
    """The ranges of the `rounded_maps` of a face encoder, found in noise with the spectrum of natural pictures.

    No pictures are needed, so the encoder can be exported from its weights alone, and the result follows from them. Whether they fit other
    weights, too, is what ``python -m benchmarks.face_int8`` shows.
    """
    names = rounded_maps(model)
    open_model = onnx.ModelProto()
    open_model.CopyFrom(model)
    given = {output.name for output in model.graph.output}
    open_model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names if name not in given)
    found = session(open_model.SerializeToString()).run(names, {model.graph.input[0].name: natural_noise(PICTURES)})
    # Zero is one of the rounded numbers.
    return {name: (min(0.0, ROOM * float(maps.min())), ROOM * float(maps.max())) for name, maps in zip(names, found, strict=True)}


def natural_noise(count: int) -> Floats:
    """(count, 1, 48, 48) inputs of the face encoder: noise whose amplitudes fall with the frequency, as in pictures of the world."""
    across, down = np.fft.rfftfreq(FACE_SIZE), np.fft.fftfreq(FACE_SIZE)
    frequencies = np.hypot(down[:, None], across)
    frequencies[0, 0] = np.inf
    white = np.random.default_rng(0).standard_normal((count, FACE_SIZE, FACE_SIZE))
    noise = np.fft.irfft2(np.fft.rfft2(white) / frequencies, s=(FACE_SIZE, FACE_SIZE))
    return np.asarray(noise / noise.std(axis=(1, 2), keepdims=True), np.float32)[:, None]
