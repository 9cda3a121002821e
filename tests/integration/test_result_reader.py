"""The reader of results on a real Redis: all results once and in order, through outages."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr
from redis.exceptions import ConnectionError as RedisConnectionError

from stream.config.service_settings import RedisSettings
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.result import ExplanationRecord, Record, ScoreRecord, SessionRecord
from stream.explain.session_summary import summarise
from stream.local.ports import choose_port
from stream.local.redis_server import RedisServer
from stream.sinks.reader import ResultReader
from stream.sinks.redis_sink import RedisSink
from tests.fakes.results import SESSION, make_partial, make_score
from tests.support.finals import finalise

TRACK = TrackKey(SESSION, "customer")


@pytest.fixture
def redis_settings(server: RedisServer) -> RedisSettings:
    return RedisSettings(url=SecretStr(server.url), timeout_s=0.5, stream_length=10, result_ttl_s=1000)


async def take(reader: ResultReader, count: int) -> list[Record]:
    """The next records. Raises ``TimeoutError`` if they do not come."""
    found: list[Record] = []
    async with asyncio.timeout(20):
        async for received in reader:
            found.append(received.record)
            if len(found) == count:
                break
    return found


async def nothing_more(reader: ResultReader) -> bool:
    try:
        async with asyncio.timeout(0.8):
            async for _ in reader:
                return False
    except TimeoutError:
        return True
    return False


async def test_the_reader_sees_everything_once_and_in_order(sink: RedisSink, redis_settings: RedisSettings) -> None:
    await finalise(sink, make_score(4000))
    async with ResultReader(redis_settings) as reader:
        first = await take(reader, 2)
        await sink.put_partial(make_partial(6000))
        await finalise(sink, make_score(4000, track="agent"))
        await finalise(sink, make_score(6000))
        summary = summarise(SESSION, 0, await sink.finals(SESSION))
        await sink.put_summary(summary)
        rest = await take(reader, 5)
        assert await nothing_more(reader)
    assert [type(r) for r in first] == [ScoreRecord, ExplanationRecord]
    assert rest[-1] == summary
    windows = [r for r in rest if not isinstance(r, SessionRecord)]
    for track in ("agent", "customer"):
        assert [type(r) for r in windows if r.track == track] == [ScoreRecord, ExplanationRecord]


async def test_the_reader_is_woken_by_a_nudge_long_before_its_poll(sink: RedisSink, redis_settings: RedisSettings) -> None:
    async with ResultReader(redis_settings, poll_s=60) as reader:
        reading = asyncio.create_task(take(reader, 2))
        await asyncio.sleep(0.3)
        await finalise(sink, make_score(4000, session=SessionKey("default", "brand-new")))
        found = await asyncio.wait_for(reading, 3)
    assert all(not isinstance(r, SessionRecord) and r.session == "brand-new" for r in found)


async def test_the_reader_yields_partial_results_as_they_change(sink: RedisSink, redis_settings: RedisSettings) -> None:
    async with ResultReader(redis_settings, [SESSION]) as reader:
        await sink.put_partial(make_partial(4000, 0.5))
        assert await take(reader, 1) == [make_partial(4000, 0.5)]
        await sink.put_partial(make_partial(4000, 0.5))
        assert await nothing_more(reader)
        await sink.put_partial(make_partial(4000, 0.7, revision=1))
        assert await take(reader, 1) == [make_partial(4000, 0.7, revision=1)]


async def test_the_reader_can_skip_earlier_results(sink: RedisSink, redis_settings: RedisSettings) -> None:
    await finalise(sink, make_score(4000))
    await sink.put_partial(make_partial(6000))
    async with ResultReader(redis_settings, from_start=False) as reader:
        assert await nothing_more(reader)
        await finalise(sink, make_score(6000))
        found = await take(reader, 2)
    assert [(type(r), r.end_ms) for r in found if isinstance(r, ScoreRecord | ExplanationRecord)] == [
        (ScoreRecord, 6000),
        (ExplanationRecord, 6000),
    ]


@pytest.mark.parametrize("method", ["zrangebyscore", "pubsub"])
async def test_the_reader_continues_after_a_write_to_a_connection_that_was_just_cut(
    sink: RedisSink, redis_settings: RedisSettings, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    cut = RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")
    calls: list[str] = []

    async with ResultReader(redis_settings, poll_s=0.2) as reader:
        redis = await reader._redis.client()
        whole = getattr(redis, method)

        def call(*args: object, **options: object) -> object:
            calls.append(method)
            if len(calls) == 1:
                raise cut
            return whole(*args, **options)

        monkeypatch.setattr(redis, method, call)
        reading = asyncio.create_task(take(reader, 2))
        await asyncio.sleep(0.1)
        await finalise(sink, make_score(4000))
        assert [type(record) for record in await asyncio.wait_for(reading, 10)] == [ScoreRecord, ExplanationRecord]
        async with asyncio.timeout(10):
            while len(calls) < 2:
                await asyncio.sleep(0.05)
        assert reader._listener is not None
        assert not reader._listener.done()


async def test_the_reader_follows_only_the_requested_sessions(sink: RedisSink, redis_settings: RedisSettings) -> None:
    other, foreign = SessionKey("default", "call-2"), SessionKey("acme", "call-1")
    for session in (SESSION, other, foreign):
        await finalise(sink, make_score(4000, session=session))
    async with ResultReader(redis_settings, [other]) as reader:
        found = await take(reader, 2)
        assert await nothing_more(reader)
    assert {r.session for r in found} == {"call-2"}
    async with ResultReader(redis_settings, tenant="acme") as reader:
        found = await take(reader, 2)
        assert await nothing_more(reader)
    assert {r.tenant for r in found} == {"acme"}


async def test_the_reader_pages_through_a_long_session(sink: RedisSink, server: RedisServer) -> None:
    settings = RedisSettings(url=SecretStr(server.url))
    long = RedisSink(settings)
    for number in range(450):
        await finalise(long, make_score(4000 + number))
    await long.put_summary(summarise(SESSION, 0, await long.finals(SESSION)))
    await long.close()
    async with ResultReader(settings) as reader:
        found = await take(reader, 901)
    assert [r.end_ms for r in found if isinstance(r, ScoreRecord)] == [4000 + n for n in range(450)]
    assert isinstance(found[-1], SessionRecord)


async def test_the_reader_continues_where_it_stopped_after_an_outage(
    sink: RedisSink, server: RedisServer, redis_settings: RedisSettings
) -> None:
    await finalise(sink, make_score(4000))
    async with ResultReader(redis_settings, poll_s=0.2) as reader:
        assert len(await take(reader, 2)) == 2
        reading = asyncio.create_task(take(reader, 2))
        await asyncio.sleep(0.1)
        server.process.kill()
        await asyncio.sleep(1.0)
        await server.start()
        await finalise(sink, make_score(6000))
        found = await asyncio.wait_for(reading, 15)
        assert await nothing_more(reader)
    assert [(type(r), r.end_ms) for r in found if isinstance(r, ScoreRecord | ExplanationRecord)] == [
        (ScoreRecord, 6000),
        (ExplanationRecord, 6000),
    ]


async def test_the_reader_fails_at_once_without_redis() -> None:
    settings = RedisSettings(url=SecretStr(f"redis://127.0.0.1:{choose_port(0, 'nobody')}/0"), timeout_s=0.5)
    with pytest.raises(RedisConnectionError):
        async with ResultReader(settings):
            pass


async def test_the_reader_can_be_stopped_at_any_moment(redis_settings: RedisSettings) -> None:
    async def read(reader: ResultReader) -> None:
        async for _ in reader:
            pass

    for moment_s in (0, 0, 0.0005, 0.001, 0.002, 0.01) * 4:
        async with asyncio.timeout(3):
            async with ResultReader(redis_settings) as reader:
                reading = asyncio.create_task(read(reader))
                await asyncio.sleep(moment_s)
                reading.cancel()
                await asyncio.wait([reading])
