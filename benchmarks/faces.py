"""Whether faces are found as well as by a full search of every picture, and what finding them costs.

    python -m benchmarks.faces [--chunks N] [--clips DIR] [--quality QUALITY] [--quick]

The product searches a chunk once and follows the faces through its other pictures (``searched``). A full search of every picture is beside
it (``every frame``). Both look at

- films that show one person at a time: the packaged sample, and the films of ``--clips``;
- chunks put together from the heads of the sample, on patterns without a face: small, dark, turned and moving faces, two of them, cuts;
- whole windows of the films, with their words and voices: how far scores and labels move.

Progress goes to stderr; the last line of stdout is one JSON object: ``films``, ``composites``, ``scores``, ``cost``, ``missed``. The exit
code is 1 if a guard is missed: as many faces and no more false boxes on the films than every frame, a face of 20 % of the height found in
95 of 100 pictures, two faces in 98; a change of the score of .05 at most on average and .20 at p95, without another label.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.face_runs.clips import Tally, boxes_of, chunks_of, on_films
from benchmarks.face_runs.composites import KINDS, Maker, heads_of
from benchmarks.face_runs.paths import Path as FacePath
from benchmarks.face_runs.paths import paths
from benchmarks.face_runs.scores import score_change
from benchmarks.machine import machine, versions
from stream.config.settings import Settings
from stream.media.face_detector import FaceDetector, Reduced
from stream.media.face_search import FaceSearch
from stream.media.picture import Picture
from stream.media.quality import VideoQuality
from stream.produce.prepare import MediaRequest
from stream.produce.sample import FACES

SMALLEST, PAIR, NOBODY = "a face of 20 % of the height", "two faces", "nobody"
MIN_RATES = {SMALLEST: 0.95, PAIR: 0.98}
MAX_CHANGE = {"mean": 0.05, "p95": 0.20, "flips": 0}
SUFFIXES = (".mp4", ".mkv", ".webm", ".mov")
CALLS = 15

console = Console(stderr=True)


def on_composites(detector: FaceDetector, sample: Sequence[Sequence[Picture]], count: int, seed: int) -> dict[str, tuple[Tally, Tally]]:
    """Both paths on `count` chunks of each kind, with the heads of the sample."""
    maker = Maker(heads_of([picture for chunk in sample for picture in chunk[::2]], detector), np.random.default_rng(seed))
    found = {}
    for kind, make in KINDS.items():
        tallies = Tally(), Tally()
        for _ in range(count):
            chunk = make(maker)
            for path, tally in zip(paths(detector), tallies, strict=True):
                for frame, boxes in zip(chunk, boxes_of([frame.picture for frame in chunk], path, tally), strict=True):
                    tally.add(frame.boxes, boxes)
        found[kind] = tallies
        console.print(f"{kind}: {found[kind][1].row()}")
    return found


def parts_ms(detector: FaceDetector, picture: Picture) -> dict[str, float]:
    """CPU time of the parts of a search, for a picture with a large face."""
    reduced, search = Reduced.of(picture), FaceSearch(detector)
    search.faces(picture)
    wide = np.asarray(cv2.resize(picture, (1280, 720), interpolation=cv2.INTER_LINEAR), np.uint8)
    parts: dict[str, Callable[[], object]] = {
        "scale 1280x720 down": lambda: Reduced.of(wide),
        "search for large faces": lambda: detector.large_squares(reduced.small),
        "search for all sizes": lambda: detector.quick_squares(reduced.small),
        "follow a face": lambda: search.faces(picture),
    }
    return {name: round(statistics.median(_times_ms(part)), 2) for name, part in parts.items()}


def _times_ms(part: Callable[[], object]) -> list[float]:
    times = []
    for _ in range(CALLS):
        began = time.process_time()
        part()
        times.append(1000 * (time.process_time() - began))
    return times


def missed(films: tuple[Tally, Tally], composites: dict[str, tuple[Tally, Tally]], scores: dict[str, float] | None) -> list[str]:
    """The guards that do not hold."""
    every_frame, searched = films
    found = []
    if searched.found < every_frame.found:
        found.append(f"films: {searched.found} faces found, every frame {every_frame.found}")
    if searched.false > every_frame.false:
        found.append(f"films: {searched.false} false boxes, every frame {every_frame.false}")
    for kind, least in MIN_RATES.items():
        rate = composites[kind][1].row()["rate"]
        if rate < least:
            found.append(f"{kind}: found {rate}, at least {least} expected")
    for name, most in MAX_CHANGE.items():
        if scores is not None and scores[name] > most:
            found.append(f"score change, {name}: {scores[name]}, at most {most} expected")
    return found


def cost(films: tuple[Tally, Tally], composites: dict[str, tuple[Tally, Tally]]) -> dict[str, dict[str, float]]:
    """CPU ms of a chunk on both paths, and their ratio."""
    found = {}
    for name, pair in {"with a face": films, "with a small face": composites[SMALLEST], "without a face": composites[NOBODY]}.items():
        every_frame, searched = (float(tally.row()["ms"]) for tally in pair)
        found[name] = {"every_frame": every_frame, "searched": searched, "ratio": round(searched / every_frame, 3)}
    return found


def show(result: dict[str, Any]) -> None:
    """Print the tables."""
    table = Table("faces", "found: every frame", "searched", "false: every frame", "searched", box=None, header_style="bold")
    for name, pair in {"films": result["films"], **result["composites"]}.items():
        before, after = pair["every_frame"], pair["searched"]
        rates = [f"{row['found']} of {row['faces']}" for row in (before, after)]
        table.add_row(name, *rates, str(before["false"]), str(after["false"]))
    console.print(table)
    costs = Table("CPU ms of a chunk", "every frame", "searched", "ratio", box=None, header_style="bold")
    for name, row in result["cost"]["chunk"].items():
        costs.add_row(name, *(str(value) for value in row.values()))
    for name, ms in result["cost"]["parts"].items():
        costs.add_row(name, "", str(ms), "")
    console.print(costs)
    console.print(f"change of the score: {result['scores']}")


def _pair(tallies: tuple[Tally, Tally]) -> dict[str, dict[str, float]]:
    return {name: tally.row() for name, tally in zip(("every_frame", "searched"), tallies, strict=True)}


def _request(film: Path) -> MediaRequest:
    beside, below = film.with_suffix(".vtt"), film.parent / "transcripts" / f"{film.stem}.vtt"
    return MediaRequest(film, next((words for words in (beside, below) if words.is_file()), None), recognise=False)


def _films(folder: Path | None) -> Sequence[Path]:
    others = sorted(film for film in folder.iterdir() if film.suffix in SUFFIXES) if folder is not None and folder.is_dir() else []
    return [FACES, *others]


def main() -> int:
    """Measure, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = os.environ.get("SENTISTREAM_DATA")
    clips = Path(data) / "clips" if data else None
    parser.add_argument("--chunks", type=int, default=10, help="composites of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clips", type=Path, default=clips, help="more films of one person each; by default clips/ of $SENTISTREAM_DATA")
    parser.add_argument("--quality", type=VideoQuality, choices=[*VideoQuality], default=VideoQuality.MODEL, help="pictures of the films")
    parser.add_argument("--quick", action="store_true", help="the packaged sample alone, few composites, no scores")
    options = parser.parse_args()
    detector = FaceDetector()
    every_frame, searched = paths(detector)
    films = _films(None if options.quick else options.clips)
    sample = chunks_of(FACES, VideoQuality.HIGH)
    composites = on_composites(detector, sample, 6 if options.quick else options.chunks, options.seed)
    on_clips = on_films(films, options.quality, every_frame, searched)
    console.print(f"films: {on_clips[1].row()}")
    scores = None if options.quick else _scores(films, every_frame, searched)
    result = {
        "films": _pair(on_clips),
        "composites": {kind: _pair(pair) for kind, pair in composites.items()},
        "scores": scores,
        "cost": {"chunk": cost(on_clips, composites), "parts": parts_ms(detector, sample[0][0])},
        "missed": missed(on_clips, composites, scores),
    }
    show(result)
    print(json.dumps({"benchmark": "faces", **result, "machine": machine(), "versions": versions("numpy", "opencv-python-headless")}))
    return 1 if result["missed"] else 0


def _scores(films: Sequence[Path], every_frame: FacePath, searched: FacePath) -> dict[str, float]:
    return score_change([_request(film) for film in films], every_frame, searched, Settings().triton.model_repository)


if __name__ == "__main__":
    sys.exit(main())
