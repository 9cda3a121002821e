"""Sends sessions at live pace, watches one of them through gateways that may go away, and compares all windows with the expected ones.

``python -m benchmarks.host_runs.traffic SESSIONS SECONDS TOKEN GATEWAY…``; SENTISTREAM_* variables set the addresses of the services. The
last line is JSON. Workers count words instead of scoring them, so the right score of each window is known.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaProducer

from stream.client import GatewayError, Subscription
from stream.config.load import load_settings
from stream.config.settings import Settings
from stream.domain.identity import SessionKey
from stream.domain.modality import Modality
from stream.domain.result import ScoreRecord, SessionRecord
from stream.domain.session_events import SessionEnd, SessionStart, TrackEnd, TrackPlan
from stream.kafka_admin.connection import kafka_options
from stream.sinks.redis_sink import RedisSink
from tests.fakes.processing_context import FakeWorker
from tests.support.delivery import send

TENANT = "acme"
HOP_MS = 2000
SILENT_S = 5.0
"""A viewer whose gateway says nothing for so long goes on at the next one. While results come, there is one every two seconds."""
PATIENCE_S = 90.0


@dataclass(slots=True)
class Viewed:
    """What the viewer has seen."""

    windows: list[int] = field(default_factory=list)
    switches: int = 0
    ended: bool = False


async def send_live(settings: Settings, sessions: list[str], seconds: int) -> None:
    """One word a second for each session, and their ends."""
    factory, prefix = FakeWorker(), settings.kafka.topic_prefix
    start = SessionStart(0, (TrackPlan("customer", "customer", (Modality.TEXT,)),))
    end = SessionEnd(0, seconds * 1000, (TrackEnd("customer", {Modality.TEXT: seconds}),))
    producer = await asyncio.to_thread(lambda: KafkaProducer(**kafka_options(settings.kafka), acks="all"))
    began = time.monotonic()
    await asyncio.to_thread(send, producer, prefix, *(factory.event(start, session) for session in sessions))
    for second in range(seconds):
        await asyncio.sleep(max(0.0, began + second + 1 - time.monotonic()))
        await asyncio.to_thread(send, producer, prefix, *(factory.words(second, session=session) for session in sessions))
    await asyncio.to_thread(send, producer, prefix, *(factory.event(end, session) for session in sessions))
    await asyncio.to_thread(producer.close)


async def view(gateways: list[str], token: str, session: str) -> Viewed:
    """Follow a session until its summary, at whichever gateway answers."""
    viewed, position, at = Viewed(), "start", 0
    while not viewed.ended:
        subscription = Subscription(gateways[at % len(gateways)], f"{TENANT}/{session}", token, after=position)
        try:
            async with aclosing(aiter(subscription)) as results:  # type: ignore[type-var]
                while not viewed.ended:
                    result = await asyncio.wait_for(anext(results), SILENT_S)
                    if isinstance(result, ScoreRecord) and result.is_final:
                        viewed.windows.append(result.end_ms)
                    viewed.ended = isinstance(result, SessionRecord)
        except (TimeoutError, GatewayError, OSError):
            viewed.switches += 1
            at += 1
            await asyncio.sleep(0.5)
        position = subscription.position or position
    return viewed


def expected_windows(seconds: int) -> list[tuple[int, float | None]]:
    """End and number of words of every window."""
    whole: list[tuple[int, float | None]] = [(end, 4.0) for end in range(2 * HOP_MS, seconds * 1000 + 1, HOP_MS)]
    return [*whole, (seconds * 1000 + HOP_MS, 2.0)]


async def account(settings: Settings, sessions: list[str], seconds: int) -> dict[str, int]:
    """Wait until all windows are final, and compare."""
    expected, store = expected_windows(seconds), RedisSink(settings.redis)
    until = time.monotonic() + PATIENCE_S
    while True:
        found = {session: await store.finals(SessionKey(TENANT, session)) for session in sessions}
        if all(len(finals) >= len(expected) for finals in found.values()) or time.monotonic() > until:
            break
        await asyncio.sleep(0.5)
    await store.close()
    counts: Counter[str] = Counter(expected=len(sessions) * len(expected))
    for finals in found.values():
        ends = [final.end_ms for final in finals]
        counts["lost"] += len({end for end, _ in expected} - set(ends))
        counts["doubled"] += len(ends) - len(set(ends))
        counts["wrong"] += len({(final.end_ms, final.score) for final in finals} - set(expected))
    return {name: counts[name] for name in ("expected", "lost", "doubled", "wrong")}


async def run(sessions: int, seconds: int, token: str, gateways: list[str]) -> dict[str, Any]:
    """Send, watch and compare."""
    settings = load_settings()
    names = [f"call-{number}" for number in range(sessions)]
    watching = asyncio.create_task(view(gateways, token, names[0]))
    await send_live(settings, names, seconds)
    windows = await account(settings, names, seconds)
    viewed = await asyncio.wait_for(watching, PATIENCE_S)
    ends = [end for end, _ in expected_windows(seconds)]
    return {
        "windows": windows,
        "viewer": {
            "switches": viewed.switches,
            "missed": len(set(ends) - set(viewed.windows)),
            "doubled": len(viewed.windows) - len(set(viewed.windows)),
        },
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]))), flush=True)
