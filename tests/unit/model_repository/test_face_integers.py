"""The face encoder's products in 8 bits: near those in float32, the same in every batch, and in the place of its large convolutions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from stream.config.project import PROJECT_ROOT
from stream.domain.features import Floats
from stream.domain.media_format import FACE_SIZE
from stream.model.encoders import ServedFaceEncoder
from stream.model_repository.face_integers import CHANNELS, LARGEST_WEIGHT, rounded_maps, with_integer_convolutions
from stream.model_repository.files import MODEL_FILE, VERSION
from stream.model_repository.served_models import FACE_ENCODER, IR_VERSION, OPSET
from stream.training.export import FACE_ENTRY, export_encoder, served_face
from stream.training.face_ranges import measured_ranges, natural_noise
from stream.training.inference import session

REPOSITORY = PROJECT_ROOT / "triton_models"
SERVED = REPOSITORY / FACE_ENCODER / VERSION / MODEL_FILE
OUTPUTS = [name for name, _ in FACE_ENTRY.outputs]


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_encoder(ServedFaceEncoder(served_face(REPOSITORY).encoder), FACE_ENTRY, tmp_path_factory.mktemp("float32"))


def _run(model: Path | bytes, faces: Floats) -> list[Floats]:
    return [np.asarray(values) for values in session(model).run(OUTPUTS, {"face": faces})]


def test_a_convolution_is_that_of_rounded_maps_and_weights() -> None:
    chance = np.random.default_rng(0)
    weight = chance.normal(size=(4, CHANNELS, 3, 3)).astype(np.float32)
    maps = chance.uniform(-1, 3, (2, CHANNELS, 6, 6)).astype(np.float32)
    constants = [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(np.zeros(4, np.float32), "bias")]
    nodes = [
        helper.make_node("Relu", ["given"], ["maps"], "relu"),
        helper.make_node("Conv", ["maps", "weight", "bias"], ["sums"], "conv", pads=[1] * 4),
        helper.make_node("Relu", ["sums"], ["after"], "relu_after"),
        helper.make_node("Identity", ["after"], ["found"], "identity"),
    ]
    given = helper.make_tensor_value_info("given", TensorProto.FLOAT, ["n", CHANNELS, 6, 6])
    found = helper.make_tensor_value_info("found", TensorProto.FLOAT, ["n", 4, 6, 6])
    graph = helper.make_graph(nodes, "one", [given], [found], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    assert rounded_maps(model) == ["maps", "after"]
    rounded = with_integer_convolutions(model, {"maps": (0.0, 2.55), "after": (0.0, 25.5)})
    scales = np.abs(weight).max(axis=(1, 2, 3), keepdims=True) / LARGEST_WEIGHT
    constants[0].CopyFrom(numpy_helper.from_array(np.rint(weight / scales) * scales, "weight"))
    model.graph.initializer[0].CopyFrom(constants[0])
    # Numbers outside of the range are clipped.
    by_hand = session(model.SerializeToString()).run(None, {"given": np.rint(np.clip(maps, 0, 2.55) * 100) / np.float32(100)})[0]
    answer = session(rounded.SerializeToString()).run(None, {"given": maps})[0]
    assert np.abs(answer - np.clip(by_hand, 0, 25.5)).max() < 0.051
    assert np.allclose(answer, np.rint(answer * 10) / 10, atol=1e-5)


def test_the_served_encoder_is_that_of_its_weights_in_8_bits(exact: Path) -> None:
    model = onnx.load(exact)
    faces = natural_noise(40)[32:]
    again = with_integer_convolutions(model, measured_ranges(model)).SerializeToString()
    for own, served in zip(_run(again, faces), _run(SERVED, faces), strict=True):
        assert np.allclose(own, served, atol=0.05)
    (embeddings, _, cells), (in_float, _, _) = _run(SERVED, faces), _run(exact, faces)
    assert np.abs(embeddings - in_float).mean() < 0.02
    assert np.allclose(cells.astype(np.float32).mean(axis=1), embeddings, atol=2e-3), "the embedding is the mean of the cells"


def test_six_convolutions_take_integers() -> None:
    model = onnx.load(SERVED)
    weights = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer if tensor.data_type == TensorProto.INT8}
    assert [shape[0] for shape in weights.values()] == [32, 32, 64, 64, 128, 128]
    assert SERVED.stat().st_size < 600_000


def test_an_answer_does_not_depend_on_what_shares_its_batch() -> None:
    faces = np.concatenate([natural_noise(6), 3 * natural_noise(3), np.zeros((1, 1, FACE_SIZE, FACE_SIZE), np.float32)])
    together = _run(SERVED, faces)
    for row in range(len(faces)):
        for alone, all_of_them in zip(_run(SERVED, faces[row : row + 1]), together, strict=True):
            assert alone[0].tobytes() == all_of_them[row].tobytes()
