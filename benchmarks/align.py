"""Cost of the aligner alone: CPU microseconds per chunk and bytes per session, by number of sessions.

As in timeit, Python's cycle collector is off during the measurement. The aligner creates no reference cycles, so no memory piles up.

python -m benchmarks.align [--quick]     progress on stderr, one JSON object as the last line
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import sys
import time
import tracemalloc
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from benchmarks.machine import machine, versions
from stream.align.outcome import EncodedChunk
from stream.align.session import SessionAligner
from stream.align.track import WindowPolicy
from stream.align.windower import HoppingWindower
from stream.config.media_settings import WindowSettings
from stream.config.worker_settings import LimitSettings
from stream.domain.chunk import ChunkHeader, ContentType
from stream.domain.features import TextFeatures
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.modality import MODALITIES, Modality
from stream.domain.session_events import SessionStart, TrackPlan

CONTENT = {Modality.TEXT: ContentType.WORDS, Modality.AUDIO: ContentType.PCM, Modality.VIDEO: ContentType.JPEG}
SETTINGS = WindowSettings()
POLICY = WindowPolicy(
    HoppingWindower(SETTINGS.length_ms, SETTINGS.hop_ms),
    SETTINGS.allowed_lateness_ms,
    SETTINGS.idle_after_ms,
    SETTINGS.partial_every_ms,
    SETTINGS.max_skew_ms,
)
WARM_UP_S = 6
SECONDS_PER_BATCH = 100
"""Seconds of media that are prepared at a time: 300 chunks, few enough to stay in the processor's cache until they are used."""
RESIDENT_FROM = 1000
"""From this number of sessions on, the size of a session is measured by the memory of the process: tracemalloc would be too slow."""
Sessions = list[tuple[SessionAligner[int], TrackKey]]


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of the aligner for a given number of sessions.

    Attributes:
        us_per_chunk: CPU microseconds per chunk: median of the rounds.
        growth: Cost relative to the cost with the fewest sessions: median of the ratios of each round.
        bytes_per_session: Size of a session, including the chunks that it holds but not the contents of their features.
    """

    us_per_chunk: float
    growth: float
    bytes_per_session: float


def open_sessions(count: int) -> Sessions:
    """Open sessions, each with one track of three modalities."""
    opened: Sessions = []
    for number in range(count):
        key = SessionKey("bench", f"session-{number}")
        aligner: SessionAligner[int] = SessionAligner(
            key,
            0,
            POLICY,
            end_grace_ms=SETTINGS.end_grace_ms,
            expire_after_ms=SETTINGS.expire_after_ms,
            max_ahead_ms=SETTINGS.max_ahead_ms,
            max_back_ms=SETTINGS.max_back_ms,
            max_held=LimitSettings().chunks_held_per_session,
            now=0,
        )
        aligner.on_start(SessionStart(0, (TrackPlan("customer", "customer", MODALITIES),)), 0)
        track = TrackKey(key, "customer")
        aligner.open_track(track, "customer", None, 0)
        opened.append((aligner, track))
    return opened


def chunks_of(track: TrackKey, second: int) -> list[EncodedChunk[int]]:
    """Chunks with one second of each modality, as the encoders return them."""
    start_ms = second * 1000
    return [
        EncodedChunk(
            ChunkHeader(
                id=f"{modality}-{second}",
                source="bench",
                track=track,
                role="customer",
                modality=modality,
                seq=second,
                epoch=0,
                start_ms=start_ms,
                duration_ms=1000,
                captured_ms=1_700_000_001_000 + start_ms,
                content_type=CONTENT[modality],
            ),
            TextFeatures(()),
            second,
            second.to_bytes(8, "big"),
        )
        for modality in MODALITIES
    ]


def play(sessions: Sessions, first: int, seconds: int) -> float:
    """Feed some seconds of media to every session, one session after the other.

    Chunks are created just before the aligner receives them, in batches whose size does not depend on the number of sessions.

    Returns:
        CPU time spent in the aligner alone, in seconds.
    """
    spent = 0.0
    pending = ((aligner, track, second) for second in range(first, first + seconds) for aligner, track in sessions)
    while batch := [(aligner, second * 1000, chunks_of(track, second)) for aligner, track, second in islice(pending, SECONDS_PER_BATCH)]:
        started = time.process_time()
        for aligner, now, chunks in batch:
            for chunk in chunks:
                aligner.on_chunk(chunk, now)
            aligner.on_time(now)
        spent += time.process_time() - started
    return spent


def measure(counts: tuple[int, ...], rounds: int, chunks_per_round: int) -> dict[int, Cost]:
    """Measure the cost for each number of sessions.

    A round is a whole number of hops, so that every round closes the same number of windows. Each round measures every number of
    sessions, so that a temporarily slow machine affects all of them.
    """
    bytes_per_session = {count: allocated_bytes(count) for count in counts if count < RESIDENT_FROM}
    sessions = {}
    for count in counts:
        before = resident_bytes()
        sessions[count] = opened = open_sessions(count)
        play(opened, 0, WARM_UP_S)
        gc.collect()
        bytes_per_session.setdefault(count, (resident_bytes() - before) / count)
        print(f"{count} sessions: {bytes_per_session[count]:.0f} bytes each", file=sys.stderr)
    us_per_chunk: dict[int, list[float]] = {count: [] for count in counts}
    next_second = dict.fromkeys(counts, WARM_UP_S)
    gc.disable()
    for index in range(rounds):
        for count in counts:
            seconds = max(2, chunks_per_round // (3 * count) // 2 * 2)
            us_per_chunk[count].append(play(sessions[count], next_second[count], seconds) * 1e6 / (seconds * 3 * count))
            next_second[count] += seconds
            print(f"{count} sessions, round {index + 1} of {rounds}: {us_per_chunk[count][-1]:.1f} us per chunk", file=sys.stderr)
    gc.enable()
    fewest = us_per_chunk[min(counts)]
    return {
        count: Cost(
            statistics.median(us), statistics.median(mine / least for mine, least in zip(us, fewest, strict=True)), bytes_per_session[count]
        )
        for count, us in us_per_chunk.items()
    }


def resident_bytes() -> int:
    """Resident memory of this process (Linux only)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def allocated_bytes(count: int) -> float:
    """Bytes per session as tracemalloc counts them: exact, but slow for many sessions."""
    tracemalloc.start()
    sessions = open_sessions(count)
    play(sessions, 0, WARM_UP_S)
    gc.collect()
    total, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return total / count


def main() -> None:
    """Measure and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="up to 10,000 sessions and fewer rounds")
    quick = parser.parse_args().quick
    counts = (1, 1000, 10_000) if quick else (1, 1000, 100_000)
    rounds, chunks = (5, 6000) if quick else (5, 60_000)
    measured = measure(counts, rounds, chunks)
    result = {
        "benchmark": "align",
        "quick": quick,
        "us_per_chunk": {str(count): round(cost.us_per_chunk, 2) for count, cost in measured.items()},
        "growth": {str(count): round(cost.growth, 2) for count, cost in measured.items()},
        "bytes_per_session": {str(count): round(cost.bytes_per_session) for count, cost in measured.items()},
        "rounds": rounds,
        "machine": machine(),
        "versions": versions(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
