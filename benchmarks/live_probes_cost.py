"""What do the probes of the live stream cost? ``python -m benchmarks.live_probes_cost``.

The packaged sample, with its words, is sent to a stack of its own, without probes and with every window probed. The figure is the CPU time
of worker, decoders, Triton, Redis and broker for each final window; the sample is sent once before it is measured. The last line of the
output is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
from pathlib import Path

from benchmarks.pipeline_runs.meter import read
from benchmarks.running_sessions import sent, worker
from stream.config.settings import RevealSettings, Settings
from stream.kafka_admin.topics import ensure_topics
from stream.local.stack import Stack
from stream.model_repository.repository import build_encoders
from stream.produce.sample import CALL, FACES

RECORDINGS = ((CALL, "--channels", "agent,customer"), (FACES,))
SHARES = (0.0, 1.0)


def main() -> None:
    """Measure, and print the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_probes_cost", description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="how often the sample is sent")
    options = parser.parse_args()
    build_encoders(Settings().triton.model_repository)
    found = {share: asyncio.run(window_ms(share, options.times)) for share in SHARES}
    plain, probed = found.values()
    usual = RevealSettings().share
    more = 100 * usual * (probed / plain - 1)
    print(f"a window: {plain:.0f} ms of CPU time; probed: {probed:.0f} ms; at reveal.share {usual}: {more:.1f} % more")
    print(json.dumps({"plain_ms": round(plain, 1), "probed_ms": round(probed, 1)}))


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
