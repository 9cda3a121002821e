"""How well the served models judge voices and faces that they have not been trained on.

    python -m benchmarks.generalise [--quick] [--data FOLDER] [--voices FOLDER]

The corpora of voices go through the running product (an embedded stack with a worker). A session is sound alone: recordings of one speaker
in a random order, with pauses. The answer to a recording is the mean of its windows. Faces are test images of FER2013 for the served
encoder and MMCI. A corpus that the served models were trained on does not show how they generalise: docs/model-card.md lists these.

``--voices`` names the folder of one corpus or of several. A corpus has a ``labels.csv`` with the columns file (16 kHz mono), emotion (in
the vocabulary of RAVDESS) and valence (in [-1, 1]). ``--quick`` draws a part of each corpus.

Progress goes to stderr; the last line of stdout is one JSON object: ``voice`` (the measures of each corpus) and ``face``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.generalise_runs import faces, voices
from benchmarks.generalise_runs.product import answers
from benchmarks.machine import machine, versions
from stream.config.project import PROJECT_ROOT

QUICK_RECORDINGS = 140
QUICK_IMAGES = 500

Measures = Mapping[str, float | int | None]
console = Console(stderr=True)


def measure_voices(folders: Sequence[Path], most: int | None) -> dict[str, Measures]:
    """Measure the product on every corpus of the folders, with at most `most` recordings of each."""
    measured: dict[str, Measures] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    for folder in folders:
        for name, recordings in voices.corpora(folder).items():
            chosen = recordings if most is None else voices.sample(recordings, most, seed=0)
            with Progress(*columns, console=console) as progress:
                measured[name] = voices.measures(chosen, asyncio.run(answers(chosen, progress, name)))
    return measured


def print_table(title: str, rows: Mapping[str, Measures]) -> None:
    """Print measures as a table, one line for each corpus."""
    table = Table(title, *next(iter(rows.values())), box=None, header_style="bold")
    for name, numbers in rows.items():
        table.add_row(name, *("" if n is None else f"{n:.3f}" if isinstance(n, float) else str(n) for n in numbers.values()))
    console.print(table)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given = os.environ.get("SENTISTREAM_DATA")
    parser.add_argument("--quick", action="store_true", help=f"at most {QUICK_RECORDINGS} recordings of each corpus")
    parser.add_argument("--data", type=Path, default=given, help="folder of the corpora, by default SENTISTREAM_DATA")
    parser.add_argument(
        "--voices", type=Path, help="folder of one corpus of voices or of several; by default voices/ and ravdess/ of --data"
    )
    options = parser.parse_args()
    if options.data is None and options.voices is None:
        parser.error("name the folder of the corpora with --data or SENTISTREAM_DATA, or a corpus of voices with --voices")
    folders = [options.voices] if options.voices else [options.data / "voices", options.data / "ravdess"]
    try:
        voice = measure_voices(folders, QUICK_RECORDINGS if options.quick else None)
        face = None
        if options.data is not None:
            face = faces.measures(options.data, PROJECT_ROOT / "triton_models", QUICK_IMAGES if options.quick else None)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"generalise: {error}")
    print_table("voices", voice)
    if face is not None:
        print_table("faces", {"FER2013": face})
    print(json.dumps({"voice": voice, "face": face, "machine": machine(), "versions": versions("onnxruntime", "numpy")}))


if __name__ == "__main__":
    main()
