"""The metrics that a registry exports."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector


def exported(registry: CollectorRegistry) -> dict[str, tuple[str, str]]:
    """By name of each of our own metrics, its kind and its labels, separated by a comma and a space."""
    found = {}
    collectors: list[Any] = list(registry._collector_to_names)
    for collector in collectors:
        if isinstance(collector, ProcessCollector):
            continue
        (metric,) = collector.describe()
        found[metric.name + ("_total" if metric.type == "counter" else "")] = metric.type, ", ".join(collector._labelnames)
    return found
