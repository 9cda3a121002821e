"""All systems do the same job, one after the other in each round: other work on the machine changes how far a CPU second goes."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from benchmarks.pipeline_runs import ceiling
from benchmarks.pipeline_runs.capacity import Progress
from benchmarks.pipeline_runs.systems import OURS, READING, Bench, Job

WITHOUT_WINDOWS = (READING,)


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
    """Let all systems do the same job, one after the other, in several rounds."""
    comparison = Comparison()
    for index in range(rounds):
        for system in systems:
            run = await bench.run(replace(job, system=system))
            if system not in WITHOUT_WINDOWS and not run.kept_up:
                progress(f"  {system} did not keep up: {run.windows} windows of {run.expected:.0f}")
            comparison.ms[system].append(run.cpu_s_per_window * 1000)
            if system == OURS:
                comparison.batches.append(run.batch)
                comparison.parts.append({name: cpu_s * 1000 / (run.windows or run.expected) for name, cpu_s in run.cpu_s.items()})
                for name, cpu_s in ceiling.cpu_s_per_window(max(1, round(run.batch)), 64).items():
                    comparison.ceilings[name].append(cpu_s * 1000)
            progress(f"round {index + 1} of {rounds}: {system} {comparison.ms[system][-1]:.2f} ms of CPU time per window")
        progress(f"  the model alone: torch {comparison.ceilings['torch'][-1]:.2f} ms, batches of {comparison.batches[-1]:.1f}")
    return comparison
