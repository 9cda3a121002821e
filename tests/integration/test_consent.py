"""Real Faust, broker and Redis: a consent is withdrawn in mid-session and a worker is killed; every window is as without the fault."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest
from kafka import KafkaProducer

from stream.config.settings import Settings
from stream.domain.identity import SessionKey
from stream.domain.modality import Modality
from stream.domain.session_events import SessionConsent, SessionEnd, SessionStart, TrackEnd, TrackPlan
from stream.local.environment import child_environment
from stream.sinks.redis_sink import RedisSink
from tests.fakes.processing_context import FakeWorker
from tests.support.delivery import SECONDS, committed, finals, send, unique_sessions, until, worker
from tests.support.settings import own_settings

SENT = (Modality.TEXT, Modality.AUDIO)
START = SessionStart(0, (TrackPlan("customer", "customer", SENT),), consent=True)
END = SessionEnd(0, SECONDS * 1000, (TrackEnd("customer", dict.fromkeys(SENT, SECONDS)),))
WITHDRAWN_AT_S = 5
WITHDRAWAL = SessionConsent(0, WITHDRAWN_AT_S * 1000, consent=False)
WITHHELD = {Modality.AUDIO: "consent", Modality.VIDEO: "consent"}
ENDS = [4000, 6000, 8000, 10_000, 12_000, 14_000]
EXPECTED = [(end_ms, {} if end_ms <= WITHDRAWN_AT_S * 1000 else WITHHELD) for end_ms in ENDS]


@pytest.fixture
def settings(kafka_bootstrap: str, redis_url: str) -> Settings:
    return own_settings("consent", kafka_bootstrap, redis_url, session_timeout_s=6.0, fetch_max_wait_ms=20)


@pytest.mark.parametrize("killed_at_s", [WITHDRAWN_AT_S, WITHDRAWN_AT_S + 2])
async def test_a_withdrawal_holds_for_the_worker_that_takes_over(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path, killed_at_s: int
) -> None:
    sessions, factory, prefix = unique_sessions(6), FakeWorker(), settings.kafka.topic_prefix
    async with worker(settings, tmp_path, "first") as first, worker(settings, tmp_path, "second"):
        send(producer, prefix, *(factory.event(START, session) for session in sessions))
        for seq in range(SECONDS):
            if seq == WITHDRAWN_AT_S:
                send(producer, prefix, *(factory.event(WITHDRAWAL, session) for session in sessions))
                await asyncio.sleep(0.5)
            words = (factory.words(seq, session=session) for session in sessions)
            sound = (factory.media(seq, Modality.AUDIO, 0, session=session) for session in sessions)
            send(producer, prefix, *words, *sound)
            await asyncio.sleep(0.2)
            if seq == killed_at_s:
                first.send_signal(signal.SIGKILL)
        send(producer, prefix, *(factory.event(END, session) for session in sessions))
        await finals(store, sessions)
        for session in sessions:
            found = await store.finals(SessionKey("acme", session))
            assert [(final.end_ms, final.withheld) for final in found] == EXPECTED
            assert all(Modality.AUDIO not in final.modalities_expected for final in found if final.withheld)
        for modality in SENT:
            await until(lambda modality=modality: committed(settings, f"{prefix}chunks.{modality}") == SECONDS * len(sessions), 20)  # type: ignore[misc]


async def test_the_command_withdraws_in_a_running_session(
    settings: Settings, producer: KafkaProducer, store: RedisSink, tmp_path: Path
) -> None:
    (session,), factory, prefix = unique_sessions(1), FakeWorker(), settings.kafka.topic_prefix
    # The command takes some seconds to start: they are no silence.
    settings = settings.model_copy(update={"windows": settings.windows.model_copy(update={"idle_after_ms": 60_000})})
    async with worker(settings, tmp_path, "one"):
        words = [factory.words(seq, session=session) for seq in range(SECONDS)]
        sound = [factory.media(seq, Modality.AUDIO, 0, session=session) for seq in range(SECONDS)]
        send(producer, prefix, factory.event(START, session), *words[:5], *sound[:5])
        await finals(store, [session], count=1)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stream.cli", "consent", session, "--tenant", "acme", "--withdraw", "--from", str(WITHDRAWN_AT_S)),
            env=child_environment(settings),
        )
        assert await asyncio.wait_for(process.wait(), 60) == 0
        await asyncio.sleep(0.5)
        send(producer, prefix, *words[5:], *sound[5:], factory.event(END, session))
        await finals(store, [session])
    assert [(final.end_ms, final.withheld) for final in await store.finals(SessionKey("acme", session))] == EXPECTED
