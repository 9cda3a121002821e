"""Skips test modules that need an optional package where it is not installed, and names the package in the summary."""

from __future__ import annotations

import importlib.util
from collections.abc import Generator

import pytest

OPTIONAL = frozenset(
    {"captum", "confluent_kafka", "faster_whisper", "onnxscript", "quixstreams", "scipy", "shap", "sklearn", "soundfile", "torch"}
)
"""Packages of the extras ``asr``, ``bench``, ``explain`` and ``train``: some have no build for some Pythons, or a build of gigabytes."""


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Skip a test module that cannot be imported because such a package is missing."""
    report = yield
    package = _missing_package(report)
    if report.failed and package is not None:
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 0, f"Skipped: {package} is not installed")
    return report


def _missing_package(report: pytest.CollectReport) -> str | None:
    """The optional package whose import failed, found among the causes of an error; None for any other error."""
    call = getattr(report, "call", None)  # pytest keeps it there from the collection to the report
    error = call.excinfo.value if call is not None and call.excinfo is not None else None
    while error is not None:
        name = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
        if name in OPTIONAL and importlib.util.find_spec(name) is None:
            return name
        error = error.__cause__
    return None
