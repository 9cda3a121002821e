"""Counters, gauges and histograms of a worker, for its Prometheus endpoint ``/metrics``.

Labels are few and known beforehand: modalities, reasons, topics, services, nuisances, versions of the model, alert
rules. Never an id, a name or a text of a session.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache, partial
from importlib import metadata

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import ScoreRecord
from stream.domain.warning_codes import WarningCode
from stream.explain.word_effects import Truth
from stream.pipeline.timings import Step

SECONDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
"""Bounds of delays. A hopping window with the default settings closes half a second after its end, and is published 0.2 s later."""
STEP_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
SKEW_SECONDS = (0.02, 0.045, 0.09, 0.125, 0.185, 0.5, 1.0, 2.0)
"""With the limits of ITU-R BT.1359: sound 45 ms early or 125 ms late is noticed, 90 and 185 ms are no longer accepted."""
MESSAGE_BYTES = (1e3, 4e3, 16e3, 32e3, 64e3, 128e3, 256e3, 512e3, 1e6)


class Metrics:
    """The metrics of one worker, in a registry of their own, so that the workers of one test process do not share them."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        gauge = partial(Gauge, namespace="sentistream", registry=self._registry)
        counter = partial(Counter, namespace="sentistream", registry=self._registry)
        histogram = partial(Histogram, namespace="sentistream", registry=self._registry)
        gauge("build_info", "The release, always 1.", ["version"]).labels(metadata.version("sentistream")).set(1)
        self.received_messages = counter("received_messages", "Records that were read, by topic without its prefix.", ["topic"])
        self.received_bytes = histogram("received_messages_size_bytes", "Size of the values of read records.", buckets=MESSAGE_BYTES)
        self.dead_letters = counter("dlq", "Records and windows that went to the dead-letter topic, by reason.", ["reason"])
        self.late_chunks = counter("late_chunks", "Chunks that came after all their windows had closed, by modality.", ["modality"])
        self.late_words = counter("late_words", "Words that came after their windows had closed, in chunks that did not.")
        self.repeated_chunks = counter("repeated_chunks", "Chunks that had been here before.", ["modality"])
        self.published_windows = counter("published_windows", "Windows that became final, by label (none: too little to judge).", ["label"])
        self.modality_missing = counter("modality_missing", "Final windows without an expected modality, by modality.", ["modality"])
        self.modality_withheld = counter(
            "modality_withheld", "Final windows in which a modality may not be used, by modality and reason.", ["modality", "reason"]
        )
        self.windows_shed = counter("windows_shed", "Windows that were closed early because too many chunks were held.")
        self.sync_skew = histogram("sync_skew_seconds", "Skew of the picture against the sound, without sign.", buckets=SKEW_SECONDS)
        self.window_close_delay = histogram(
            "window_close_delay_seconds", "From the capture of a window's last millisecond until the window closes.", buckets=SECONDS
        )
        self.e2e_latency = histogram(
            "e2e_latency_seconds", "From the capture of a window's last millisecond until the window is final in Redis.", buckets=SECONDS
        )
        self.step = histogram("step_seconds", "Duration of a step of a chunk or of a window.", ["step"], buckets=STEP_SECONDS)
        self.watermark_lag = gauge("watermark_lag_seconds", "Media time by which the slowest watermark is behind the newest chunk.")
        self.held_chunks = gauge("held_chunks", "Encoded chunks that are held for open windows.")
        self.unpublished_windows = gauge("unpublished_windows", "Windows that are closed and not yet published.")
        self.consumer_lag = gauge("consumer_lag_records", "Records of this worker's partitions that it has not read yet.")
        self.behind = gauge("behind_seconds", "How long the oldest record that waits has been known of, or the chunk whose turn has come.")
        self.partitions = gauge("partitions", "Input partitions of this worker; 0 while the group rebalances.")
        self.service_up = gauge("service_up", "Whether a service can be used: 1 or 0.", ["service"])
        for modality in MODALITIES:
            for counted in (self.late_chunks, self.repeated_chunks, self.modality_missing):
                counted.labels(modality)  # A series that begins with its first event hides that event from rate().
        self.open_epochs = gauge("open_epochs", "Open epochs of sessions, by the mmci version they keep.", ["version"])
        self.served_versions = gauge("served_versions", "Versions of mmci that Triton serves, each 1.", ["version"])
        self.windows = counter("windows", "Windows that were scored, by the mmci version that answered.", ["version"])
        self.shadow_windows = counter("shadow_windows", "Windows that the shadow version scored, too.", ["version"])
        self.shadow_difference = counter("shadow_score_difference", "Sum of |shadow score - published score|, in points.", ["version"])
        self.shadow_label_changes = counter("shadow_label_changes", "Windows that the shadow version labels differently.", ["version"])
        self.shadow_failures = counter("shadow_failures", "Windows of the share that the shadow version did not score.", ["version"])
        self.chunks_withheld = counter(
            "chunks_withheld",
            "Chunks that may not be used: acknowledged, not decoded. By modality and reason.",
            ["modality", "reason"],
        )
        self.erased_records = counter("erased_records", "Records of sessions that were erased: acknowledged and dropped.")
        self.windows_not_kept = counter("windows_not_kept", "Windows that could not be written to explanations.store.")
        self.word_claims = counter(
            "word_claims", "Checked claims on words by outcome: top_right, top_wrong (one a window), sign_right, sign_wrong.", ["outcome"]
        )
        self.probes = counter("probes", "Windows that were scored again with a nuisance, by its name.", ["name"])
        self.nuisance_sensitive = counter("nuisance_sensitive_windows", "Windows that a nuisance moves beyond its threshold.", ["name"])
        self.reveal_suspect = gauge(
            "reveal_suspect", "Strength of each suspect of the live stream of all workers; from 1 on it is one.", ["name", "version"]
        )
        self.alerts = counter(
            "alerts", "Alerts of rules, by rule, state (raised, cleared), severity and mode.", ["rule", "state", "severity", "mode"]
        )
        self.word_truth = Truth()
        # To look a series up by its labels takes longer than to count. Only where no series is ever removed.
        self._topic = cache(self.received_messages.labels)
        self._step = cache(self.step.labels)
        self._label = cache(self.published_windows.labels)
        self._version = cache(self.windows.labels)

    def observe_step(self, step: Step, seconds: float) -> None:
        """Count the duration of a step."""
        if step is Step.ALIGN:
            self.window_close_delay.observe(seconds)
        elif step is Step.TOTAL:
            self.e2e_latency.observe(seconds)
        else:
            self._step(step).observe(seconds)

    def count_message(self, topic: str, size: int) -> None:
        """Count a record that was read."""
        self._topic(topic).inc()
        self.received_bytes.observe(size)

    def count_scored(self, version: str) -> None:
        """Count a window that a version of ``mmci`` has scored."""
        self._version(version).inc()

    def count_final(self, score: ScoreRecord) -> None:
        """Count a window that has become final."""
        self._label(score.label or "none").inc()
        for modality in score.modalities_expected:
            if modality not in score.modalities_present:
                self.modality_missing.labels(modality).inc()
        for withheld, reason in score.withheld.items():
            self.modality_withheld.labels(withheld, reason).inc()
        if WarningCode.SHED in score.warnings:
            self.windows_shed.inc()
        skew = score.sync.get(Modality.VIDEO)
        if skew is not None:
            self.sync_skew.observe(abs(skew.at(score.end_ms)) / 1000)

    def watch(self, gauge: Gauge, value: Callable[[], float]) -> None:
        """Ask for a gauge's value whenever the metrics are read."""
        gauge.set_function(value)

    def show_services(self, services: Iterable[str], unusable: Collection[str]) -> None:
        """Show which services can be used."""
        for service in services:
            self.service_up.labels(service).set(service not in unusable)

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

    def show_suspects(self, strengths: Mapping[tuple[str, str], float]) -> None:
        """Show the suspects of the live stream, by name and version."""
        self.reveal_suspect.clear()
        for (name, version), strength in strengths.items():
            self.reveal_suspect.labels(name, version).set(strength)

    def show_served(self, versions: Iterable[str]) -> None:
        """Show which versions Triton serves."""
        self.served_versions.clear()
        for version in versions:
            self.served_versions.labels(version).set(1)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
