"""The streams of the gateway on a real Redis: nothing lost and nothing twice, whatever happens to viewers, gateways and Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path

import httpx
import msgspec
import pytest
from redis.asyncio import Redis

from stream.config.service_settings import RedisSettings
from stream.config.settings import Settings
from stream.domain.identity import SessionKey
from stream.explain.session_summary import summarise
from stream.gateway.disclosure import Disclosed
from stream.gateway.hub import Hub
from stream.gateway.streams import SessionStream, all_sessions
from stream.gateway.ticks import QUEUE, Audience
from stream.gateway.views import Batch, Gap, Hello, Page, SessionPhase, SessionState, Stale, WindowResult
from stream.local.ports import free_port
from stream.local.redis_server import RedisServer
from stream.sinks.connection import RedisConnection
from stream.sinks.redis_sink import RedisSink
from stream.sinks.result_pages import ResultPages
from tests.fakes.results import SESSION, make_partial, make_score
from tests.support.finals import finalise
from tests.support.gateways import Events, bearer, events, gateway_settings, make_access_file, running_gateway

ONE = f"/api/v1/stream?session={SESSION}"
ALL = "/api/v1/stream"


@pytest.fixture
def settings(server: RedisServer) -> Settings:
    return gateway_settings(server.url, quiet_after_s=1.0)


@pytest.fixture
def redis_settings(settings: Settings) -> RedisSettings:
    return settings.redis


async def put(sink: RedisSink, ends: Sequence[int], tracks: Sequence[str] = ("customer",), session: SessionKey = SESSION) -> None:
    for end_ms in ends:
        for track in tracks:
            await finalise(sink, make_score(end_ms, 0.1, track=track, session=session))


def ends(first: int, count: int) -> range:
    return range(first, first + 2000 * count, 2000)


def windows(batches: Sequence[Batch]) -> list[tuple[str, int]]:
    return [(score.track, score.end_ms) for batch in batches for score in batch.scores]


async def take(stream: Events, count: int) -> list[Batch]:
    """Batches until there are that many final windows in them."""
    found: list[Batch] = []
    async with asyncio.timeout(20):
        while len(windows(found)) < count:
            found.append(await stream.batch())
    return found


async def test_a_stream_begins_with_what_is_new(sink: RedisSink, settings: Settings) -> None:
    await put(sink, ends(4000, 3))
    async with running_gateway(settings) as address, events(address, ONE) as stream:
        hello = msgspec.json.decode(await stream.named("hello"), type=Hello)
        assert not hello.resumed
        assert stream.last_id == "customer:0-8000"
        await put(sink, [10_000])
        batches = await take(stream, 1)
    assert windows(batches) == [("customer", 10_000)]
    (explanation,) = batches[-1].explanations
    assert explanation.end_ms == 10_000
    (state,) = batches[-1].sessions
    assert state.state is SessionPhase.LIVE
    assert [point[0] for point in state.tracks[0].history] == [10_000]


async def test_all_that_is_kept_comes_from_the_start_once(sink: RedisSink, settings: Settings) -> None:
    await put(sink, ends(4000, 120), ["agent", "customer"])
    async with running_gateway(settings) as address, events(address, f"{ONE}&after=start") as stream:
        writing = asyncio.create_task(put(sink, ends(244_000, 30), ["agent", "customer"]))
        found = windows(await take(stream, 300))
        await writing
    assert sorted(found) == sorted((track, end) for track in ("agent", "customer") for end in ends(4000, 150))
    for track in ("agent", "customer"):
        of_track = [end for name, end in found if name == track]
        assert of_track == sorted(of_track)


async def test_another_gateway_continues_where_the_first_was_stopped(sink: RedisSink, settings: Settings) -> None:
    found: list[tuple[str, int]] = []
    last_id = None
    for turn in range(4):
        async with running_gateway(settings) as address:
            headers: dict[str, str] = {"Last-Event-ID": last_id} if last_id else {}
            async with events(address, f"{ONE}&after=start", headers) as stream:
                # Some come while nobody watches, some while somebody does.
                await put(sink, ends(4000 + 20_000 * turn, 5), ["agent", "customer"])
                found += windows(await take(stream, 10))
                last_id = stream.last_id
        await put(sink, ends(14_000 + 20_000 * turn, 5), ["customer"])
    async with running_gateway(settings) as address, events(address, ONE, {"Last-Event-ID": str(last_id)}) as stream:
        hello = msgspec.json.decode(await stream.named("hello"), type=Hello)
        assert hello.resumed
        found += windows(await take(stream, 5))
    assert len(found) == len(set(found))
    assert sorted(end for track, end in found if track == "customer") == list(ends(4000, 40))
    assert sorted(end for track, end in found if track == "agent") == [end for turn in range(4) for end in ends(4000 + 20_000 * turn, 5)]


async def test_two_gateways_side_by_side_say_the_same(sink: RedisSink, settings: Settings) -> None:
    async with running_gateway(settings) as one, running_gateway(settings) as two:
        async with events(one, f"{ONE}&after=start") as first, events(two, f"{ONE}&after=start") as second:
            await put(sink, ends(4000, 10), ["agent", "customer"])
            seen = [sorted(windows(await take(stream, 20))) for stream in (first, second)]
            assert seen[0] == seen[1]
            assert first.last_id == second.last_id
        async with httpx.AsyncClient(verify=False) as client:
            states = [(await client.get(f"{address}/api/v1/sessions/{SESSION}")).json()["tracks"] for address in (one, two)]
        assert states[0] == states[1]


async def test_positions_that_are_no_longer_kept_are_a_gap(server: RedisServer, sink: RedisSink, settings: Settings) -> None:
    await put(sink, ends(4000, 3))
    async with running_gateway(settings) as address:
        for position, reason in (("customer:0-2000", "expired"), ("nonsense", "unknown_position"), ("customer:0-x", "unknown_position")):
            async with events(address, ONE, {"Last-Event-ID": position}) as stream:
                hello = msgspec.json.decode(await stream.named("hello"), type=Hello)
                gap = msgspec.json.decode(await stream.named("gap"), type=Gap)
                assert (hello.resumed, gap.reason) == (False, reason)
        async with events(address, ALL, {"Last-Event-ID": "anothergateway-17"}) as stream:
            gap = msgspec.json.decode(await stream.named("gap"), type=Gap)
            assert gap.reason == "unknown_position"


async def test_the_stream_of_all_sessions_is_resumed_at_the_same_gateway(sink: RedisSink, settings: Settings) -> None:
    other = SessionKey("default", "call-2")
    async with running_gateway(settings) as address:
        async with events(address, f"{ALL}?records=true") as stream:
            await put(sink, [4000])
            await take(stream, 1)
            last_id = str(stream.last_id)
        await put(sink, [6000, 8000])
        await put(sink, [4000], session=other)
        await asyncio.sleep(1.5)
        async with events(address, f"{ALL}?records=true", {"Last-Event-ID": last_id}) as stream:
            hello = msgspec.json.decode(await stream.named("hello"), type=Hello)
            batch = await stream.batch()
            assert hello.resumed
            assert sorted((score.session, score.end_ms) for score in batch.scores) == [("call-1", 6000), ("call-1", 8000), ("call-2", 4000)]
            assert {state.session for state in batch.sessions} == {"call-1", "call-2"}
            await put(sink, [10_000])
            assert windows([await stream.batch()]) == [("customer", 10_000)]


async def test_partial_results_quiet_and_ended_sessions_are_told(sink: RedisSink, settings: Settings) -> None:
    async with running_gateway(settings) as address, events(address, ALL) as stream:
        await sink.put_partial(make_partial(4000, 0.4))
        (state,) = (await stream.batch()).sessions
        assert (state.state, state.tracks[0].is_final, state.tracks[0].score) == (SessionPhase.LIVE, False, 0.4)
        await put(sink, [4000])
        (state,) = (await stream.batch()).sessions
        assert state.tracks[0].is_final
        (state,) = (await stream.batch()).sessions
        assert state.state is SessionPhase.QUIET
        await sink.put_summary(summarise(SESSION, 0, await sink.finals(SESSION)))
        batch = await stream.batch()
        assert batch.sessions[0].state is SessionPhase.ENDED
        assert len(batch.summaries) == 1


async def test_a_gateway_that_starts_late_knows_what_was_before(sink: RedisSink, settings: Settings) -> None:
    await put(sink, ends(4000, 80))
    await sink.put_partial(make_partial(400_000, 0.4))
    await put(sink, [4000], session=SessionKey("default", "call-2"))
    await sink.put_summary(summarise(SESSION, 0, await sink.finals(SESSION)))
    await asyncio.sleep(1.1)
    async with running_gateway(settings) as address, httpx.AsyncClient(base_url=address, verify=False) as client:
        page = msgspec.json.decode((await client.get("/api/v1/sessions")).content, type=Page[SessionState])
        by_name = {state.session: state for state in page.items}
        assert {name: state.state for name, state in by_name.items()} == {"call-1": SessionPhase.ENDED, "call-2": SessionPhase.QUIET}
        (track,) = by_name["call-1"].tracks
        assert (track.end_ms, track.is_final) == (400_000, False)
        assert [end for end, _ in track.history] == list(ends(44_000, 60))
        assert by_name["call-1"].summary is not None


async def test_a_viewer_who_reads_slowly_misses_nothing(sink: RedisSink, settings: Settings) -> None:
    """More batches come than a queue holds: those of one session are read from Redis, those of all sessions come as one."""
    redis = RedisConnection(settings.redis)
    hub = Hub(settings, redis)
    following = asyncio.create_task(hub.run())
    disclosed = Disclosed(words=True, alerts=True)
    one = SessionStream(hub, ResultPages(redis), settings.redis, SESSION, disclosed).events("start")
    every = all_sessions(hub, Audience(None, disclosed, records=True), None)
    async with aclosing(one), aclosing(every), asyncio.timeout(30):
        while not hub.loaded:
            await asyncio.sleep(0.02)
        await anext(one)
        await anext(every)
        waiting = asyncio.create_task(anext(one))
        for turn in range(QUEUE + 3):
            before = hub.broadcast.number
            await put(sink, ends(4000 + 10_000 * turn, 5))
            while hub.broadcast.number < before + 2:
                await asyncio.sleep(0.02)
        seen = [await waiting]
        while sum(map(len, map(_windows_of, seen))) < 5 * (QUEUE + 3):
            seen.append(await anext(one))
        seen_of_all = [await anext(every)]
        while sum(map(len, map(_windows_of, seen_of_all))) < 5 * (QUEUE + 3):
            seen_of_all.append(await anext(every))
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await redis.close()
    expected = [("customer", end) for end in ends(4000, 5 * (QUEUE + 3))]
    assert [window for event in seen for window in _windows_of(event)] == expected
    assert [window for event in seen_of_all for window in _windows_of(event)] == expected


def _windows_of(event: bytes) -> list[tuple[str, int]]:
    name, *_, data = event.decode().strip().split("\n")
    return windows([msgspec.json.decode(data.removeprefix("data: "), type=Batch)]) if name == "event: batch" else []


async def test_pages_of_a_history_hold_every_window_once(sink: RedisSink, settings: Settings) -> None:
    await put(sink, ends(4000, 25), ["agent", "customer"])
    await put(sink, ends(54_000, 5), ["customer"])
    expected = [("agent", end) for end in ends(4000, 25)] + [("customer", end) for end in ends(4000, 30)]
    async with running_gateway(settings) as address, httpx.AsyncClient(base_url=address, verify=False) as client:
        for order, limit in (("newest", 7), ("oldest", 7), ("newest", 500), ("oldest", 1)):
            found: list[tuple[str, int]] = []
            cursor: str | None = None
            while True:
                query: dict[str, str | int | None] = {"order": order, "limit": limit, "cursor": cursor or ""}
                answer = await client.get(f"/api/v1/sessions/{SESSION}/windows", params=query)
                page = msgspec.json.decode(answer.content, type=Page[WindowResult])
                assert len(page.items) <= limit
                assert all(item.explanation is not None and item.explanation.window_id == item.score.window_id for item in page.items)
                found += [(item.score.track, item.score.end_ms) for item in page.items]
                cursor = page.next
                if cursor is None:
                    break
            assert sorted(found) == sorted(expected)
            times = [end for _, end in found]
            assert times == sorted(times, reverse=order == "newest")


async def test_an_erased_session_is_gone_from_the_gateway(sink: RedisSink, redis: Redis, settings: Settings) -> None:
    other = SessionKey("default", "call-2")
    await put(sink, [4000])
    await put(sink, [4000], session=other)
    async with (
        running_gateway(settings) as address,
        events(address, ONE) as one,
        events(address, f"/api/v1/stream?session={other}") as another,
        events(address, ALL) as every,
        httpx.AsyncClient(base_url=address, verify=False) as client,
    ):
        await redis.unlink(*[key async for key in redis.scan_iter(match=f"sentistream:{{{SESSION}}}:*")])
        await redis.zrem("sentistream:sessions", str(SESSION))
        for stream in (one, every):
            assert msgspec.json.decode(await stream.named("gap"), type=Gap).reason == "erased"
        listed = (await client.get("/api/v1/sessions")).json()["items"]
        assert [state["session"] for state in listed] == ["call-2"]
        assert (await client.get(f"/api/v1/sessions/{SESSION}")).status_code == 404
        await put(sink, [6000], session=other)
        assert (await another.next())[0] == "hello"
        assert windows(await take(another, 1)) == [("customer", 6000)]


@pytest.fixture
async def own_redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    redis = RedisServer(tmp_path)
    await redis.start()
    yield redis
    await redis.stop()


async def test_a_restart_of_redis_is_told_and_waited_out(own_redis: RedisServer) -> None:
    settings = gateway_settings(own_redis.url)
    sink = RedisSink(settings.redis)
    await put(sink, ends(4000, 3))
    async with (
        running_gateway(settings) as address,
        events(address, f"{ONE}&after=start") as stream,
        httpx.AsyncClient(base_url=address, verify=False) as client,
    ):
        found = windows(await take(stream, 3))
        await own_redis.stop()
        stale = msgspec.json.decode(await stream.named("stale"), type=Stale)
        assert stale.since_ms is not None
        assert "Redis" in stale.reason
        history = await client.get(f"/api/v1/sessions/{SESSION}/windows")
        assert (history.status_code, history.headers["content-type"]) == (503, "application/problem+json")
        assert int(history.headers["retry-after"]) > 0
        listed = await client.get("/api/v1/sessions")
        assert listed.status_code == 200
        assert listed.json()["stale_since_ms"] is not None
        ready = await client.get("/ready")
        assert (ready.status_code, str(own_redis.port) in ready.text) == (503, False)
        await own_redis.restart()
        back = msgspec.json.decode(await stream.named("stale"), type=Stale)
        assert back.since_ms is None
        await put(sink, ends(10_000, 3))
        found += windows(await take(stream, 3))
        assert (await client.get(f"/api/v1/sessions/{SESSION}/windows")).status_code == 200
        assert (await client.get("/ready")).status_code == 200
    assert found == [("customer", end) for end in ends(4000, 6)]
    await sink.close()


async def test_a_gateway_starts_without_redis_and_says_so(tmp_path: Path) -> None:
    redis = RedisServer(tmp_path, free_port())
    settings = gateway_settings(redis.url)
    async with running_gateway(settings, loaded=False) as address, httpx.AsyncClient(base_url=address, verify=False) as client:
        await asyncio.sleep(2)
        answer = await client.get("/api/v1/sessions")
        assert answer.status_code == 503
        assert "Redis" in answer.json()["detail"]
        assert (await client.get("/live")).status_code == 200
        await redis.start()
        async with asyncio.timeout(15):
            while (await client.get("/api/v1/sessions")).status_code != 200:
                await asyncio.sleep(0.1)
    await redis.stop()


async def test_words_are_for_those_who_may_read_them(sink: RedisSink, server: RedisServer, tmp_path: Path) -> None:
    tokens = make_access_file(tmp_path / "access.yaml", {"boss": ("supervisor", "default"), "wall": ("wallboard", "default")})
    settings = gateway_settings(server.url, access=tmp_path / "access.yaml")
    score = make_score(4000, -1.5)
    await finalise(sink, score, sentence="The customer seems negative (-1.5), above all because of the words: “never again”.")
    async with running_gateway(settings, loaded=False) as address, httpx.AsyncClient(base_url=address, verify=False) as client:
        async with asyncio.timeout(10):
            while (await client.get("/ready")).status_code != 200:
                await asyncio.sleep(0.05)
        for name, reads in (("boss", True), ("wall", False)):
            headers = bearer(tokens[name])
            paths = ["/sessions", f"/sessions/{SESSION}", f"/sessions/{SESSION}/windows", f"/windows/{SESSION}/customer/0-4000"]
            for path in paths:
                assert ("never again" in (await client.get(f"/api/v1{path}", headers=headers)).text) == reads, (name, path)
            async with events(address, f"{ONE}&after=start", headers) as stream:
                assert (b"never again" in await stream.named("batch")) == reads


async def test_a_stream_ends_when_its_token_is_taken_away(sink: RedisSink, server: RedisServer, tmp_path: Path) -> None:
    path = tmp_path / "access.yaml"
    tokens = make_access_file(path, {"wall": ("wallboard", "default")})
    async with running_gateway(gateway_settings(server.url, access=path), loaded=False) as address:
        async with events(address, ALL, bearer(tokens["wall"])) as stream:
            await stream.named("hello")
            path.write_text("tokens:\n")
            with pytest.raises(EOFError):
                async with asyncio.timeout(10):
                    await stream.named("never")
        async with httpx.AsyncClient(base_url=address, verify=False) as client:
            assert (await client.get(ALL, headers=bearer(tokens["wall"]))).status_code == 401


async def test_a_token_cannot_take_the_streams_of_others(sink: RedisSink, server: RedisServer, tmp_path: Path) -> None:
    tokens = make_access_file(tmp_path / "access.yaml", {"wall": ("wallboard", "default"), "boss": ("supervisor", "default")})
    settings = gateway_settings(server.url, access=tmp_path / "access.yaml", streams_each=1)
    async with running_gateway(settings, loaded=False) as address, httpx.AsyncClient(base_url=address, verify=False) as client:
        async with events(address, ALL, bearer(tokens["wall"])) as stream:
            await stream.named("hello")
            refused = await client.get(ALL, headers=bearer(tokens["wall"]))
            assert (refused.status_code, "streams_each" in refused.json()["detail"]) == (429, True)
            async with events(address, ALL, bearer(tokens["boss"])) as other:
                await other.named("hello")
        async with asyncio.timeout(10):
            while (await client.get("/api/v1/stream?session=wrong", headers=bearer(tokens["wall"]))).status_code == 429:
                await asyncio.sleep(0.1)


async def test_a_browser_at_an_unknown_address_gets_a_page_and_a_program_a_problem(sink: RedisSink, settings: Settings) -> None:
    async with running_gateway(settings) as address, httpx.AsyncClient(base_url=address, verify=False) as client:
        for place, accepted, found in (
            ("/nowhere", "text/html,*/*;q=0.8", "text/html"),
            ("/nowhere", "application/json", "application/problem+json"),
            ("/api/v1/nowhere", "text/html", "application/problem+json"),
            ("/assets/nowhere.js", "text/html", "application/problem+json"),
        ):
            answer = await client.get(place, headers={"Accept": accepted})
            assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (404, found), place
