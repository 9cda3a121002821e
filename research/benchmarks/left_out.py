"""Every corpus of voices through the running product, with models that have never heard it.

python -m research.benchmarks.left_out [--quick] [--corpora NAME ...]     progress on stderr, one JSON object as the last line

For each corpus, the projection of the voice encoder and MMCI are trained on all others, with the recipe of the served models and one
seed. The encoders of text and face are the served ones. Then the corpus goes through an embedded stack with a worker, as in
benchmarks.generalise. The models of a corpus are kept in left-out/CORPUS of --runs and its measures in left-out/CORPUS.json. Neither is
made again: delete the folder to train and measure again, or the file to measure again. --quick trains for one epoch and measures a part
of each corpus, to check the set-up; a full run writes research/benchmarks/results/left_out.json and a table of docs/research/voices.md.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from rich.progress import Progress
from rich.table import Table

from benchmarks.generalise import QUICK_RECORDINGS
from benchmarks.generalise_runs import voices
from benchmarks.generalise_runs.product import answers
from benchmarks.machine import machine, versions
from benchmarks.markdown import markdown_table
from research.command_line import console, errors_as_sentences, folders_of, parser_of, progress_bars
from research.experiments.run import Folders
from research.pages import RESULTS, VOICES_PAGE, fill_page, read_result, write_result
from research.voices.left_out import Inputs, train_without
from stream.config.service_settings import TritonSettings
from stream.config.settings import Settings
from stream.training import recipe as recipes
from stream.training.files import replace_text

SEED = 0
STORED = RESULTS / "left_out.json"
HEADLINE = ("ravdess", "emovo", "urdu", "nemo", "turev")
"""Corpora of the mean. TESS is apart: two speakers who say one sentence, which is easy."""

COLUMNS = {
    "recordings": "recordings",
    "polarity_recall": "polarity, recall",
    "happy_negative_auc": "happy against negative, AUC",
    "arousal_auc": "arousal, AUC",
    "ece": "calibration error",
    "wrong_strong": "wrong and strong",
    "right_strong": "right and strong",
}

Measures = dict[str, float | int | None]


class Run:
    """One run of the benchmark.

    Args:
        folders: Corpora, results, and the repository with the served encoders.
        recipe: The recipe of the training.
        most: Most recordings that are measured of a corpus; None for all.
        progress: Shows progress bars.
    """

    def __init__(self, folders: Folders, recipe: recipes.Recipe, most: int | None, progress: Progress) -> None:
        self._folders, self._recipe, self._most, self._progress = folders, recipe, most, progress

    def measure(self, corpus: str, recordings: Sequence[voices.Recording]) -> Measures:
        """The measures of a corpus, which is left out of a training if there is none yet."""
        repository = self._folders.runs / "left-out" / corpus
        file = repository.with_name(f"{corpus}.json")
        if not repository.is_dir():
            file.unlink(missing_ok=True)
            train_without(
                corpus, self._inputs, self._folders.repository, repository, recipe=self._recipe, seed=SEED, progress=self._progress
            )
        if not file.is_file():
            chosen = list(recordings) if self._most is None else voices.sample(recordings, self._most, SEED)
            settings = Settings(triton=TritonSettings(model_repository=repository))
            answered = asyncio.run(answers(chosen, self._progress, corpus, settings))
            replace_text(file, json.dumps(voices.measures(chosen, answered)) + "\n")
        found: Measures = json.loads(file.read_text(encoding="utf-8"))
        return found

    @cached_property
    def _inputs(self) -> Inputs:
        own = self._folders
        return Inputs.read(own.data, own.repository, own.runs, recipe=self._recipe, seed=SEED, progress=self._progress)


def mean_of(measured: Mapping[str, Measures]) -> Measures:
    """The means over `HEADLINE`, as far as these corpora are measured."""
    rows = [measured[name] for name in HEADLINE if name in measured]
    means: Measures = {}
    for name in COLUMNS:
        numbers = [number for row in rows if (number := row[name]) is not None]
        means[name] = float(np.mean(numbers)) if numbers else None
    return means | {"recordings": sum(int(row["recordings"] or 0) for row in rows)}


def rows_of(measured: Mapping[str, Measures]) -> list[list[str]]:
    """The cells of the table: a row for each corpus, the mean, and the corpus that is apart."""
    apart = {name: own for name, own in measured.items() if name not in HEADLINE}
    headline = {name: measured[name] for name in HEADLINE if name in measured}
    rows = headline | ({"mean": mean_of(measured)} if headline else {}) | apart
    return [[name, *(_cell(own[key]) for key in COLUMNS)] for name, own in rows.items()]


def _cell(number: float | None) -> str:
    return "" if number is None else f"{number:,}" if isinstance(number, int) else f"{number:.3f}"


def fill_tables_of(found: Mapping[str, Any]) -> bool:
    """Fill this benchmark's table of docs/research/voices.md; returns whether the page changed."""
    measured = found.get("corpora", {})
    return fill_page(VOICES_PAGE, {"corpora": partial(markdown_table, ["corpus", *COLUMNS.values()], rows_of(measured))}, of="left-out")


def main() -> None:
    """Run the benchmark and print its result."""
    parser = parser_of("research.benchmarks.left_out", __doc__)
    parser.add_argument("--quick", action="store_true", help="train for one epoch, measure a part, and write nothing to docs")
    parser.add_argument("--corpora", nargs="+", metavar="NAME", help="leave out only these corpora; take the others as stored")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folders = folders_of(options)
    with errors_as_sentences(), progress_bars() as progress:
        known = voices.corpora(folders.data / "ravdess") | voices.corpora(folders.data / "voices")
        if unknown := set(options.corpora or ()) - set(known):
            parser.error(f"unknown corpora: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
        run = Run(folders, recipes.QUICK if options.quick else recipes.Recipe(), QUICK_RECORDINGS if options.quick else None, progress)
        measured = {name: run.measure(name, known[name]) for name in options.corpora or known}
    if not options.quick:
        measured = read_result(STORED).get("corpora", {}) | measured
    table = Table("corpus", *COLUMNS.values(), box=None, header_style="bold")
    for row in rows_of(measured):
        table.add_row(*row)
    console.print(table)
    found = {
        "corpora": measured,
        "mean": mean_of(measured),
        "seed": SEED,
        "machine": machine(),
        "versions": versions("torch", "onnxruntime"),
    }
    if not options.quick:
        write_result(STORED, found)
        fill_tables_of(found)
    print(json.dumps({"benchmark": "left_out", "quick": options.quick, **found}))


if __name__ == "__main__":
    main()
