"""The configuration of Prometheus, its alert rules and the dashboard name metrics and labels that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream.config.project import PROJECT_ROOT
from stream.gateway.metrics import GatewayMetrics
from stream.pipeline.metrics import Metrics
from tests.support.metrics import exported

FOLDER = PROJECT_ROOT / "configs" / "observability"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))["groups"] for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "grafana" / "dashboards" / "sentistream.json").read_text(encoding="utf-8"))
METRICS = exported(Metrics()._registry) | exported(GatewayMetrics()._registry)
PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
SUFFIXES = re.compile(r"_(bucket|sum|count)$")


def expressions() -> list[str]:
    of_panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    return [*of_panels, *(rule["expr"] for rule in RULES)]


def names(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:sentistream|process)_\w+", expression))


@pytest.mark.parametrize("expression", expressions())
def test_every_metric_and_label_of_an_expression_exists(expression: str) -> None:
    labels = {"instance", "job"}
    for name in names(expression):
        of = SUFFIXES.sub("", name) if name not in METRICS else name
        if of in PROCESS:
            continue
        kind, own = METRICS[of]
        assert (kind == "histogram") == (of != name), f"{name} is a {kind}"
        labels |= set(own.split(", ")) | ({"le"} if kind == "histogram" else set())
    used = {label.strip() for group in re.findall(r"(?:by|ignoring) \(([^)]*)\)", expression) for label in group.split(",")}
    used |= set(re.findall(r"[{,] ?(\w+)=", expression))
    assert used <= labels
    assert expression.count("(") == expression.count(")")


def test_every_alert_says_what_is_wrong_and_where_to_look() -> None:
    for rule in RULES:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"].keys() == {"summary", "look"}
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


def test_what_people_look_for_first_is_on_the_dashboard() -> None:
    shown = {
        SUFFIXES.sub("", name) for panel in DASHBOARD["panels"] for target in panel.get("targets", ()) for name in names(target["expr"])
    }
    first = ("e2e_latency_seconds", "window_close_delay_seconds", "watermark_lag_seconds", "modality_missing_total", "late_chunks_total")
    assert {f"sentistream_{name}" for name in (*first, "sync_skew_seconds", "dlq_total", "consumer_lag_records", "alerts_total")} <= shown


def test_prometheus_reads_every_program_where_compose_lets_it_listen() -> None:
    jobs = {job["job_name"]: job["dns_sd_configs"][0] for job in yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]}
    services = yaml.safe_load((PROJECT_ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    assert str(jobs["worker"]["port"]) == services["worker"]["environment"]["SENTISTREAM_HEALTH__PORT"]
    assert str(jobs["gateway"]["port"]) == services["gateway"]["environment"]["SENTISTREAM_GATEWAY__METRICS_PORT"]
    for name in ("worker", "gateway"):
        assert jobs[name]["names"] == [name]
        assert services[name]["environment"]["SENTISTREAM_HEALTH__HOST"] == "0.0.0.0"
        assert "services" in services[name]["networks"]
    for volume in (*services["prometheus"]["volumes"], *services["grafana"]["volumes"]):
        source = volume.partition(":")[0]
        assert not source.startswith("./") or Path(PROJECT_ROOT, source).is_dir()
