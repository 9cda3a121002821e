"""The audio encoder on every RAVDESS actor: folds of actors, fairness by sex and actor, answers under planted nuisances.

python -m benchmarks.voice [--quick] [--folds N]     progress on stderr, one JSON object as the last line

Every actor is tested once, by a network that never heard that actor. Folds that are finished in --runs are not trained again,
and a fold that was stopped goes on from its last epoch. --quick trains two folds for two epochs, to see that everything runs.
Faces are not audited here: FER2013 says neither sex nor person.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.machine import machine, versions
from stream.config.settings import PROJECT_ROOT
from stream.training import corpora
from stream.training.voice import VoiceRecipe, fill_shelf
from stream.training.voice_folds import Heard, actor_folds, run_fold, summary

FOLDS = 4
QUICK = replace(VoiceRecipe(), epochs=2, variants=1)
SEED = 0


def measure(data: Path, runs: Path, recipe: VoiceRecipe, folds: int, progress: Progress) -> tuple[dict[str, Any], list[tuple[int, ...]]]:
    """All folds, trained or read from ``runs``; their numbers and their actors."""
    voices = corpora.read_voices(data)
    parts = actor_folds([voice.actor for voice in voices], folds)
    files = [runs / f"fold-{fold + 1}-of-{folds}.npz" for fold in range(folds)]
    if missing := [fold for fold, file in enumerate(files) if not file.is_file()]:
        shelf = fill_shelf(voices, recipe.variants, SEED, progress)
        for fold in missing:
            begun = time.monotonic()
            state = files[fold].with_suffix(".state")
            run_fold(voices, shelf, parts[fold], recipe, fold=fold, progress=progress, state=state).save(files[fold])
            state.unlink()
            print(f"fold {fold + 1} of {folds}: {time.monotonic() - begun:.0f} s", file=sys.stderr)
    return summary(Heard.together([Heard.load(file) for file in files])), parts


def main() -> None:
    """Measure, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two folds of two epochs")
    parser.add_argument("--folds", type=int, help=f"how many folds of actors ({FOLDS})")
    parser.add_argument("--runs", type=Path, help="folder of finished folds; default: runs/voice, with --quick runs/quick/voice")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = Path(os.environ.get("SENTISTREAM_DATA", PROJECT_ROOT.parent / "shared" / "data"))
    runs = options.runs or Path("runs/quick/voice" if options.quick else "runs/voice")
    recipe = QUICK if options.quick else VoiceRecipe()
    folds = options.folds or (2 if options.quick else FOLDS)
    begun = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        results, parts = measure(data, runs, recipe, folds, progress)
    found = {
        "benchmark": "voice",
        "quick": options.quick,
        "folds": [list(part) for part in parts],
        "recipe": asdict(recipe),
        "seed": SEED,
        **results,
        "seconds": round(time.monotonic() - begun),
        "machine": machine(),
        "versions": versions("torch"),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
