"""The audio encoder on every RAVDESS actor: folds of actors, fairness by sex and actor, answers under planted nuisances.

python -m research.benchmarks.voice [--quick] [--folds N]     progress on stderr, one JSON object as the last line

Every actor is tested once, by a network that was not trained on this actor. Folds that are finished in --runs are not trained
again, and an interrupted fold resumes from its last epoch. --quick trains two folds for two epochs, to check the set-up; a full
run writes research/benchmarks/results/voice.json and the tables of docs/research/voices.md.
There is no such audit of faces: FER2013 gives neither the sex nor the identity of a person.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress

from benchmarks.machine import machine, versions
from benchmarks.markdown import markdown_table
from research.command_line import console, errors_as_sentences, folders_of, parser_of, progress_bars
from research.pages import RESULTS, VOICES_PAGE, fill_page, write_result
from research.voices.folds import FoldAnswers, actor_folds, run_fold, summary
from stream.training import corpora
from stream.training.voice import VoiceRecipe, make_variants

FOLDS = 4
QUICK = replace(VoiceRecipe(), epochs=2, variants=1)
SEED = 0
STORED = RESULTS / "voice.json"

Numbers = Mapping[str, Any]


def measure(data: Path, runs: Path, recipe: VoiceRecipe, folds: int, progress: Progress) -> tuple[dict[str, Any], list[tuple[int, ...]]]:
    """Train the folds that are not in `runs`; returns the metrics of all folds, and their actors."""
    voices = corpora.read_voices(data)
    parts = actor_folds([voice.actor for voice in voices], folds)
    files = [runs / f"fold-{fold + 1}-of-{folds}.npz" for fold in range(folds)]
    if missing := [fold for fold, file in enumerate(files) if not file.is_file()]:
        variants = make_variants(voices, recipe.variants, SEED, progress)
        for fold in missing:
            begun = time.monotonic()
            state = files[fold].with_suffix(".state")
            run_fold(voices, variants, parts[fold], recipe, fold=fold, progress=progress, state=state).save(files[fold])
            state.unlink()
            console.print(f"fold {fold + 1} of {folds}: {time.monotonic() - begun:.0f} s")
    return summary(FoldAnswers.together([FoldAnswers.load(file) for file in files])), parts


def folds_table(found: Numbers) -> str:
    """Metrics of all actors, with the deviation over folds."""
    titles = {
        "emotion": "8 emotions",
        "polarity": "polarity",
        "sign": "sign of the valence",
        "sign_without_zero": "sign without neutral",
    }
    rows = []
    for name, title in titles.items():
        own = found[name]
        spread = f"{own['sd_of_folds']:.3f}" if "sd_of_folds" in own else ""
        rows.append([title, f"{own['n']:,}", f"{own['macro_recall']:.3f}", spread, f"{own['accuracy']:.3f}"])
    return markdown_table(["classes", "n", "macro recall", "sd of folds", "accuracy"], rows)


def confusion_table(found: Numbers) -> str:
    """Confusion of emotions; rows are acted, columns predicted."""
    counts: Mapping[str, Mapping[str, int]] = found["emotion"]["confusion"]
    return markdown_table(
        ["acted \\ predicted", *counts], [[name, *(str(predicted[other]) for other in counts)] for name, predicted in counts.items()]
    )


def groups_table(found: Numbers) -> str:
    """Metrics by sex, then by actor."""
    fairness = found["fairness"]
    rows = [_group(name, own) for name, own in (fairness["sex"] | fairness["actor"]).items()]
    gap = ["women minus men", "", *(f"{fairness['female_minus_male'][name]:+.3f}" for name in GROUP_NUMBERS)]
    low_high = ["actors, least to most", "", *(f"{low:.3f} to {high:.3f}" for low, high, _ in _spreads(fairness))]
    deviation = ["actors, standard deviation", "", *(f"{sd:.3f}" for _, _, sd in _spreads(fairness))]
    return markdown_table(["speakers", "n", *GROUP_NUMBERS.values()], [*rows[:2], gap, low_high, deviation, *rows[2:]])


def nuisances_table(found: Numbers) -> str:
    """Changes of the answers to the same recordings under nuisances."""
    rows = [[name, *(f"{own[key]:.3f}" for key in NUISANCE_NUMBERS)] for name, own in found["nuisances"].items()]
    return markdown_table(["condition", *NUISANCE_NUMBERS.values()], rows)


GROUP_NUMBERS = {
    "emotion_accuracy": "emotions, accuracy",
    "sign_accuracy": "sign, accuracy",
    "mean_score": "mean valence",
    "share_called_negative": "called negative",
}
NUISANCE_NUMBERS = {
    "emotion_macro_recall": "emotions, macro recall",
    "sign_macro_recall": "sign, macro recall",
    "emotion_changed": "emotion changed",
    "sign_changed": "sign changed",
    "mean_score_shift": "change of mean valence",
}
PAGE_TABLES: Mapping[str, Callable[[Numbers], str]] = {
    "folds": folds_table,
    "confusion": confusion_table,
    "groups": groups_table,
    "nuisances": nuisances_table,
}


def _spreads(fairness: Numbers) -> list[list[float]]:
    return [fairness["actor_min_max_sd"][name] for name in GROUP_NUMBERS]


def _group(name: str, own: Numbers) -> list[str]:
    title = {"male": "men", "female": "women"}.get(name, f"actor {name}")
    return [title, f"{own['n']:.0f}", *(f"{own[key]:.3f}" for key in GROUP_NUMBERS)]


def fill_tables_of(found: Numbers) -> bool:
    """Fill the tables of docs/research/voices.md; returns whether the page changed."""
    return fill_page(VOICES_PAGE, {name: partial(table, found) for name, table in PAGE_TABLES.items()})


def main() -> None:
    """Run the benchmark and print its result."""
    parser = parser_of("research.benchmarks.voice", __doc__)
    parser.add_argument("--quick", action="store_true", help="train two folds for two epochs and write nothing to docs")
    parser.add_argument("--folds", type=int, help=f"number of folds of actors (default {FOLDS})")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folders = folders_of(options)
    recipe = QUICK if options.quick else VoiceRecipe()
    folds = options.folds or (2 if options.quick else FOLDS)
    begun = time.monotonic()
    with errors_as_sentences(), progress_bars() as progress:
        results, parts = measure(folders.data, folders.runs / "voice", recipe, folds, progress)
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
    if not options.quick:
        write_result(STORED, found)
        fill_tables_of(found)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
