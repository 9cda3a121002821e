"""What the doctor says of this machine: Python, packages, libraries, model files."""

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

from stream.cli.doctor_finding import Finding, Status

CHECKOUT = Path(__file__).resolve().parent.parent.parent
DISTRIBUTION = "sentistream"
OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)
EXTRAS = {
    "local": "the embedded stack of `demo` and `up`",
    "asr": "speech to text for clips without a transcript",
    "train": "training and export of the models",
}


def check_packages() -> Iterator[Finding]:
    """Findings about Python, packages and libraries; works with the standard library and `packaging` only."""
    yield _python()
    for requirement in _requirements(""):
        yield _package(requirement, Status.MISSING, "make install, or: pip install sentistream")
    for extra, purpose in EXTRAS.items():
        yield from _extra(extra, purpose)
    yield _embedded_triton()
    yield _libpython()
    yield _apache_kafka()


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    good = OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON
    mend = "" if good else "make a virtual environment with Python 3.11, 3.12 or 3.13"
    return Finding("python", Status.OK if good else Status.MISSING, version, "3.11 to 3.13", mend)


def _requirements(extra: str) -> list[Requirement]:
    """Requirements of the installed distribution, or of the checkout's pyproject.toml; ``extra`` empty = those always needed."""
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


def _package(requirement: Requirement, severity: Status, mend: str) -> Finding:
    name, wanted = requirement.name, str(requirement.specifier)
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(name, severity, "not installed", wanted, mend)
    if not requirement.specifier.contains(found, prereleases=True):
        return Finding(name, severity, found, wanted, mend)
    return Finding(name, Status.OK, found, wanted)


def _extra(extra: str, purpose: str) -> Iterator[Finding]:
    for requirement in _requirements(extra):
        finding = _package(requirement, Status.WARNING, f"for {purpose}: pip install 'sentistream[{extra}]'")
        yield Finding(f"{finding.what} [{extra}]", finding.status, finding.found, finding.wanted, finding.mend)


def _embedded_triton() -> Finding:
    from stream.local.errors import LocalStackError  # noqa: PLC0415 - after the packages were checked
    from stream.local.triton_files import TRITON_VERSION, WHEEL_MB, server_directory, server_is_present  # noqa: PLC0415

    try:
        if server_is_present():
            return Finding("embedded Triton", Status.OK, f"in {server_directory()}", TRITON_VERSION)
    except LocalStackError as error:
        return Finding("embedded Triton", Status.WARNING, str(error), TRITON_VERSION)
    mend = f"nothing to do: `demo` and `up` fetch it, {WHEEL_MB} MB, the first time"
    return Finding("embedded Triton", Status.WARNING, "not fetched yet", TRITON_VERSION, mend)


def _libpython() -> Finding:
    from stream.local.triton import LIBRARY_ADVICE, STUB_VERSION, STUBS_WITH_A_PYTHON_LIBRARY, python_library  # noqa: PLC0415 - likewise

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
    found = f"Apache Kafka {version[1]}" if version else "SENTISTREAM_KAFKA_HOME is not set" if not home else "no libs/kafka_*.jar there"
    if version and java:
        return Finding("Apache Kafka for tests", Status.OK, found, "optional")
    mend = "only for the tests on Apache Kafka: unpack a release, set SENTISTREAM_KAFKA_HOME, and have Java 17 on the PATH"
    return Finding("Apache Kafka for tests", Status.WARNING, found if java else f"{found}; no java", "optional", mend)


def check_model_files(repository: Path) -> Iterator[Finding]:
    """Findings about the model repository."""
    from stream.serving.errors import ModelRepositoryError  # noqa: PLC0415 - after the packages were checked
    from stream.serving.repository import check_models  # noqa: PLC0415

    try:
        reports = check_models(repository)
    except ModelRepositoryError as error:
        yield Finding("model files", Status.WARNING, str(error), mend="correct triton.model_repository")
        return
    for report in reports:
        what = f"model file {report.name}"
        if report.ok:
            yield Finding(what, Status.OK, f"{report.size / 1e6:.1f} MB, sha256 {report.sha256[:12]}")
        else:
            mend = "sentistream models build, or restore triton_models from git"
            yield Finding(what, Status.WARNING, "; ".join(report.problems), mend=mend)
