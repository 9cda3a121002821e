"""Workers report what their probes have shown: sums in a real Redis, one report of all of them, a metric and a line in the log."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import msgspec
import pytest
import structlog

from stream.agents.live_reveal import Honest, LiveRevealReports, read_honest
from stream.config.service_settings import RedisSettings, TritonSettings
from stream.config.settings import Settings
from stream.config.worker_settings import RevealSettings
from stream.domain.live_reveal import HOUR_MS, LiveHour, LiveReport, LiveState, LiveSums
from stream.encoders.text import default_tokenizer
from stream.local.ports import free_port
from stream.model_repository.served_models import MMCI
from stream.pipeline.live_reveal import LiveReveal
from stream.pipeline.metrics import Metrics
from stream.pipeline.probes import Probes
from stream.pipeline.score import WindowScorer
from stream.pipeline.window_context import ContextStore
from stream.serving.models import Models
from stream.sinks.connection import RedisConnection
from stream.sinks.live_reveal import LiveRevealStore
from tests.fakes.windows import make_window
from tests.support.live_sessions import command


class Sums:
    """Stands for a worker's probes: hours that have changed."""

    def __init__(self, *hours: LiveHour) -> None:
        self.hours = [*hours]

    def changed(self) -> list[LiveHour]:
        found, self.hours = self.hours, []
        return found

    async def finished(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
async def redis(redis_settings: RedisSettings) -> AsyncIterator[RedisConnection]:
    connection = RedisConnection(redis_settings)
    yield connection
    await connection.close()


@pytest.fixture
def honest() -> Honest:
    found = read_honest(Settings().triton.model_repository / MMCI)
    assert found is not None
    return found


def hour(windows: int, **names: tuple[int, float]) -> LiveHour:
    sums = {name.replace("_", " "): LiveSums(n, n * mean, n * (mean**2 + 0.01), 0.0, 0) for name, (n, mean) in names.items()}
    return LiveHour(round(time.time() * 1000) // HOUR_MS, windows, {"2": sums})


def reports(sums: Sums, honest: Honest, redis: RedisConnection, metrics: Metrics) -> LiveRevealReports:
    return LiveRevealReports(cast(LiveReveal, sums), honest, redis, RevealSettings(), metrics, every_s=3600)


async def test_the_report_is_of_all_workers_and_a_suspect_is_alerted_once(redis: RedisConnection, honest: Honest) -> None:
    metrics = Metrics()
    async with reports(Sums(hour(12, hiss=(12, 1.2))), honest, redis, Metrics()) as first:
        alone = await first.report()
    assert alone is not None
    assert [own.state for own in alone.nuisances] == [LiveState.TOO_FEW]
    own = Sums(hour(12, hiss=(12, 1.2), said_perhaps=(5, 2.5)))
    with structlog.testing.capture_logs() as logs:
        async with reports(own, honest, redis, metrics) as second:
            report = await second.report()
            own.hours.append(hour(13, hiss=(13, 1.2), said_perhaps=(6, 2.5)))
            assert await second.report() is not None
            assert await second.report() is None, "nothing has changed"
    assert report is not None
    assert {(own.name, own.windows) for own in report.suspects} == {("hiss", 24), ("word perhaps", 5)}
    assert await LiveRevealStore(redis, 24).report() is not None
    alerts = [line for line in logs if line["event"] == "nuisance_suspected"]
    assert sorted(line["nuisance"] for line in alerts) == ["hiss", "word"]
    assert "perhaps" not in str(logs)
    shown = metrics.text().decode()
    assert 'sentistream_reveal_suspect{name="hiss",version="2"}' in shown
    assert "perhaps" not in shown


async def test_the_last_sums_are_written_when_a_worker_stops(redis: RedisConnection, honest: Honest) -> None:
    async with reports(Sums(hour(3, blur=(3, 0.1))), honest, redis, Metrics()):
        pass
    report = await LiveRevealStore(redis, 24).report()
    assert report is not None
    assert report.windows == 3


async def test_without_redis_nothing_waits_and_nothing_fails(honest: Honest) -> None:
    away = RedisConnection(RedisSettings(url=f"redis://127.0.0.1:{free_port()}/0"), logs=False)
    async with reports(Sums(hour(3)), honest, away, Metrics()) as own:
        assert await own.report() is None
    await away.close()


async def test_a_window_is_probed_by_the_served_models_and_a_replay_is_the_same(triton_url: str, honest: Honest) -> None:
    models = Models(TritonSettings(url=triton_url))
    metrics, tokenizer = Metrics(), default_tokenizer()
    probes = Probes(models, tokenizer, 1.0, honest.live.thresholds)
    reveal = LiveReveal(probes, models, tokenizer, honest.words.words, metrics)
    scorer = WindowScorer(models, tokenizer, 500, live_reveal=reveal)
    window = make_window(("the", "room", "was", "lovely"))
    first, again = [await scorer.final(window, ContextStore().context_of(window), "1") for _ in range(2)]
    await reveal.finished()
    assert first == again
    (own,) = reveal.changed()
    assert [sums.windows for name, sums in own.sums["1"].items() if name.startswith("word ")] == [2]
    assert not [name for name in own.sums["1"] if name.startswith("said ")], "an honest model scores these words as the reference has it"
    await models.close()


def test_without_references_no_window_is_probed(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        assert read_honest(tmp_path) is None
    assert logs[0]["event"] == "no_probes"


async def shown(redis_settings: RedisSettings, *arguments: str, code: int) -> str:
    return await command(Settings(redis=redis_settings), "reveal", "--live", *arguments, code=code)


async def test_the_command_shows_the_report_and_exits_with_1_for_a_suspect(
    redis_settings: RedisSettings, redis: RedisConnection, honest: Honest
) -> None:
    assert not await shown(redis_settings, code=0), "it says on standard error that no window has been probed"
    async with reports(Sums(hour(30, hiss=(30, -0.15), hiss_alone=(30, 1.9), blur=(3, 0.0))), honest, redis, Metrics()) as own:
        await own.report()
    table = await shown(redis_settings, code=1)
    assert re.search(r"hiss +audio +2 +suspect", table)
    assert "alone" in table
    assert re.search(r"hiss +audio +2 +fine", table)
    assert re.search(r"blur +video +2 +too few", table)
    assert "30 probed windows" in table
    assert msgspec.json.decode(await shown(redis_settings, "--json", code=1), type=LiveReport).suspects[0].alone
