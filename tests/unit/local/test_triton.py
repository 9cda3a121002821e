"""The embedded Triton is put together from its wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.local import triton as triton_module
from stream.local.errors import LocalStackError
from stream.local.triton import TritonServer, build_backends


def test_a_missing_libpython_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_module, "python_library", lambda: None)
    with pytest.raises(LocalStackError, match=r"apt install libpython3\.11"):
        TritonServer(tmp_path, tmp_path)


def test_backends_are_laid_out_twice_without_complaint(tmp_path: Path) -> None:
    install = tmp_path / "install"
    for name in ("backends/python/libtriton_python.so", "backends/python/triton_python_backend_utils.py"):
        (install / name).parent.mkdir(parents=True, exist_ok=True)
        (install / name).touch()
    for _ in range(2):
        build_backends(install, tmp_path / "backends")
    assert not (tmp_path / "backends" / "python" / "libtriton_python.so").is_symlink()
    assert "class TritonPythonModel" in (tmp_path / "backends" / "onnxruntime" / "model.py").read_text()
