"""The client and the export on a real gateway and a real Redis: killed and restarted in mid-stream, nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream.aio.backoff import Backoff
from stream.cli.main import app
from stream.client import BlockingGateway, Gateway, ProblemError, Result, subscribe, subscribe_blocking, subscription
from stream.domain.alert import AlertRecord
from stream.domain.delivery import WindowAlerts
from stream.domain.identity import SessionKey
from stream.domain.result import ExplanationRecord, ScoreRecord, SessionRecord, decode_record
from stream.explain.session_summary import summarise
from stream.gateway.views import Gap, SessionState
from stream.local.ports import free_port
from stream.local.redis_server import RedisServer
from stream.sinks.redis_sink import RedisSink
from tests.fakes.alerts import make_alert
from tests.fakes.results import SESSION, make_explanation, make_score
from tests.support.fault_proxy import FaultProxy
from tests.support.finals import finalise
from tests.support.gateways import gateway_settings, make_access_file, running_gateway

SAID = "The customer seems negative (-1.0). Mainly “hunter2”."


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscription, "BACKOFF", Backoff(first_s=0.1, cap_s=0.2))


@pytest.fixture
async def gateway(server: RedisServer) -> AsyncIterator[str]:
    async with running_gateway(gateway_settings(server.url)) as address:
        yield address


async def put_windows(sink: RedisSink, number: int, pause_s: float) -> None:
    for place in range(number):
        for track in ("agent", "customer"):
            await finalise(sink, make_score(4000 + 2000 * place, 0.5, track=track, role=track))
        await asyncio.sleep(pause_s)


async def test_gateways_that_are_replaced_in_mid_stream_lose_and_repeat_nothing(server: RedisServer, sink: RedisSink) -> None:
    """Three gateways, one after the other, on one port: as a restart does it, or a load balancer."""
    port, number = free_port(), 40
    taken: list[tuple[str, str]] = []
    await finalise(sink, make_score(2000))
    settings = gateway_settings(server.url)

    async def follow() -> None:
        async for result in subscribe(f"http://127.0.0.1:{port}", str(SESSION), after="start"):
            if type(result) is ScoreRecord or isinstance(result, ExplanationRecord):
                taken.append((type(result).__name__, result.window_id))
            assert not isinstance(result, Gap)

    async with asyncio.timeout(60):
        writing = asyncio.create_task(put_windows(sink, number, 0.1))
        following: asyncio.Task[None] | None = None
        for stay_s in (1.0, 1.0):
            async with running_gateway(settings, port):
                following = following or asyncio.create_task(follow())
                await asyncio.sleep(stay_s)
            await asyncio.sleep(0.5)
        async with running_gateway(settings, port):
            await writing
            while len(taken) < 2 * (2 * number + 1):
                assert following is not None
                assert not following.done(), following.exception()
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.7)
            assert following is not None
            following.cancel()
    assert len(taken) == len(set(taken)) == 2 * (2 * number + 1)
    for track in ("agent", "customer"):
        ends = [int(window.rpartition("-")[2]) for kind, window in taken if kind == "ScoreRecord" and f"/{track}/" in window]
        assert ends == sorted(ends)
    for (kind, window), (following_kind, of) in zip(taken[::2], taken[1::2], strict=True):
        assert (kind, following_kind, window) == ("ScoreRecord", "ExplanationRecord", of)


async def test_a_network_that_is_cut_again_and_again(gateway: str, sink: RedisSink) -> None:
    taken: list[str] = []

    async def follow(url: str) -> None:
        async for result in subscribe(url, str(SESSION), after="start"):
            if type(result) is ScoreRecord:
                taken.append(result.window_id)

    await finalise(sink, make_score(2000))
    async with asyncio.timeout(60), FaultProxy(int(gateway.rpartition(":")[2])) as proxy:
        following = asyncio.create_task(follow(f"http://127.0.0.1:{proxy.port}"))
        writing = asyncio.create_task(put_windows(sink, 25, 0.1))
        while not writing.done():
            await asyncio.sleep(0.5)
            await proxy.cut()
            await proxy.restore()
        while len(taken) < 51:
            await asyncio.sleep(0.05)
        following.cancel()
    assert len(set(taken)) == len(taken) == 51


async def test_a_position_continues_in_another_process(gateway: str, sink: RedisSink) -> None:
    await put_windows(sink, 3, 0)
    results = subscribe(gateway, str(SESSION), after="start")
    windows: list[str] = []
    async for result in results:
        if type(result) is ScoreRecord:
            windows.append(result.window_id)
        if isinstance(result, SessionState):
            break
    assert len(windows) == 6
    await finalise(sink, make_score(20_000))
    async for result in subscribe(gateway, str(SESSION), after=results.position):
        if type(result) is ScoreRecord:
            assert result.window_id.endswith("-20000")
            break


async def test_all_sessions_are_told_by_their_states(gateway: str, sink: RedisSink) -> None:
    async def first_of_all() -> Result:
        return await anext(aiter(subscribe(gateway)))

    reading = asyncio.create_task(first_of_all())
    await asyncio.sleep(0.5)
    await finalise(sink, make_score(4000, session=SessionKey("default", "call-2")))
    async with asyncio.timeout(10):
        first = await reading
    assert isinstance(first, SessionState)
    assert first.session == "call-2"


async def test_an_alert_comes_after_its_window_and_once(gateway: str, sink: RedisSink) -> None:
    score, alert = make_score(4000, -2.0), make_alert(4000)
    await sink.finalise(score, make_explanation(score), 1, alerts=WindowAlerts((alert,), b"{}"))
    await finalise(sink, make_score(6000))
    taken: list[Result] = []
    async with asyncio.timeout(10):
        async for result in subscribe(gateway, str(SESSION), after="start"):
            if not isinstance(result, SessionState):
                taken.append(result)
            if isinstance(result, ExplanationRecord) and result.end_ms == 6000:
                break
    assert taken[:3] == [score, make_explanation(score), alert]
    assert sum(isinstance(result, AlertRecord) for result in taken) == 1


async def test_snapshots_history_and_pages(gateway: str, sink: RedisSink) -> None:
    await put_windows(sink, 60, 0)
    async with Gateway(gateway) as client:
        assert (await client.me()).open
        async with asyncio.timeout(10):
            while not [state async for state in client.sessions()]:
                await asyncio.sleep(0.1)
        state = await client.session(str(SESSION))
        assert [track.track for track in state.tracks] == ["agent", "customer"]
        windows = [window async for window in client.windows(str(SESSION), track="agent")]
        assert len({window.score.window_id for window in windows}) == len(windows) == 60
        one = await client.window(windows[7].score.window_id)
        assert one == windows[7]
        with pytest.raises(ProblemError, match="404") as caught:
            await client.session("default/nobody")
        assert caught.value.problem.type.endswith("not_found")


async def test_the_blocking_client(gateway: str, sink: RedisSink) -> None:
    await put_windows(sink, 3, 0)

    def use() -> tuple[int, int]:
        results: Iterator[object] = subscribe_blocking(gateway, str(SESSION), after="start")
        scores = [result for result in islice(results, 12) if type(result) is ScoreRecord]
        with BlockingGateway(gateway) as client:
            return len(scores), len(list(client.windows(str(SESSION))))

    assert await asyncio.to_thread(use) == (6, 6)


async def test_an_export_is_complete_and_respects_what_a_token_may_see(server: RedisServer, sink: RedisSink, tmp_path: Path) -> None:
    roles = {"boss": ("supervisor", "default"), "wall": ("wallboard", "default"), "other": ("admin", "other")}
    tokens = make_access_file(tmp_path / "access.yaml", roles)
    score = make_score(4000, -1.0)
    await sink.finalise(score, make_explanation(score, SAID), 1)
    await put_windows(sink, 300, 0)
    await sink.put_summary(summarise(SESSION, 0, await sink.finals(SESSION)))
    settings = gateway_settings(server.url, access=tmp_path / "access.yaml")

    async def exported(address: str, name: str, kind: str) -> bytes:
        async with Gateway(address, tokens[name]) as client:
            return b"".join([piece async for piece in client.export(str(SESSION), kind)])

    async with running_gateway(settings, loaded=False) as address:
        lines = (await exported(address, "boss", "jsonl")).splitlines()
        records = [decode_record(line) for line in lines]
        assert len(records) == 2 * 600 + 1
        assert isinstance(records[-1], SessionRecord)
        assert b"hunter2" in b"".join(lines)
        for kind in ("jsonl", "csv", "vcon"):
            assert b"hunter2" not in await exported(address, "wall", kind)
            with pytest.raises(ProblemError, match="404"):
                await exported(address, "other", kind)
        rows = list(csv.DictReader(io.StringIO((await exported(address, "boss", "csv")).decode())))
        assert len(rows) == 600
        assert len(json.loads(await exported(address, "boss", "vcon"))["analysis"]) == 1201
        with pytest.raises(ProblemError, match="400"):
            await exported(address, "boss", "xlsx")

    def by_command(*options: str) -> bytes:
        result = CliRunner().invoke(app, ["export", "call-1", *options, "--redis", server.url])
        assert result.exit_code == 0, result.stderr
        return result.stdout_bytes

    assert (await asyncio.to_thread(by_command)).splitlines() == lines
    assert b"hunter2" not in await asyncio.to_thread(by_command, "--format", "csv", "--no-text")
    await asyncio.to_thread(by_command, "--out", str(tmp_path / "file.jsonl"))
    assert (tmp_path / "file.jsonl").read_bytes().splitlines() == lines


async def test_the_command_says_what_is_wrong(server: RedisServer, tmp_path: Path) -> None:
    for arguments, code, said in (
        (["nobody"], 1, "Redis holds no results of the session default/nobody"),
        (["call-1", "--format", "xlsx"], 2, "--format must be one of jsonl, csv, vcon"),
        (["a/b"], 2, "session must be"),
        (["call-1", "--out", str(tmp_path)], 1, "cannot be written"),
    ):
        result = await asyncio.to_thread(CliRunner().invoke, app, ["export", *arguments, "--redis", server.url])
        assert (result.exit_code, said in result.stderr) == (code, True), result.stderr
