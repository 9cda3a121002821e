"""What the aligner alone costs: CPU microseconds per chunk and bytes per session, by number of sessions.

As in timeit, Python's cycle collector is off while time is taken: the aligner makes no cycles.

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
from pathlib import Path

from benchmarks.machine import machine, versions
from stream.align.grid import HoppingGrid
from stream.align.outcome import EncodedChunk
from stream.align.session import SessionAligner
from stream.align.track import WindowPolicy
from stream.config.settings import LimitSettings, WindowSettings
from stream.domain.chunk import ChunkHeader, ContentType
from stream.domain.features import TextFeatures
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.lifecycle import SessionStart, TrackPlan
from stream.domain.modality import MODALITIES, Modality

CONTENT = {Modality.TEXT: ContentType.WORDS, Modality.AUDIO: ContentType.PCM, Modality.VIDEO: ContentType.JPEG}
SETTINGS = WindowSettings()
POLICY = WindowPolicy(
    HoppingGrid(SETTINGS.length_ms, SETTINGS.hop_ms), SETTINGS.allowed_lateness_ms, SETTINGS.idle_after_ms, SETTINGS.partial_every_ms
)
NOTHING_SAID = TextFeatures(())
"""Stands for the features of every chunk: the aligner carries them and never looks."""
WARM_UP_S = 12
RESIDENT_FROM = 1000
"""With so many sessions the process's memory says what one takes."""
Sessions = list[tuple[SessionAligner[int], TrackKey]]


def open_sessions(count: int) -> Sessions:
    """Sessions of one track with three modalities."""
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
            max_held=LimitSettings().chunks_held_per_session,
            now=0,
        )
        aligner.on_start(SessionStart(0, (TrackPlan("customer", "customer", MODALITIES),)), 0)
        track = TrackKey(key, "customer")
        aligner.open_track(track, "customer", None, 0)
        opened.append((aligner, track))
    return opened


def second_of(track: TrackKey, second: int) -> list[EncodedChunk[int]]:
    """One second of all modalities, as it comes out of the encoders."""
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
            NOTHING_SAID,
            second,
            second.to_bytes(8, "big"),
        )
        for modality in MODALITIES
    ]


def play(sessions: Sessions, second: int) -> float:
    """Give every session one second of media; the CPU time spent in the aligner alone, in seconds."""
    spent = 0.0
    for first in range(0, len(sessions), 1000):
        batch = [(aligner, second_of(track, second)) for aligner, track in sessions[first : first + 1000]]
        now = second * 1000
        begun = time.process_time()
        for aligner, chunks in batch:
            for chunk in chunks:
                aligner.on_chunk(chunk, now)
            aligner.on_time(now)
        spent += time.process_time() - begun
    return spent


def measure(count: int, rounds: int, chunks_per_round: int) -> tuple[float, float]:
    """Median over rounds of the microseconds per chunk, and the bytes per session with its held chunks.

    A round is a whole number of hops, so that each closes as many windows. What features hold is left out.
    """
    gc.collect()
    before = resident_bytes()
    sessions = open_sessions(count)
    for second in range(WARM_UP_S):
        play(sessions, second)
    gc.collect()
    size = (resident_bytes() - before) / count
    gc.disable()
    seconds = max(2, chunks_per_round // (3 * count) // 2 * 2)
    second = WARM_UP_S
    found = []
    for number in range(rounds):
        spent = sum(play(sessions, second + offset) for offset in range(seconds))
        second += seconds
        found.append(spent * 1e6 / (seconds * 3 * count))
        print(f"{count} sessions, round {number + 1} of {rounds}: {found[-1]:.1f} us a chunk", file=sys.stderr)
    gc.enable()
    return statistics.median(found), size if count >= RESIDENT_FROM else allocated_bytes(count)


def resident_bytes() -> int:
    """Memory of this process (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def allocated_bytes(count: int) -> float:
    """Bytes per session by tracemalloc: exact for few sessions, slow for many."""
    tracemalloc.start()
    sessions = open_sessions(count)
    for second in range(WARM_UP_S):
        play(sessions, second)
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / count


def main() -> None:
    """Measure, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="up to 10,000 sessions and fewer rounds")
    quick = parser.parse_args().quick
    counts = (1, 1000, 10_000) if quick else (1, 1000, 100_000)
    rounds, chunks = (5, 6000) if quick else (9, 60_000)
    measured = {str(count): measure(count, rounds, chunks) for count in counts}
    result = {
        "benchmark": "align",
        "quick": quick,
        "us_per_chunk": {count: round(us, 2) for count, (us, _) in measured.items()},
        "bytes_per_session": {count: round(size) for count, (_, size) in measured.items()},
        "rounds": rounds,
        "machine": machine(),
        "versions": versions(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
