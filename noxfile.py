"""Runs the tests on every supported Python of this machine: `make test-matrix`, or `nox` where it is installed.

PyTorch is not installed, because its builds on the package index bring gigabytes of CUDA libraries. The tests that need it are reported as
skipped here; `make test` runs them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nox

PYTHONS = ("3.11", "3.12", "3.13")
OLDEST_NUMPY = "1.26.4"
TESTS = ("tests/unit", "tests/property", "tests/integration")

nox.options.sessions = ["tests", "oldest_numpy"]
nox.options.reuse_venv = "yes"
nox.needs_version = ">=2024.4"


def candidates(version: str) -> Iterator[str]:
    """Possible paths of a Python: on the PATH, or among pyenv's versions, which need not be on the PATH."""
    on_path = shutil.which(f"python{version}")
    if on_path:
        yield on_path
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    yield from map(str, sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True))


def interpreter(version: str) -> str | None:
    """Path of the first Python that starts and has this version. A pyenv shim exists even if its Python does not, so each is tried."""
    for path in candidates(version):
        completed = subprocess.run(
            [path, "-c", "import sys; print(*sys.version_info[:2], sep='.')"], capture_output=True, text=True, check=False
        )
        if completed.stdout.strip() == version:
            return path
    return None


interpreters = {version: path for version in PYTHONS if (path := interpreter(version))}


@nox.session
@nox.parametrize("python", [nox.param(path, id=version) for version, path in interpreters.items()])
def tests(session: nox.Session) -> None:
    """Run the unit, property and integration tests. Arguments are passed to pytest."""
    session.install("--editable", ".[local,asr,test,docs]")
    session.run("pytest", *(session.posargs or TESTS))


@nox.session(python=next(iter(interpreters.values()), None))
def oldest_numpy(session: nox.Session) -> None:
    """Run the tests that depend on numpy's version (tensors through the embedded Triton) with the oldest supported numpy."""
    session.install("--editable", ".[local,test]", f"numpy=={OLDEST_NUMPY}")
    session.run("pytest", "tests/integration/test_tensor_transport.py", "tests/integration/test_triton.py")
