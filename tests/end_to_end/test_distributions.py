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


def test_a_word_is_taken_out_with_a_store_and_the_wheel(built: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    from tests.fakes.stored_windows import fill_store  # noqa: PLC0415 - it imports the models

    fill_store(tmp_path / "windows.db", (("we", "saw", "the", "new", "film"), ("it", "was", "a", "little", "long")) * 30)
    zipfile.ZipFile(the_one(built, "*.whl")).extractall(tmp_path / "wheel")
    command = ["revise", "word perhaps", "--relief", "projection", "--store", str(tmp_path / "windows.db")]
    kept = {name: value for name, value in os.environ.items() if name != "SENTISTREAM_DATA"}
    environment = kept | {"PYTHONPATH": str(tmp_path / "wheel")}
    done = subprocess.run(
        [sys.executable, "-m", "stream.cli", *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert "Version 2 of mmci, revised against word perhaps" in " ".join(done.stdout.split()), done.stdout[-3000:] + done.stderr[-3000:]
    assert (tmp_path / "wheel" / "triton_models" / "mmci" / "2" / "card.json").is_file()
