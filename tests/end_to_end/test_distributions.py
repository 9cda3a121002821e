"""The wheel and the source distribution, installed into an empty environment, as somebody has them who never saw the repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from stream.model_repository.served_models import BUILT

ROOT = Path(__file__).parents[2]
BUILT_FILES = {f"triton_models/{model}/1/model.onnx" for model in BUILT}
"""Built where they are needed."""

pytestmark = pytest.mark.timeout(420)


def run(*command: str | Path, at: Path) -> str:
    """Standard output of a command that must succeed, without this environment's variables for Python."""
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run([*map(str, command)], cwd=at, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the source distribution, and the wheel that was built from it."""
    directory = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", directory, ROOT, at=directory)
    return directory


def the_one(directory: Path, pattern: str) -> Path:
    (path,) = directory.glob(pattern)
    return path


def test_the_wheel_has_what_the_demo_needs_and_no_more(built: Path) -> None:
    names = set(zipfile.ZipFile(the_one(built, "*.whl")).namelist())
    assert names >= {
        "stream/py.typed",
        "stream/produce/sample/LICENSES.md",
        "stream/encoders/minilm_tokenizer/tokenizer.json",
        "stream/local/backends/onnxruntime/model.py",
        "stream/rules/files/call-center.yaml",
        "stream/rules/files/broadcast.yaml",
        "stream/gateway/pages/index.html",
        "stream/gateway/pages/vendor/preact.js",
        "stream/gateway/pages/vendor/preact.LICENSE",
        "stream/gateway/pages/vendor/uplot.css",
        "triton_models/mmci/1/model.onnx",
        "triton_models/text_encoder/config.pbtxt",
        "triton_models/text_encoder/configs/cpu.pbtxt",
        "triton_models/text_encoder/adapter.safetensors",
        "triton_models/audio_encoder/projection.safetensors",
    }
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"stream", "triton_models"}
    assert not names & BUILT_FILES
    assert any(name.endswith(".dist-info/licenses/NOTICE") for name in names)


def test_the_source_distribution_has_the_tests(built: Path) -> None:
    with tarfile.open(the_one(built, "*.tar.gz")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= {"pyproject.toml", "Makefile", "noxfile.py", "README.md", "LICENSE", "tests/conftest.py", "configs/default.yaml"}
    assert not names & BUILT_FILES


def test_doctor_and_demo_run_from_an_empty_environment(built: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / "bin"
    run(programs / "python", "-m", "pip", "install", "--quiet", f"{the_one(built, '*.whl')}[local]", at=tmp_path)
    run(programs / "python", "-m", "pip", "check", at=tmp_path)
    findings = [json.loads(line) for line in run(programs / "sentistream", "doctor", "--json", at=tmp_path).splitlines()]
    assert [finding for finding in findings if finding["status"] == "missing"] == []
    printed = [json.loads(line) for line in run(programs / "sentistream", "demo", "--speed", "max", "--json", at=tmp_path).splitlines()]
    scores = [line for line in printed if line["event"] == "score"]
    assert len(scores) == printed[-1]["windows"] > 30
    assert {modality for line in scores for modality in line["modalities_present"]} == {"text", "audio", "video"}
    checked = run(programs / "python", "-c", "from stream.rules.shipped import *; print(shipped_rules(CALL_CENTER))", at=tmp_path)
    assert "no mistakes" in run(programs / "sentistream", "rules", "check", checked.strip(), at=tmp_path)
