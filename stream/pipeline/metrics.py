"""Counters and gauges of a worker, for its Prometheus endpoint ``/metrics``. They hold numbers and model versions, never names or texts."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from stream.explain.word_effects import Truth


class Metrics:
    """The metrics of one worker, in a registry of their own, so that the workers of one test process do not share them."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        gauge = partial(Gauge, namespace="sentistream", registry=self._registry)
        counter = partial(Counter, namespace="sentistream", registry=self._registry)
        self.open_epochs = gauge("open_epochs", "Open epochs of sessions, by the mmci version they keep.", ["version"])
        self.served_versions = gauge("served_versions", "Versions of mmci that Triton serves, each 1.", ["version"])
        self.windows = counter("windows", "Windows that were scored, by the mmci version that answered.", ["version"])
        self.shadow_windows = counter("shadow_windows", "Windows that the shadow version scored, too.", ["version"])
        self.shadow_difference = counter("shadow_score_difference", "Sum of |shadow score - published score|, in points.", ["version"])
        self.shadow_label_changes = counter("shadow_label_changes", "Windows that the shadow version labels differently.", ["version"])
        self.shadow_failures = counter("shadow_failures", "Windows of the share that the shadow version did not score.", ["version"])
        self.windows_not_kept = counter("windows_not_kept", "Windows that could not be written to explanations.store.")
        self.word_claims = counter(
            "word_claims", "Checked claims on words by outcome: top_right, top_wrong (one a window), sign_right, sign_wrong.", ["outcome"]
        )
        self.word_truth = Truth()

    def count_word_truth(self, found: Truth) -> None:
        """Count the outcome of one checked window."""
        self.word_truth = self.word_truth.plus(found)
        wrong = {"top_wrong": found.windows - found.top_right, "sign_wrong": found.claims - found.signs_right}
        for outcome, count in ({"top_right": found.top_right, "sign_right": found.signs_right} | wrong).items():
            self.word_claims.labels(outcome).inc(count)

    @property
    def windows_scored(self) -> int:
        """Windows that were scored since the start, whichever version answered."""
        return round(sum(sample.value for metric in self.windows.collect() for sample in metric.samples if sample.name.endswith("_total")))

    def show_served(self, versions: Iterable[str]) -> None:
        """Show which versions Triton serves."""
        self.served_versions.clear()
        for version in versions:
            self.served_versions.labels(version).set(1)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
