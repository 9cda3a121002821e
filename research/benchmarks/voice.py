"""The voice encoder alone: every actor of RAVDESS by folds, every corpus of voices left out in turn.

python -m research.benchmarks.voice [--quick] [--folds N]     progress on stderr, one JSON object as the last line

The evidence of the projection is measured before MMCI: by folds of actors of RAVDESS (with sex, actor and planted nuisances), and on
each corpus with the projection of all others. Frozen features of the recordings are kept in --runs, where `sentistream train` keeps
them, too; delete these files to encode the recordings again. --quick takes every tenth recording and two folds, to check the set-up; a
full run writes research/benchmarks/results/voice.json and the tables of docs/research/voices.md.
There is no such audit of faces: FER2013 gives neither the sex nor the identity of a person.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import Progress

from benchmarks.machine import machine, versions
from benchmarks.markdown import markdown_table
from research.command_line import console, errors_as_sentences, folders_of, parser_of, progress_bars
from research.pages import RESULTS, VOICES_PAGE, fill_page, write_result
from research.voices.evidence import left_out_measures
from research.voices.folds import CORPUS, PlantedFeatures, actor_folds, run_folds, summary
from stream.training import corpora
from stream.training.recipe import VOICE_FEATURES
from stream.training.voice import VoiceRecipe, kept_features
from stream.training.voice_features import frozen_encoder

FOLDS = 4
QUICK_STEP = 10
SEED = 0
STORED = RESULTS / "voice.json"
APART = "tess"
"""Corpus that is left out of the means: two speakers who say one sentence, which is easy."""

STATES = ("alone", "in conversation")

Numbers = Mapping[str, Any]


def measure(
    data: Path, runs: Path, recipe: VoiceRecipe, folds: int, progress: Progress, *, step: int = 1
) -> tuple[dict[str, Any], list[tuple[int, ...]]]:
    """All metrics, and the actors of each fold; `step` takes only every so many recordings."""
    voices = corpora.read_voices(data)[::step]
    encoder = frozen_encoder()
    features = kept_features(runs / "live" / VOICE_FEATURES, voices, encoder, variants=recipe.variants, seed=SEED, progress=progress)
    acted = [voice for voice in voices if voice.corpus == CORPUS]
    planted = PlantedFeatures.kept(runs / "voice" / "planted.npz", acted, encoder, progress)
    parts = actor_folds([int(voice.speaker) for voice in acted], folds)
    found = summary(run_folds(voices, features, planted, recipe, parts), SEED)
    console.print(f"{folds} folds: sign {found['in conversation']['sign']['macro_recall']:.3f}")
    return found | {"left_out": left_out_measures(voices, features, recipe, SEED)}, parts


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
        numbers = [f"{own['macro_recall']:.3f} ± {own['sd_of_folds']:.3f}" for own in (found[state][name] for state in STATES)]
        own = found["in conversation"][name]
        rows.append([title, f"{own['n']:,}", *numbers, f"{own['accuracy']:.3f}"])
    return markdown_table(["classes", "n", "macro recall, alone", "macro recall, in conversation", "accuracy, in conversation"], rows)


def confusion_table(found: Numbers) -> str:
    """Confusion of emotions; rows are acted, columns predicted."""
    counts: Mapping[str, Mapping[str, int]] = found["confusion"]
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


def evidence_table(found: Numbers) -> str:
    """Each corpus left out: first alone, then in conversation; and the mean of all but one."""
    corpora_of: Mapping[str, Numbers] = found["left_out"]
    headline = [own for name, own in corpora_of.items() if name != APART]
    rows = [
        _evidence(name, f"{own['alone']['n']:,.0f}", {state: [own[state]] for state in STATES})
        for name, own in sorted(corpora_of.items(), key=lambda item: item[0] == APART)
    ]
    mean = _evidence(f"**mean without {APART}**", "", {state: [own[state] for own in headline] for state in STATES})
    return markdown_table(["corpus", "n", *EVIDENCE_NUMBERS.values()], [*rows, mean] if headline else rows)


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
EVIDENCE_NUMBERS = {
    "emotion": "emotions, recall",
    "polarity": "polarity, recall",
    "polarity_of_emotions": "polarity by emotions, recall",
    "happy_negative": "happy against negative, AUC",
    "happy_negative_of_emotions": "the same by emotions",
    "arousal": "arousal, AUC",
}
PAGE_TABLES: Mapping[str, Callable[[Numbers], str]] = {
    "folds": folds_table,
    "confusion": confusion_table,
    "groups": groups_table,
    "nuisances": nuisances_table,
    "evidence": evidence_table,
}


def _spreads(fairness: Numbers) -> list[list[float]]:
    return [fairness["actor_min_max_sd"][name] for name in GROUP_NUMBERS]


def _group(name: str, own: Numbers) -> list[str]:
    title = {"male": "men", "female": "women"}.get(name, f"actor {name}")
    return [title, f"{own['n']:.0f}", *(f"{own[key]:.3f}" for key in GROUP_NUMBERS)]


def _evidence(title: str, n: str, measured: Mapping[str, list[Numbers]]) -> list[str]:
    """A row with the means over corpora in both states; empty where a corpus does not have the classes."""
    cells = []
    for name in EVIDENCE_NUMBERS:
        numbers = [[own[name] for own in measured[state]] for state in STATES]
        cells.append(" / ".join(f"{np.mean(own):.3f}" for own in numbers if None not in own))
    return [title, n, *cells]


def fill_tables_of(found: Numbers) -> bool:
    """Fill this benchmark's tables of docs/research/voices.md; returns whether the page changed."""
    return fill_page(VOICES_PAGE, {name: partial(table, found) for name, table in PAGE_TABLES.items()})


def main() -> None:
    """Run the benchmark and print its result."""
    parser = parser_of("research.benchmarks.voice", __doc__)
    parser.add_argument("--quick", action="store_true", help="take every tenth recording and write nothing to docs")
    parser.add_argument("--folds", type=int, help=f"number of folds of actors (default {FOLDS})")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folders = folders_of(options)
    recipe = VoiceRecipe(variants=1) if options.quick else VoiceRecipe()
    folds = options.folds or (2 if options.quick else FOLDS)
    begun = time.monotonic()
    with errors_as_sentences(), progress_bars() as progress:
        step = QUICK_STEP if options.quick else 1
        results, parts = measure(folders.data, folders.runs, recipe, folds, progress, step=step)
    found = {
        "benchmark": "voice",
        "quick": options.quick,
        "folds": [list(part) for part in parts],
        "recipe": asdict(recipe),
        "seed": SEED,
        **results,
        "seconds": round(time.monotonic() - begun),
        "machine": machine(),
        "versions": versions("torch", "onnxruntime", "numpy"),
    }
    if not options.quick:
        write_result(STORED, found)
        fill_tables_of(found)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
