"""What a worker counts: under the names of the page, and without ids."""

from __future__ import annotations

import re

import msgspec
import pytest

from stream.config.project import PROJECT_ROOT
from stream.domain.clock_skew import ClockSkew
from stream.domain.modality import Modality
from stream.domain.warning_codes import WarningCode
from stream.gateway.metrics import GatewayMetrics
from stream.pipeline.metrics import Metrics
from stream.pipeline.timings import Step, Timings
from tests.fakes.results import make_score
from tests.support.metrics import exported

PAGE = (PROJECT_ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


PROGRAMS: dict[str, type[Metrics | GatewayMetrics]] = {"worker": Metrics, "gateway": GatewayMetrics}


def value(metrics: Metrics, series: str) -> float:
    found = re.search(rf"^{re.escape(series)} (\S+)$", metrics.text().decode(), re.MULTILINE)
    assert found is not None, series
    return float(found[1])


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_page_has_every_metric_with_its_kind_and_labels(program: str) -> None:
    table = PAGE.partition(f"<!-- metrics: {program} -->")[2].partition("<!-- end -->")[0]
    documented = {
        name: (kind, labels) for name, labels, kind in re.findall(r"^\| `(\w+)(?:\{([\w, ]+)\})?` \| (\w+) \|", table, re.MULTILINE)
    }
    assert documented == exported(PROGRAMS[program]()._registry)


def test_steps_of_windows_have_the_names_that_people_look_for() -> None:
    metrics = Metrics()
    timings = Timings(metrics.observe_step)
    for step in Step:
        timings.add(step, 250.0)
    assert value(metrics, 'sentistream_e2e_latency_seconds_bucket{le="0.3"}') == 1
    assert value(metrics, "sentistream_e2e_latency_seconds_sum") == 0.25
    assert value(metrics, "sentistream_window_close_delay_seconds_count") == 1
    assert value(metrics, 'sentistream_step_seconds_count{step="encode"}') == 1
    assert set(re.findall(r'step="(\w+)"', metrics.text().decode())) == set(Step) - {Step.ALIGN, Step.TOTAL}


def test_a_final_window_is_counted_with_what_it_lacks() -> None:
    metrics = Metrics()
    skew = ClockSkew(offset_ms=-90.0, drift_ppm=0.0, at_ms=0, samples=9, misses=0, variance=(1.0, 0.0, 1.0))
    metrics.count_final(
        msgspec.structs.replace(
            make_score(4000, -2.0, present=(Modality.TEXT,), warnings=(WarningCode.SHED,), sync={Modality.VIDEO: skew}),
            label="negative",
            modalities_expected=(Modality.TEXT, Modality.VIDEO),
            withheld={Modality.AUDIO: "policy"},
        )
    )
    assert value(metrics, 'sentistream_published_windows_total{label="negative"}') == 1
    assert value(metrics, 'sentistream_modality_missing_total{modality="video"}') == 1
    assert value(metrics, 'sentistream_modality_missing_total{modality="text"}') == 0
    assert value(metrics, 'sentistream_modality_withheld_total{modality="audio",reason="policy"}') == 1
    assert value(metrics, "sentistream_windows_shed_total") == 1
    assert value(metrics, "sentistream_sync_skew_seconds_sum") == 0.09


def test_services_are_up_or_not() -> None:
    metrics = Metrics()
    metrics.show_services(("kafka", "redis"), ("redis",))
    assert value(metrics, 'sentistream_service_up{service="kafka"}') == 1
    assert value(metrics, 'sentistream_service_up{service="redis"}') == 0
