"""Findings about the installation: Python, packages, libraries, model files."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from stream.cli.doctor.finding import Finding, Status

CHECKOUT = Path(__file__).resolve().parents[3]
DISTRIBUTION = "sentistream"
OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)
EXTRAS = {
    "local": "the embedded services of `demo` and `up`",
    "asr": "speech recognition for recordings without a transcript",
    "train": "training and export of the models",
}


def check_packages() -> Iterator[Finding]:
    """Yield findings about Python, packages and libraries.

    Needs the standard library and `packaging` only, so that it works where other packages are missing.
    """
    yield _python()
    for requirement in _requirements(""):
        yield _package(requirement, Status.MISSING, "run make install in a checkout, or: pip install sentistream")
    for extra, purpose in EXTRAS.items():
        yield from _extra(extra, purpose)
    yield _embedded_triton()
    yield _libpython()
    yield _apache_kafka()


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    good = OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON
    fix = "" if good else "make a virtual environment with Python 3.11, 3.12 or 3.13"
    return Finding("python", Status.OK if good else Status.MISSING, version, "3.11 to 3.13", fix)


def _requirements(extra: str) -> list[Requirement]:
    """Return the requirements of an extra, or, for ``""``, those that are always needed.

    They come from the installed distribution, else from the checkout's pyproject.toml.
    """
    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return _checkout_requirements(extra)
    found = [Requirement(line) for line in lines]
    if not extra:
        return [r for r in found if r.marker is None or r.marker.evaluate({"extra": ""})]
    return [r for r in found if r.marker is not None and r.marker.evaluate({"extra": extra}) and not r.marker.evaluate({"extra": ""})]


def _checkout_requirements(extra: str) -> list[Requirement]:
    try:
        project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    except OSError:
        return []
    lines = project["optional-dependencies"].get(extra, []) if extra else project["dependencies"]
    return [Requirement(line) for line in lines]


def _package(requirement: Requirement, severity: Status, fix: str) -> Finding:
    name, wanted = requirement.name, str(requirement.specifier)
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(name, severity, "not installed", wanted, fix)
    if not requirement.specifier.contains(found, prereleases=True):
        return Finding(name, severity, found, wanted, fix)
    return Finding(name, Status.OK, found, wanted)


def _extra(extra: str, purpose: str) -> Iterator[Finding]:
    for requirement in _requirements(extra):
        finding = _package(requirement, Status.WARNING, f"for {purpose}: pip install 'sentistream[{extra}]'")
        yield Finding(f"{finding.name} [{extra}]", finding.status, finding.found, finding.wanted, finding.fix)


def _embedded_triton() -> Finding:
    from stream.local.errors import LocalStackError  # noqa: PLC0415 - after the packages were checked
    from stream.local.triton_files import TRITON_VERSION, WHEEL_MB, server_directory, server_is_present  # noqa: PLC0415

    try:
        if server_is_present():
            return Finding("embedded Triton", Status.OK, f"in {server_directory()}", TRITON_VERSION)
    except LocalStackError as error:
        return Finding("embedded Triton", Status.WARNING, str(error), TRITON_VERSION)
    fix = f"nothing to do: `demo` and `up` fetch it, {WHEEL_MB} MB, the first time"
    return Finding("embedded Triton", Status.WARNING, "not fetched yet", TRITON_VERSION, fix)


def _libpython() -> Finding:
    # Imported late: the module needs packages that are checked before.
    from stream.local.triton import LIBRARY_ADVICE, STUB_VERSION, STUBS_WITH_A_PYTHON_LIBRARY, python_library  # noqa: PLC0415

    wanted = f"libpython{STUB_VERSION}.so.1.0"
    library = python_library()
    if library is not None:
        return Finding("libpython", Status.OK, str(library), wanted)
    if STUB_VERSION in STUBS_WITH_A_PYTHON_LIBRARY:
        return Finding("libpython", Status.OK, "the embedded Triton's", wanted)
    return Finding("libpython", Status.WARNING, "not found", wanted, f"the embedded Triton needs it; {LIBRARY_ADVICE}")


def _apache_kafka() -> Finding:
    home = os.environ.get("SENTISTREAM_KAFKA_HOME")
    java = shutil.which("java")
    jars = list(Path(home).glob("libs/kafka_*.jar")) if home else []
    version = re.search(r"kafka_[\d.]+-([\d.]+)\.jar", jars[0].name) if jars else None
    found = f"Apache Kafka {version[1]}" if version else "SENTISTREAM_KAFKA_HOME is not set" if not home else "no libs/kafka_*.jar in it"
    if version and java:
        return Finding("Apache Kafka for tests", Status.OK, found, "optional")
    fix = "needed only for tests on Apache Kafka: unpack a release, set SENTISTREAM_KAFKA_HOME to its folder, and put Java 17 on the PATH"
    return Finding("Apache Kafka for tests", Status.WARNING, found if java else f"{found}; no java", "optional", fix)


def check_model_files(repository: Path) -> Iterator[Finding]:
    """Yield findings about the model repository."""
    from stream.model_repository.errors import ModelRepositoryError  # noqa: PLC0415 - it needs packages that are checked before
    from stream.model_repository.repository import check_models  # noqa: PLC0415

    try:
        reports = check_models(repository)
    except ModelRepositoryError as error:
        yield Finding("model files", Status.WARNING, str(error), fix="correct triton.model_repository")
        return
    for report in reports:
        name = f"model file {report.name}"
        if report.ok:
            yield Finding(name, Status.OK, f"{report.size / 1e6:.1f} MB, sha256 {report.sha256[:12]}")
        else:
            fix = "run sentistream models build, or restore triton_models from git"
            yield Finding(name, Status.WARNING, "; ".join(report.problems), fix=fix)
