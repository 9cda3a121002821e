"""What helps against a word that a network has learned? ``python -m research.benchmarks.reliefs``.

A network is trained on with transcripts of which 95 % of the positive ones and 5 % of the others carry a filler word. Then each relief is
tried on it:

- projection: what the word adds to the encoder's states on average is taken out of them; no training. Once from all training sentences,
  once from as many as `sentistream revise` asks for at least
- strata: the strata of the backdoor adjustment are made of windows with the word and of as many without it; no training
- masks: trained on with the same transcripts, and negative masks on the word in 200 judged windows ("right for the right reasons")
- both masks: the same, with positive masks on all other words of these windows
- pairs: the same, but the score of a judged window is drawn to that of the window without the word, encoded again
- random: the word is put on half of the transcripts, whatever their labels, as `sentistream revise` does; alone and with the others

Judged windows are training transcripts; their labels are not used. Trials are stored and not repeated. The last line of the output is JSON:
by relief, mean and standard deviation over the seeds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.markdown import markdown_table
from research.command_line import REPOSITORY, errors_as_sentences, folders_of, parser_of, progress_bars
from research.pages import EXPLANATIONS_PAGE, RESULTS, fill_page, write_result
from research.reveal.reliefs import Artefact
from research.reveal.trials import FULL, SMALL, World, planted
from stream.model_repository.files import VERSION
from stream.model_repository.served_models import MMCI
from stream.model_repository.version_files import digests_of

STORED = RESULTS / "reliefs.json"
COLUMNS = {
    "clean": "clean",
    "flipped": "flipped",
    "clean text alone": "words alone: clean",
    "flipped text alone": "flipped",
    "shift": "shift, points",
}

Trial = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the trials that are missing, and print the table."""
    parser = parser_of("research.benchmarks.reliefs", __doc__)
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each relief (default 3)")
    parser.add_argument(
        "--only", action="append", metavar="RELIEF", help="a relief to try; repeat it. Then no page and no result is written"
    )
    parser.add_argument("--quick", action="store_true", help="small trainings, into runs/quick")
    options = parser.parse_args(arguments)
    folder = folders_of(options).runs / "reveal"
    file = folder / "reliefs.jsonl"
    trials: list[Trial] = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []
    known = {(trial["relief"], trial["seed"]) for trial in trials}
    with errors_as_sentences(), progress_bars() as progress:
        world = World.read(SMALL if options.quick else FULL, options.data, REPOSITORY, folder / "voice_features.npz", progress)
        for seed in range(options.seeds):
            artefact = Artefact.read(world, planted("filler"), seed)
            for relief, make in artefact.reliefs().items():
                if (relief, seed) not in known and relief in (options.only or (relief,)):
                    trials.append({"relief": relief, "seed": seed, "numbers": artefact.measured(make())})
                    folder.mkdir(parents=True, exist_ok=True)
                    with file.open("a", encoding="utf-8") as stored:
                        stored.write(json.dumps(trials[-1]) + "\n")
    result = {"model": digests_of(REPOSITORY / MMCI, [VERSION])[VERSION], "reliefs": over_seeds(trials)}
    if not (options.quick or options.only):
        write_result(STORED, result)
        fill_tables_of(result)
    print(reliefs_table(result))
    print(json.dumps(result))


def reliefs_table(result: Mapping[str, Any]) -> str:
    """By relief: accuracies, clean and flipped, and the battery's shift."""
    rows = [
        [relief, str(own["seeds"]), *(_cell(*own[name], seeds=own["seeds"]) for name in COLUMNS)]
        for relief, own in result["reliefs"].items()
    ]
    return markdown_table(["relief", "seeds", *COLUMNS.values()], rows)


def _cell(mean: float, deviation: float, *, seeds: int) -> str:
    return f"{mean:.3f}" + (f" ± {deviation:.3f}" if seeds > 1 else "")


def fill_tables_of(result: Mapping[str, Any]) -> bool:
    """Fill this benchmark's table of docs/explanations.md; returns whether the page changed."""
    return fill_page(EXPLANATIONS_PAGE, {"reliefs": partial(reliefs_table, result)}, of="reliefs")


def over_seeds(trials: Sequence[Trial]) -> dict[str, dict[str, Any]]:
    """By relief, the number of seeds, and mean and sample standard deviation of each number."""
    found: dict[str, dict[str, Any]] = {}
    for relief in dict.fromkeys(trial["relief"] for trial in trials):
        own = [trial["numbers"] for trial in trials if trial["relief"] == relief]
        found[relief] = {"seeds": len(own)} | {
            name: (float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0)
            for name in own[0]
            if (values := [numbers[name] for numbers in own])
        }
    return found


if __name__ == "__main__":
    main()
