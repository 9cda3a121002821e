"""What `--quality` costs and what it does to scores.

    python -m benchmarks.quality [FILM ...]

Each film goes through `sentistream demo --speed max` with each quality. The table has the bytes of a minute, the CPU time that sending
takes, the pictures in which workers find a face, and how far scores are from those of ``high``, the quality with the most pixels and
pictures. Without files it takes the packaged sample.

Progress goes to stderr; the last line of stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine, versions
from stream.cli.run_report import percentile
from stream.domain.chunk import ContentType
from stream.domain.media_format import VIDEO_PER_SECOND
from stream.media.decode import sample_frames
from stream.media.face_detector import FaceDetector
from stream.media.face_search import FaceSearch
from stream.media.media_info import Selection
from stream.media.quality import VideoQuality
from stream.media.reader import FileReader
from stream.produce.sample import FACES

MAX_PIXELS = 8_300_000

console = Console(stderr=True)


def sent(films: Sequence[Path], quality: VideoQuality) -> dict[str, float]:
    """What is sent of the films' pictures, and in how many of them a face is found."""
    detector = FaceDetector()
    media_ms = payload = pictures = faces = 0
    cpu_s = 0.0
    for film in films:
        video = FileReader(str(film), None, quality).info.video[0].index
        began = time.process_time()
        pieces = list(FileReader(str(film), Selection(video=video), quality).pieces())
        cpu_s += time.process_time() - began
        media_ms += sum(piece.duration_ms for piece in pieces)
        payload += sum(len(piece.payload) for piece in pieces)
        for piece in pieces:
            search = FaceSearch(detector)
            for _, picture in sample_frames(piece.payload, ContentType.VIDEO_MP4, VIDEO_PER_SECOND, MAX_PIXELS):
                pictures += 1
                faces += bool(search.faces(picture))
    return {
        "kilobytes_a_minute": round(payload * 60 / media_ms),
        "cpu_ms_a_second": round(cpu_s * 1e6 / media_ms, 1),
        "pictures": pictures,
        "with_a_face": faces,
    }


def scores(films: Sequence[Path], quality: VideoQuality) -> dict[tuple[int, int], tuple[float | None, str | None]]:
    """Score and label of each final window, by the number of its film and its end."""
    words = [f"--transcript={film.with_suffix('.vtt')}" for film in films if film.with_suffix(".vtt").is_file()]
    command = [
        sys.executable,
        "-m",
        "stream.cli",
        "demo",
        *map(str, films),
        *words,
        "--no-asr",
        "--speed=max",
        "--json",
        f"--quality={quality}",
    ]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ).stdout.splitlines()
    records: list[dict[str, Any]] = [json.loads(line) for line in lines]
    places = {recording["session"]: number for number, recording in enumerate(records[-1]["recordings"])}
    finals = (record for record in records if record["event"] == "score")
    return {(places[final["session"]], final["end_ms"]): (final["score"], final["label"]) for final in finals}


def changes(
    found: dict[tuple[int, int], tuple[float | None, str | None]], reference: dict[tuple[int, int], tuple[float | None, str | None]]
) -> dict[str, float]:
    """How far scores are from those of a reference."""
    pairs = [(found[window], reference[window]) for window in sorted(found.keys() & reference.keys())]
    distances = [abs(a[0] - b[0]) for a, b in pairs if a[0] is not None and b[0] is not None]
    return {
        "windows": len(pairs),
        "score_change_mean": round(sum(distances) / len(distances), 3),
        "score_change_p95": round(percentile(distances, 95), 3),
        "label_changes": sum(a[1] != b[1] for a, b in pairs),
    }


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", nargs="*", type=Path, help="films; those with a transcript (.vtt) beside them first")
    films = parser.parse_args().films or [FACES]
    by_quality = {quality: scores(films, quality) for quality in reversed(VideoQuality)}
    rows = {quality: sent(films, quality) | changes(found, by_quality[VideoQuality.HIGH]) for quality, found in by_quality.items()}
    table = Table("", *rows, box=None, header_style="bold")
    for name in rows[VideoQuality.HIGH]:
        table.add_row(name.replace("_", " "), *(str(row[name]) for row in rows.values()))
    console.print(table)
    print(json.dumps({"qualities": rows, "films": len(films), "machine": machine(), "versions": versions()}))


if __name__ == "__main__":
    main()
