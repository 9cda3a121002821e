"""The tests on every supported Python of this machine: `make test-matrix`, or `nox` in an environment that has it.

PyTorch is left out: its builds on the package index bring gigabytes of CUDA libraries. Tests that need it are skipped here, visibly;
`make test` runs them.
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
    """Paths where a Python may be: on the PATH, or among pyenv's versions, which need not be on the PATH."""
    found = shutil.which(f"python{version}")
    if found:
        yield found
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    yield from map(str, sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True))


def interpreter(version: str) -> str | None:
    """The first Python that runs and has this version: a pyenv shim may exist without its Python."""
    for path in candidates(version):
        asked = subprocess.run(
            [path, "-c", "import sys; print(*sys.version_info[:2], sep='.')"], capture_output=True, text=True, check=False
        )
        if asked.stdout.strip() == version:
            return path
    return None


found = {version: path for version in PYTHONS if (path := interpreter(version))}


@nox.session
@nox.parametrize("python", [nox.param(path, id=version) for version, path in found.items()])
def tests(session: nox.Session) -> None:
    """Unit, property and integration tests; arguments go to pytest."""
    session.install("--editable", ".[local,asr,test]")
    session.run("pytest", *(session.posargs or TESTS))


@nox.session(python=next(iter(found.values()), None))
def oldest_numpy(session: nox.Session) -> None:
    """Tests that depend on numpy's version, with the oldest supported one: tensors through the embedded Triton."""
    session.install("--editable", ".[local,test]", f"numpy=={OLDEST_NUMPY}")
    session.run("pytest", "tests/integration/test_tensor_transport.py", "tests/integration/test_triton.py")
