from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from stream.config.settings import Settings
from stream.model_repository.audio_weights import PROJECTION
from stream.model_repository.errors import ModelRepositoryError
from stream.model_repository.files import sha256_of
from stream.model_repository.model_config import config_with_versions, read_config
from stream.model_repository.repository import check_models
from stream.model_repository.served_models import AUDIO_ENCODER, MMCI
from stream.model_repository.version_files import (
    add_version,
    gates_problem,
    load_at_start,
    load_encoders_at_start,
    loaded_versions,
    own_encoders,
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """``mmci`` with the configurations of this release and made-up files of two versions."""
    source, directory = Settings().triton.model_repository / MMCI, tmp_path / MMCI
    for name in ("config.pbtxt", "configs/cpu.pbtxt"):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes((source / name).read_bytes())
    for version in ("1", "2"):
        (directory / version).mkdir()
        (directory / version / "model.onnx").write_bytes(version.encode())
    return directory


@pytest.mark.parametrize("versions", [("1", "2"), ("2",), ("1",)])
def test_both_configurations_name_the_versions_and_their_digests(directory: Path, versions: tuple[str, ...]) -> None:
    load_at_start(directory, ("1", "2"))
    load_at_start(directory, tuple(reversed(versions)))
    for name in ("config.pbtxt", "configs/cpu.pbtxt"):
        config = read_config(directory / name, [])
        assert config is not None
        assert config.versions == versions
        assert config.digests == {version: sha256_of(directory / version / "model.onnx")[:12] for version in versions}
    assert loaded_versions(directory) == versions


def test_the_committed_configurations_are_those_of_version_one(directory: Path) -> None:
    (directory / "1" / "model.onnx").write_bytes((Settings().triton.model_repository / MMCI / "1" / "model.onnx").read_bytes())
    before = (directory / "config.pbtxt").read_bytes()
    load_at_start(directory, ("1",))
    assert (directory / "config.pbtxt").read_bytes() == before


def test_a_version_without_a_file_changes_no_configuration(directory: Path) -> None:
    before = (directory / "config.pbtxt").read_bytes()
    with pytest.raises(ModelRepositoryError, match=r"3/model\.onnx: No such file"):
        load_at_start(directory, ("1", "3"))
    assert (directory / "config.pbtxt").read_bytes() == before


def test_a_load_request_has_the_served_configuration_with_other_versions(directory: Path) -> None:
    config = model_config_pb2.ModelConfig()
    text_format.Parse((directory / "config.pbtxt").read_text(), config)
    sent = json.loads(config_with_versions(config, {"1": "a" * 12, "2": "b" * 12}, {"2": "2", "3": "3"}))
    assert sent["version_policy"] == {"specific": {"versions": ["1", "2"]}}
    named = {"digest": "a" * 12, "digest.2": "b" * 12, "audio_encoder.2": "2"}
    assert sent["parameters"] == {key: {"string_value": value} for key, value in named.items()}
    assert "parameters" not in json.loads(config_with_versions(config, {"1": ""}, {}))
    assert len(sent["input"]) == len(config.input)


def test_a_new_version_gets_the_next_number_and_appears_whole(directory: Path, tmp_path: Path) -> None:
    source = tmp_path / "trained"
    source.mkdir()
    (source / "model.onnx").write_bytes(b"new")
    assert add_version(directory, source) == "3"
    assert sorted(entry.name for entry in directory.iterdir()) == ["1", "2", "3", "config.pbtxt", "configs"]
    with pytest.raises(ModelRepositoryError, match="version 4 of mmci cannot be written"):
        add_version(directory, tmp_path / "nowhere")


def test_every_version_is_checked(directory: Path) -> None:
    load_at_start(directory, ("1", "2"))
    (directory / "2" / "model.onnx").unlink()
    reports = {report.version: report.problems for report in check_models(directory.parent) if report.name == MMCI}
    assert reports.keys() == {"1", "2"}
    assert any("cannot be loaded" in problem for problem in reports["1"])
    assert any("2/model.onnx is missing" in problem for problem in reports["2"])


@pytest.mark.parametrize(
    ("card", "problem"),
    [
        ('{"gates": {"clean": {"passed": true}, "battery": {"passed": true}}}', None),
        ('{"gates": {"clean": {"passed": true}, "battery": {"passed": false}}}', "has not passed its gates: battery"),
        ('{"gates": {"clean": {"passed": "yes"}}}', "has not passed its gates: clean"),
        ('{"gates": {}}', "has not passed its gates: there are none"),
        ('{"gates": [1]}', "has no card.json with gates"),
        ('{"other": 1}', "has no card.json with gates"),
        ("no json", "has no card.json with gates"),
        (None, "has no card.json with gates"),
    ],
)
def test_a_version_needs_gates_that_it_has_passed(directory: Path, card: str | None, problem: str | None) -> None:
    if card is not None:
        (directory / "2" / "card.json").write_text(card)
    found = gates_problem(directory / "2")
    assert found == (None if problem is None else f"version 2 {problem}")
    assert gates_problem(directory / "1") is None


def test_a_version_with_a_projection_has_an_audio_encoder_of_its_own(directory: Path) -> None:
    assert own_encoders(directory, ("1", "2")) == {}
    for version in ("1", "2"):
        (directory / version / PROJECTION).write_bytes(b"revised")
    assert own_encoders(directory, ("1", "2")) == {"2": "2"}, "that of version 1 is the release's"
    load_at_start(directory, ("1", "2"))
    for name in ("config.pbtxt", "configs/cpu.pbtxt"):
        config = read_config(directory / name, [])
        assert config is not None
        assert config.audio_encoders == {"2": "2"}
        assert config.digests.keys() == {"1", "2"}
    load_at_start(directory, ("1",))
    config = read_config(directory / "config.pbtxt", [])
    assert config is not None
    assert config.audio_encoders == {}


def test_encoders_are_named_without_digests(directory: Path) -> None:
    source, encoders = Settings().triton.model_repository / AUDIO_ENCODER, directory.parent / AUDIO_ENCODER
    shutil.copytree(source, encoders)
    before = (encoders / "config.pbtxt").read_bytes()
    load_encoders_at_start(encoders, ("1", "3"))
    config = read_config(encoders / "configs/cpu.pbtxt", [])
    assert config is not None
    assert (config.versions, config.digests) == (("1", "3"), {})
    load_encoders_at_start(encoders, ("1",))
    assert (encoders / "config.pbtxt").read_bytes() == before, "the committed configuration"
