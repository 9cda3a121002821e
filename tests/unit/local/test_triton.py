"""The embedded Triton is assembled from its wheel."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stream.local import triton as triton_module
from stream.local.errors import LocalStackError
from stream.local.triton import TritonServer, build_backends, bundled_libraries


def test_a_missing_libpython_is_reported_with_its_remedies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_module, "python_library", lambda: None)
    monkeypatch.setattr(triton_module, "STUBS_WITH_A_PYTHON_LIBRARY", frozenset())
    with pytest.raises(LocalStackError, match=r"apt install libpython3\.1\d\), use a Python that has it"):
        TritonServer(tmp_path, tmp_path)


def test_a_python_without_a_library_suffices_where_triton_includes_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_module, "python_library", lambda: None)
    monkeypatch.setattr(triton_module, "STUBS_WITH_A_PYTHON_LIBRARY", frozenset({triton_module.STUB_VERSION}))
    TritonServer(tmp_path, tmp_path)


def test_backends_can_be_built_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install = tmp_path / "wheel" / "pytriton" / "tritonserver"
    stub = f"python_backend_stubs/{triton_module.STUB_VERSION}/triton_python_backend_stub"
    bundled = bundled_libraries(install) / f"libpython3-0123abcd.{sys.version_info.minor}.so.1.0"
    library = tmp_path / "libpython.so"
    monkeypatch.setattr(triton_module, "python_library", lambda: library)
    with pytest.raises(LocalStackError, match=r"does not support Python 3\.1\d"):
        build_backends(install, tmp_path / "backends")
    for path in (
        install / "backends/python/libtriton_python.so",
        install / "backends/python/triton_python_backend_utils.py",
        install / stub,
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    bundled.parent.mkdir()
    bundled.touch()
    for _ in range(2):
        build_backends(install, tmp_path / "backends")
    python = tmp_path / "backends" / "python"
    assert not (python / "libtriton_python.so").is_symlink()
    assert not (python / "triton_python_backend_stub").is_symlink()
    assert (python / bundled.name).readlink() == library
    assert "class TritonPythonModel" in (tmp_path / "backends" / "onnxruntime" / "model.py").read_text()
