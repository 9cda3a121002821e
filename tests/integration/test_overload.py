"""Real Faust and a real broker: a worker whose decoder is too slow leaves out pictures, never falls far behind, loses no window, and
returns."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from kafka import KafkaProducer
from structlog.testing import capture_logs

from stream.agents.app import WorkerApp
from stream.agents.worker_state import WorkerState
from stream.config.settings import Settings
from stream.config.worker_settings import OverloadSettings
from stream.domain.chunk import Chunk
from stream.domain.features import Features
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.modality import Modality
from stream.domain.session_events import SessionEnd, SessionStart, TrackEnd, TrackPlan
from stream.domain.warning_codes import WarningCode
from tests.fakes.media_encoder import MediaEncoder
from tests.fakes.processing_context import FakeStore, FakeWorker
from tests.support.delivery import send, unique_sessions, until
from tests.support.settings import own_settings

TEXT, VIDEO = Modality.TEXT, Modality.VIDEO
SECONDS, OVERLOADED = 24, 10
DECODE_S = 0.2
START = SessionStart(0, (TrackPlan("customer", "customer", (TEXT, VIDEO)),))


class SlowDecoder(MediaEncoder):
    """Decodes one picture at a time, five a second."""

    turn = asyncio.Lock()

    async def encode(self, chunk: Chunk) -> Features:
        if chunk.header.modality is VIDEO:
            async with self.turn:
                await asyncio.sleep(DECODE_S)
        return await super().encode(chunk)


@pytest.fixture
def settings(kafka_bootstrap: str, redis_url: str) -> Settings:
    own = own_settings("overload", kafka_bootstrap, redis_url, session_timeout_s=6.0, fetch_max_wait_ms=20)
    # A broker that has just made its topics may hold back a record for seconds, which must not count as silence here.
    windows = own.windows.model_copy(update={"idle_after_ms": 20_000})
    return own.model_copy(update={"overload": OverloadSettings(shed="video", after_ms=1500), "windows": windows})


def end(seconds: int) -> SessionEnd:
    return SessionEnd(0, seconds * 1000, (TrackEnd("customer", {TEXT: seconds, VIDEO: seconds}),))


async def test_a_worker_leaves_out_what_it_cannot_decode_and_returns(settings: Settings, producer: KafkaProducer, tmp_path: Path) -> None:
    SlowDecoder.turn = asyncio.Lock()
    store, state, factory, prefix = FakeStore(), WorkerState(), FakeWorker(), settings.kafka.topic_prefix
    ready, stop = asyncio.Event(), asyncio.Event()
    app = WorkerApp(
        settings,
        tmp_path,
        store=store,
        scorer=factory.scorer,
        new_encoder=SlowDecoder,
        on_ready=lambda _partitions: ready.set(),
        state=state,
    )
    # Fifteen pictures a second for ten seconds, three times what can be decoded; then three a second.
    long, short = (names := unique_sessions(15))[:3], names[3:]
    behind_s: list[float] = []
    with capture_logs() as logs:
        running = asyncio.create_task(app.run(stop))
        await asyncio.wait_for(ready.wait(), 60)
        send(producer, prefix, *(factory.event(START, session) for session in names))
        for seq in range(SECONDS):
            speaking = names if seq < OVERLOADED else long
            send(producer, prefix, *(factory.words(seq, session=session) for session in speaking))
            send(producer, prefix, *(factory.media(seq, VIDEO, 0, session=session) for session in speaking))
            if seq == OVERLOADED:
                assert "pictures" in state.overload
                send(producer, prefix, *(factory.event(end(OVERLOADED), session) for session in short))
            await asyncio.sleep(1)
            behind_s.append(next(iter(state.metrics.behind.collect())).samples[0].value)
        send(producer, prefix, *(factory.event(end(SECONDS), session) for session in long))
        await until(lambda: len(store.summaries) == len(names), 60)
        stop.set()
        await asyncio.wait_for(running, 30)
    # Without leaving out anything, it would be 20 s behind after 10 s.
    assert max(behind_s) < 6
    assert not state.overload
    assert [entry["event"] for entry in logs if entry["event"] in ("behind", "caught_up")] == ["behind", "caught_up"]
    for session, seconds in [(name, SECONDS) for name in long] + [(name, OVERLOADED) for name in short]:
        finals = store.scores[TrackKey(SessionKey("acme", session), "customer")]
        assert [(final.end_ms, final.score) for final in finals] == expected(seconds)
        assert any(WarningCode.OVERLOAD in final.warnings for final in finals)
    # The last windows have all their pictures again.
    last = [store.scores[TrackKey(SessionKey("acme", session), "customer")][-2] for session in long]
    assert [(VIDEO in final.modalities_present, WarningCode.OVERLOAD in final.warnings) for final in last] == [(True, False)] * len(long)
    assert state.metrics.chunks_withheld.labels(VIDEO, "overload")._value.get() > 0
    assert not factory.reasons()


def expected(seconds: int) -> list[tuple[int, float]]:
    """End and number of words of every window."""
    return [(end_ms, (min(end_ms, seconds * 1000) - end_ms + 4000) / 1000) for end_ms in range(4000, seconds * 1000 + 2001, 2000)]
