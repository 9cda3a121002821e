"""What do the probes of the live stream cost? ``python -m benchmarks.live_probes_cost``.

The packaged sample, with its words, is sent to two stacks at the same time, one without probes and one in which every window is probed: so
both have the same share of a busy machine. The figure is the CPU time of worker, decoders, Triton, Redis and broker for each final window;
the sample is sent once before it is measured. The last line of the output is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.pipeline_runs.meter import read
from benchmarks.running_sessions import sent, worker
from stream.config.settings import Settings
from stream.config.worker_settings import RevealSettings
from stream.kafka_admin.topics import ensure_topics
from stream.local.stack import Stack
from stream.model_repository.repository import build_encoders
from stream.produce.sample import CALL, FACES

RECORDINGS = ((CALL, "--channels", "agent,customer"), (FACES,))


def main() -> None:
    """Measure, and print the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_probes_cost", description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="how often the sample is sent")
    parser.add_argument("--share", type=float, help="measure one share only, and print the milliseconds of a window")
    options = parser.parse_args()
    if options.share is not None:
        print(asyncio.run(window_ms(options.share, options.times)))
        return
    build_encoders(Settings().triton.model_repository)
    plain, probed = asyncio.run(both(options.times))
    usual = RevealSettings().share
    more = 100 * usual * (probed / plain - 1)
    print(f"a window: {plain:.0f} ms of CPU time; probed: {probed:.0f} ms; at reveal.share {usual}: {more:.1f} % more")
    print(json.dumps({"plain_ms": round(plain, 1), "probed_ms": round(probed, 1)}))


async def both(times: int) -> list[float]:
    """CPU milliseconds of a final window without probes, and with them."""

    async def measured(share: float) -> float:
        command = (sys.executable, "-m", "benchmarks.live_probes_cost", "--times", str(times), "--share", str(share))
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
        return float(output.decode().splitlines()[-1])

    return list(await asyncio.gather(measured(0.0), measured(1.0)))


async def window_ms(share: float, times: int) -> float:
    """CPU milliseconds of a final window."""
    defaults = Settings()
    own = defaults.model_copy(
        update={
            "reveal": defaults.reveal.model_copy(update={"share": share}),
            "windows": defaults.windows.model_copy(update={"idle_after_ms": 120_000}),
        }
    )
    with tempfile.TemporaryDirectory(prefix="sentistream-cost-") as folder:
        async with Stack(own, Path(folder) / "run") as stack:
            ensure_topics(stack.settings.kafka)
            async with worker(stack.settings, Path(folder) / "worker.log"):
                windows, before = 0, 0.0
                for number in range(times + 1):
                    if number == 1:
                        windows, before = 0, _cpu_s()
                    for recording, *arguments in RECORDINGS:
                        finals = await sent(
                            stack.settings,
                            recording,
                            f"{recording.stem}-{number}",
                            "--transcript",
                            str(recording.with_suffix(".vtt")),
                            *arguments,
                        )
                        windows += len(finals)
                return (_cpu_s() - before) * 1000 / windows


def _cpu_s() -> float:
    """CPU time of this process and of all that it has started and that still run."""
    return read({"all": [os.getpid()]}).cpu_s["all"]


if __name__ == "__main__":
    main()
