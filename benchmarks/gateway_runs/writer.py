"""Writes the results of many live sessions to Redis through the worker's own sink: ``python -m benchmarks.gateway_runs.writer``.

The records are those of the packaged sample under other names and times. A window ends at the moment at which it is written, so that
whoever reads it knows how old it is: `media_end_at_ms`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from pydantic import SecretStr

from stream.config.service_settings import RedisSettings
from stream.domain.result import ExplanationRecord, PartialRecord, ScoreRecord
from stream.sinks.redis_sink import RedisSink

SAMPLE = Path(__file__).parent / "sample.jsonl"
EVERY_MS = 2000
"""Media time between two windows of a session, as with the default `windows.hop_ms`; between them comes a partial result."""
TENANTS = 4
SLOT_S = 0.02
"""Records are written in steps of this length."""


@dataclass(frozen=True, slots=True)
class Writing:
    """What was written.

    Attributes:
        records: Final and partial windows.
        latest_ms: How much later than planned the latest was begun.
    """

    records: int
    latest_ms: float


class Sessions:
    """The records of the sessions.

    Args:
        count: How many sessions.
    """

    def __init__(self, count: int) -> None:
        lines = SAMPLE.read_text(encoding="utf-8").splitlines()
        self._samples = [msgspec.json.decode(line, type=tuple[ScoreRecord, ExplanationRecord]) for line in lines]
        self.count = count

    def final(self, number: int, window: int, at_ms: int) -> tuple[ScoreRecord, ExplanationRecord]:
        """Score and explanation of a session's window, which ends at a wall clock (Unix ms)."""
        score, explanation = self._samples[(number + window) % len(self._samples)]
        end_ms = (window + 1) * EVERY_MS
        names = {"tenant": f"tenant-{number % TENANTS}", "session": f"call-{number:04}", "epoch": 0, "end_ms": end_ms}
        names["start_ms"] = end_ms - 2 * EVERY_MS if window else 0
        names["window_id"] = f"{names['tenant']}/{names['session']}/{score.track}/0-{end_ms}"
        score = msgspec.structs.replace(score, **names, media_end_at_ms=at_ms, track="customer", role="customer")
        names["window_id"] = f"{names['tenant']}/{names['session']}/customer/0-{end_ms}"
        score = msgspec.structs.replace(score, window_id=names["window_id"])
        return score, msgspec.structs.replace(explanation, **names, track="customer", role="customer")

    def partial(self, number: int, window: int, at_ms: int) -> PartialRecord:
        """The partial result of a session's window."""
        score, _ = self.final(number, window, at_ms)
        fields = {name: getattr(score, name) for name in score.__struct_fields__}
        return PartialRecord(**(fields | {"is_final": False, "revision": 0}))


async def write_past(sink: RedisSink, sessions: Sessions, windows: int, token: int) -> None:
    """Write the windows that the sessions have had before, as fast as possible."""
    now_ms = round(time.time() * 1000)
    for window in range(windows):
        at_ms = now_ms - (windows - window) * EVERY_MS
        await asyncio.gather(*(sink.finalise(*sessions.final(number, window, at_ms), token) for number in range(sessions.count)))


async def write_live(sink: RedisSink, sessions: Sessions, first_window: int, seconds: float, token: int) -> Writing:
    """Write at live pace: a final and a partial result of each session every `EVERY_MS`, evenly spread."""
    began, due, tasks, latest = time.monotonic(), _due(sessions.count, first_window, seconds), set[asyncio.Task[object]](), 0.0
    count = 0
    for offset_s, number, window, is_final in due:
        if (wait := began + offset_s - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        latest = max(latest, -wait)
        at_ms = round(time.time() * 1000)
        written = (
            sink.finalise(*sessions.final(number, window, at_ms), token)
            if is_final
            else sink.put_partial(sessions.partial(number, window, at_ms))
        )
        task: asyncio.Task[object] = asyncio.ensure_future(written)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        count += 1
    await asyncio.gather(*tasks)
    return Writing(count, round(latest * 1000, 1))


def _due(sessions: int, first_window: int, seconds: float) -> Iterator[tuple[float, int, int, bool]]:
    """When each record is due (s from the start, in steps of `SLOT_S`): its session, its window, and whether it is final."""
    every_s = EVERY_MS / 1000
    for half in range(int(2 * seconds / every_s)):
        for number in range(sessions):
            due_s = (half + number / sessions) * every_s / 2
            # Half of the sessions write a final window while the others write a partial one.
            is_final = (half + number) % 2 == 0
            yield due_s - due_s % SLOT_S, number, first_window + half // 2, is_final


async def run(url: str, sessions: int, past: int, seconds: float) -> Writing:
    """Write the past, say that it is written, and then write at live pace."""
    sink, of = RedisSink(RedisSettings(url=SecretStr(url))), Sessions(sessions)
    try:
        token = await sink.next_token()
        await write_past(sink, of, past, token)
        print(json.dumps({"event": "past_written"}), flush=True)
        return await write_live(sink, of, past, seconds, token)
    finally:
        await sink.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the arguments, and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--sessions", type=int, required=True)
    parser.add_argument("--past", type=int, required=True, help="windows that each session has had before")
    parser.add_argument("--seconds", type=float, required=True)
    given = parser.parse_args(arguments)
    written = asyncio.run(run(given.url, given.sessions, given.past, given.seconds))
    print(json.dumps({"event": "written", "records": written.records, "latest_ms": written.latest_ms}), flush=True)


if __name__ == "__main__":
    main()
