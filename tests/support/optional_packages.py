"""Tests of what needs an optional package are skipped where that package is not installed, and the summary says which one it is."""

from __future__ import annotations

import importlib.util
from collections.abc import Generator

import pytest

OPTIONAL = frozenset({"confluent_kafka", "faster_whisper", "onnxscript", "quixstreams", "soundfile", "torch"})
"""Of the extras ``asr``, ``bench`` and ``train``: some have no build for some Python, or one of gigabytes."""


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Skip a test module that cannot be imported for want of such a package."""
    report = yield
    package = _missing_package(report)
    if report.failed and package is not None:
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), 0, f"Skipped: {package} is not installed")
    return report


def _missing_package(report: pytest.CollectReport) -> str | None:
    """The optional package that an import did not find, looked for among the causes of an error."""
    call = getattr(report, "call", None)  # pytest keeps it there from the collection to the report
    error = call.excinfo.value if call is not None and call.excinfo is not None else None
    while error is not None:
        name = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
        if name in OPTIONAL and importlib.util.find_spec(name) is None:
            return name
        error = error.__cause__
    return None
