"""All systems do the same job, one after the other in each round: other work on the machine changes how far a CPU second goes."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.pipeline_runs import ceiling, fer_peer
from benchmarks.pipeline_runs.capacity import Progress
from benchmarks.pipeline_runs.raw_media import Clip
from benchmarks.pipeline_runs.systems import FLOOR, OURS, READING, Bench, Job
from stream.domain.kafka_records import decode_text
from stream.domain.modality import Modality

WITHOUT_WINDOWS = (READING, FLOOR)
PEER_SESSIONS = 4


@dataclass
class Comparison:
    """CPU milliseconds per window.

    Attributes:
        ms: Of each system, by round.
        parts: Of each part of sentistream, by round.
        ceilings: Of the model alone in torch and in ONNX Runtime, by round.
        batches: Mean number of windows that Triton computed at once, by round.
    """

    ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    parts: list[dict[str, float]] = field(default_factory=list)
    ceilings: dict[str, list[float]] = field(default_factory=lambda: {"torch": [], "onnxruntime": []})
    batches: list[float] = field(default_factory=list)

    def ratio(self, other: Sequence[float]) -> float:
        """How many times sentistream's CPU time another system needs: median of the ratios of each round."""
        return round(statistics.median(other_ms / our_ms for other_ms, our_ms in zip(other, self.ms[OURS], strict=True)), 2)


async def compare(bench: Bench, job: Job, systems: Sequence[str], rounds: int, progress: Progress) -> Comparison:
    """Let all systems do the same job, one after the other, in several rounds. Sentistream is the first: the floor takes its batches."""
    comparison = Comparison()
    for index in range(rounds):
        for system in systems:
            batch = max(1, round(comparison.batches[-1])) if comparison.batches else 1
            run = await bench.run(replace(job, system=system, batch=batch))
            if system not in WITHOUT_WINDOWS and not run.kept_up:
                progress(f"  {system} did not keep up: {run.missing} of {run.due} windows did not come")
            comparison.ms[system].append(run.cpu_s_per_window * 1000)
            if system == OURS:
                comparison.batches.append(run.batch)
                comparison.parts.append({name: cpu_s * 1000 / (run.windows or run.due) for name, cpu_s in run.cpu_s.items()})
                for name, cpu_s in ceiling.cpu_s_per_window(max(1, round(run.batch)), 64).items():
                    comparison.ceilings[name].append(cpu_s * 1000)
            windows = run.windows or run.due
            parts = ", ".join(f"{part} {cpu_s * 1000 / windows:.2f}" for part, cpu_s in run.own_cpu_s.items())
            progress(f"round {index + 1} of {rounds}: {system} {comparison.ms[system][-1]:.2f} ms of CPU time per window ({parts})")
        progress(f"  the model alone: torch {comparison.ceilings['torch'][-1]:.2f} ms, batches of {comparison.batches[-1]:.1f}")
    return comparison


@dataclass(frozen=True, slots=True)
class RawComparison:
    """CPU milliseconds of each system for a session-second of raw media, and the number of sessions that each had."""

    ms: Mapping[str, float]
    sessions: Mapping[str, int]

    def ratio(self, system: str) -> float:
        """How many times sentistream's CPU time another system needs for a session-second."""
        return round(self.ms[system] / self.ms[OURS], 2)


async def compare_raw(bench: Bench, job: Job, systems: Sequence[str], progress: Progress) -> RawComparison:
    """Let all systems do the same job from raw media.

    A peer is full with a handful of sessions, and its cost does not depend on their number: it gets `PEER_SESSIONS`.
    """
    ms, sessions = dict[str, float](), dict[str, int]()
    for system in systems:
        run = await bench.run(replace(job, system=system, sessions=job.sessions if system == OURS else PEER_SESSIONS))
        if not run.kept_up:
            progress(f"  {system} did not keep up: {run.missing} of {run.due} windows did not come")
        sessions[system] = run.job.sessions
        ms[system] = sum(run.own_cpu_s.values()) * 1000 / (run.took_s * run.job.sessions)
        progress(f"raw media: {system} {ms[system]:.2f} ms of CPU time for a session-second")
    return RawComparison(ms, sessions)


def fer_ms(python: Path, clip: Clip, folder: Path) -> float:
    """CPU milliseconds for a session-second of `fer_peer`, which runs with another Python. Raises ``CalledProcessError``."""
    folder.mkdir()
    for number, pieces in enumerate(clip):
        by_modality = {piece.modality: piece.payload for piece in pieces}
        (folder / f"{number:03}.mp4").write_bytes(by_modality[Modality.VIDEO])
        words = decode_text(by_modality[Modality.TEXT]).words
        (folder / f"{number:03}.txt").write_text(" ".join(word.text for word in words), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    printed = subprocess.run([python, fer_peer.__file__, folder], capture_output=True, text=True, check=True, env=environment)
    return float(json.loads(printed.stdout.splitlines()[-1])["ms"])
