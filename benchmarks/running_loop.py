"""Reveal to Revise on the running product, for a nuisance of sound: ``python -m benchmarks.running_loop MODELS --versions 1 2 3``.

MODELS is a repository with, for example, version 2 biased on purpose (``python -m research.benchmarks.reveal --write hiss MODELS``) and
version 3 revised (``sentistream revise hiss --from 2 --models MODELS``). A stack of its own is started. Each version is promoted with one
command, and test voices of the corpora, four seconds each, are streamed three times: as they are, with the nuisance on the positive ones
(agreeing, as planted) and with it on the others (flipped). Nothing but the voice is sent. Then the workers' own report is read
(`sentistream reveal --live`).

The last line of the output is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.running_sessions import command, sent, worker
from stream.config.settings import Settings
from stream.domain.inference import LABELS
from stream.domain.live_reveal import LiveReport
from stream.domain.media_format import SAMPLE_RATE
from stream.domain.result import ScoreRecord
from stream.encoders.window_of_words import WINDOW_MS
from stream.kafka_admin.topics import ensure_topics
from stream.local.stack import Stack
from stream.model_repository.repository import build_encoders
from stream.nuisances.marks import AnyMark, mark_named
from stream.reveal.corpora import corpus_windows
from stream.reveal.windows import RawWindow
from stream.sinks.connection import RedisConnection
from stream.sinks.live_reveal import LiveRevealStore
from stream.training.corpora import POSITIVE, Part

CONDITIONS = ("clean", "agreeing", "flipped")
SEED = 1


def main() -> None:
    """Run the loop, and print a line for each version."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.running_loop", description=__doc__)
    data = os.environ.get("SENTISTREAM_DATA")
    parser.add_argument("models", type=Path, metavar="MODELS", help="model repository with the versions")
    parser.add_argument("--versions", nargs="+", default=["1", "2", "3"], help="versions of mmci")
    parser.add_argument("--mark", default="hiss", help="name of the nuisance")
    parser.add_argument("--windows", type=int, default=60, help="voices")
    parser.add_argument("--data", type=Path, default=Path(data) if data else None, required=not data, help="folder of the corpora")
    options = parser.parse_args()
    windows = corpus_windows(options.data, Part.TEST, options.windows, SEED)
    with tempfile.TemporaryDirectory(prefix="sentistream-loop-") as folder:
        print(json.dumps(asyncio.run(loop(options.models, options.versions, mark_named(options.mark), windows, Path(folder)))))


async def loop(models: Path, versions: Sequence[str], mark: AnyMark, windows: Sequence[RawWindow], folder: Path) -> dict[str, Any]:
    """Numbers by version, and the strengths of the workers' report."""
    build_encoders(models)
    defaults = Settings()
    own = defaults.model_copy(
        update={
            "triton": defaults.triton.model_copy(update={"model_repository": models}),
            "windows": defaults.windows.model_copy(update={"idle_after_ms": 120_000}),
            "reveal": defaults.reveal.model_copy(update={"share": 1.0}),
        }
    )
    found: dict[str, Any] = {}
    async with Stack(own, folder / "run") as stack:
        settings = stack.settings
        ensure_topics(settings.kafka)
        async with worker(settings, folder / "worker.log"):
            for version in versions:
                await command(settings, "models", "promote", version, "--force")
                finals = {}
                for condition in CONDITIONS:
                    file = _recording(folder / f"{condition}.wav", windows, mark, condition)
                    finals[condition] = await sent(settings, file, f"{condition}-{version}", "--no-asr")
                found[version] = _numbers(finals, windows, mark)
                print(f"version {version}: " + ", ".join(f"{name} {value:.3f}" for name, value in found[version].items()))
        report = await _report(settings)
    live = (
        {}
        if report is None
        else {f"{own.name}, version {own.version}": own.strength for own in report.nuisances if own.found_by == "battery"}
    )
    suspects = [] if report is None else [f"{own.name}, version {own.version}" for own in report.suspects]
    return {"versions": found, "live": live, "suspects": suspects}


def _recording(file: Path, windows: Sequence[RawWindow], mark: AnyMark, condition: str) -> Path:
    """The voices one after the other, each in a window of its own."""
    length = WINDOW_MS * SAMPLE_RATE // 1000
    with wave.open(str(file), "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(SAMPLE_RATE)
        for index, raw in enumerate(windows):
            marked = condition != "clean" and (raw.polarity == POSITIVE) == (condition == "agreeing")
            heard = raw.with_mark(mark, mark.usual, np.random.default_rng(index)) if marked else raw
            samples = np.zeros(length, np.int16)
            samples[: len(heard.samples)] = heard.samples
            written.writeframes(samples.astype("<i2").tobytes())
    return file


def _numbers(finals: dict[str, list[ScoreRecord]], windows: Sequence[RawWindow], mark: AnyMark) -> dict[str, float]:
    """Accuracy in each condition, the share of the clean windows that are warned of the mark, and the number of windows."""
    numbers = {}
    for condition, records in finals.items():
        by_end = {own.end_ms: own for own in records}
        right = [
            (own := by_end.get((index + 1) * WINDOW_MS)) is not None and own.label == LABELS[raw.polarity or 0]
            for index, raw in enumerate(windows)
        ]
        numbers[f"accuracy {condition}"] = float(np.mean(right))
    scored = [own for own in finals["clean"] if own.score is not None]
    numbers["warned"] = float(np.mean([f"nuisance_sensitive:{mark.name}" in own.warnings for own in scored]))
    return numbers | {"windows": float(sum(map(len, finals.values())))}


async def _report(settings: Settings) -> LiveReport | None:
    redis = RedisConnection(settings.redis)
    try:
        return await LiveRevealStore(redis, settings.reveal.hours).report()
    finally:
        await redis.close()


if __name__ == "__main__":
    main()
