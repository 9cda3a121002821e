"""The embedded Triton changes no bit of a tensor of any type and shape, with the installed version of numpy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from stream.local.errors import LocalStackError
from stream.local.triton import TritonServer
from stream.serving.client import TritonClient

Array = npt.NDArray[Any]

TYPES: dict[str, npt.DTypeLike] = {
    "FP32": np.float32,
    "FP64": np.float64,
    "FP16": np.float16,
    "INT64": np.int64,
    "INT32": np.int32,
    "INT16": np.int16,
    "INT8": np.int8,
    "UINT64": np.uint64,
    "UINT32": np.uint32,
    "UINT16": np.uint16,
    "UINT8": np.uint8,
    "BOOL": np.bool_,
}
SHAPES = [(1, 1, 1), (1, 3, 5), (7, 4, 1), (32, 13, 11), (3, 300, 257), (1, 0, 5), (2, 3, 0)]

CONFIG = """
name: "{name}"
backend: "onnxruntime"
max_batch_size: 64
input [ {{ name: "x", data_type: TYPE_{kind}, dims: [ -1, -1 ] }} ]
output [
  {{ name: "same", data_type: TYPE_{kind}, dims: [ -1, -1 ] }},
  {{ name: "transposed", data_type: TYPE_{kind}, dims: [ -1, -1 ] }}
]
instance_group [ {{ kind: KIND_CPU, count: 1 }} ]
dynamic_batching {{ max_queue_delay_microseconds: 5000 }}
"""


def write_model(repository: Path, kind: str) -> None:
    """Write a model that returns its input unchanged, and with the last two axes swapped."""
    element = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(TYPES[kind]))
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["same"]), onnx.helper.make_node("Transpose", ["x"], ["transposed"], perm=[0, 2, 1])],
        "transport",
        [onnx.helper.make_tensor_value_info("x", element, ["b", "m", "n"])],
        [
            onnx.helper.make_tensor_value_info("same", element, ["b", "m", "n"]),
            onnx.helper.make_tensor_value_info("transposed", element, ["b", "n", "m"]),
        ],
    )
    directory = repository / kind.lower()
    (directory / "1").mkdir(parents=True)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(directory / "1" / "model.onnx"))
    (directory / "config.pbtxt").write_text(CONFIG.format(name=kind.lower(), kind=kind))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """A Triton with one model for each type."""
    repository = tmp_path_factory.mktemp("models")
    for kind in TYPES:
        write_model(repository, kind)
    triton = TritonServer(repository, tmp_path_factory.mktemp("triton"))
    asyncio.run(triton.start())
    yield triton
    asyncio.run(triton.stop())


@pytest.fixture
async def client(server: TritonServer) -> AsyncIterator[TritonClient]:
    client = TritonClient(server.grpc_url, 30.0)
    yield client
    await client.close()


def random_bits(kind: str, shape: tuple[int, ...], seed: int) -> Array:
    """A tensor of random bits. It contains all kinds of values: negative zeros, denormal numbers, NaNs with payloads."""
    size = np.dtype(TYPES[kind]).itemsize * int(np.prod(shape))
    raw = np.random.default_rng(seed).integers(0, 2 if kind == "BOOL" else 256, size, dtype=np.uint8)
    return raw.view(TYPES[kind]).reshape(shape)


async def keeps_bits(client: TritonClient, kind: str, sent: Array) -> bool:
    answer, _ = await client.infer(kind.lower(), {"x": sent}, ("same", "transposed"))
    expected = {"same": sent, "transposed": sent.transpose(0, 2, 1)}
    return all(
        answer[name].dtype == array.dtype and answer[name].shape == array.shape and answer[name].tobytes() == array.tobytes()
        for name, array in expected.items()
    )


async def test_a_request_gets_the_outputs_that_it_asks_for_whatever_its_batch(client: TritonClient) -> None:
    sent = random_bits("INT32", (1, 3, 5), 0)
    wanted = [("same",), ("transposed",), ("same", "transposed"), ("same",)] * 5
    answers = await asyncio.gather(*(client.infer("int32", {"x": sent}, names) for names in wanted))
    for names, (answer, _) in zip(wanted, answers, strict=True):
        assert set(answer) == set(names)
        for name in names:
            np.testing.assert_array_equal(answer[name], sent if name == "same" else sent.transpose(0, 2, 1))


@pytest.mark.parametrize("kind", TYPES)
async def test_no_bit_of_a_tensor_changes(client: TritonClient, kind: str) -> None:
    changed = [shape for seed, shape in enumerate(SHAPES) if not await keeps_bits(client, kind, random_bits(kind, shape, seed))]
    assert changed == []


@pytest.mark.parametrize("kind", TYPES)
async def test_requests_of_one_batch_keep_their_own_bits(client: TritonClient, kind: str) -> None:
    _, before = await client.counts(kind.lower())
    rows = [random_bits(kind, (1 + seed % 4, 6, 7), seed) for seed in range(40)]
    assert all(await asyncio.gather(*(keeps_bits(client, kind, sent) for sent in rows)))
    _, after = await client.counts(kind.lower())
    assert after - before < 40


async def test_a_model_does_not_load_if_the_conversion_would_change_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the conversion through DLPack by Triton's own conversion, which suits only numpy 1, while numpy 2 is installed."""
    if np.lib.NumpyVersion(np.__version__) < "2.0.0":
        pytest.skip("Triton's own conversion suits numpy 1")
    write_model(tmp_path / "models", "FP32")
    triton = TritonServer(tmp_path / "models", tmp_path)
    from stream.local import triton as module  # noqa: PLC0415

    backends = tmp_path / "backends-of-the-test" / "onnxruntime"
    backends.mkdir(parents=True)
    text = (module.BACKENDS / "onnxruntime" / "model.py").read_text()
    through_dlpack = 'np.require(np.from_dlpack(tensor), requirements="A")'
    assert through_dlpack in text
    (backends / "model.py").write_text(text.replace(through_dlpack, "tensor.as_numpy()"))
    monkeypatch.setattr(module, "BACKENDS", backends.parent)
    with pytest.raises(LocalStackError):
        await triton.start()
    assert "do not exchange float32 tensors" in (tmp_path / "triton.log").read_text()
