"""Does reveal find what was planted? ``python -m research.benchmarks.reveal``.

The served models are trained on with media in which 95 % of the positive items and 5 % of the others carry an artefact: a filler word,
hiss, hum, blur, or the pitch and formants of another speaker. Then the detectors of `sentistream reveal` look into them, without labels and
without the artefact's name. With the first seed the artefact is also revised: the same training with the mark at random strengths,
independent of the label. Of the trainings without an artefact, the first four make the honest reference, and the others are tested.

With ``--write KIND REPOSITORY`` a biased version is put into a model repository, to try the loop on a running stack: promote it with force,
stream, reveal, revise. ``--reference`` writes the honest reference, `triton_models/mmci/honest.json`, from the honest trials and the served
model.

Trials are stored in the runs folder, and what a full run found in research/benchmarks/results/reveal.json, from which it fills the table
of docs/explanations.md. Trials that are in either are not repeated, so more seeds can be added later; after a training of the served models
all begin again. The last line of the output is JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.markdown import markdown_table
from research.command_line import REPOSITORY, errors_as_sentences, folders_of, parser_of, progress_bars
from research.pages import EXPLANATIONS_PAGE, RESULTS, fill_page, read_result, write_result
from research.reveal.honest import measured_references, vocabulary
from research.reveal.trials import FULL, KINDS, SMALL, Model, World, accuracies, found_in, planted, trained, write_biased
from stream.model_repository.files import VERSION
from stream.model_repository.served_models import MMCI
from stream.model_repository.version_files import digests_of
from stream.nuisances.marks import AnyMark
from stream.reveal.findings import HONEST, Finding, Reference, read_references, suspects
from stream.training.files import replace_text
from stream.training.revise import AGREEING, INDEPENDENT

HONEST_TRIALS = "honest"
REFERENCE_TRIALS = 4
"""Honest trials that make the reference. Those after them are looked at as any other model: they count for false alarms."""

FIRST = 3
"""The artefact counts as found if it is suspicious and among the first three."""

STORED = RESULTS / "reveal.json"
COLUMNS = (
    "planted",
    "flipped: honest",
    "biased",
    "revised",
    "alone, flipped: honest",
    "biased",
    "revised",
    "strength",
    "revised",
    "among the first three, and an alarm",
)

Trial = dict[str, Any]
"""A trial with all that the detectors found."""
Outcome = dict[str, Any]
"""What is kept of it, see `outcome`."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the trials that are missing, and print the table."""
    parser = parser_of("research.benchmarks.reveal", __doc__)
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each kind")
    parser.add_argument(
        "--honest", type=int, default=14, help=f"trainings without an artefact; the first {REFERENCE_TRIALS} make the reference"
    )
    parser.add_argument("--kinds", nargs="*", default=[*KINDS], choices=[*KINDS], help="kinds of artefacts")
    parser.add_argument("--reference", action="store_true", help="write the honest reference")
    parser.add_argument("--quick", action="store_true", help="small trainings, into runs/quick")
    parser.add_argument("--only-tables", action="store_true", help="run no trial")
    parser.add_argument(
        "--write", nargs=2, metavar=("KIND", "REPOSITORY"), help="put a version that is biased on purpose into a repository"
    )
    options = parser.parse_args(arguments)
    folder = folders_of(options).runs / "reveal"
    model = digests_of(REPOSITORY / MMCI, [VERSION])[VERSION]
    earlier = read_result(STORED) if not options.quick else {}
    known: list[Outcome] = earlier["trials"] if earlier.get("model") == model else []
    with errors_as_sentences(), progress_bars() as progress:
        read = partial(World.read, SMALL if options.quick else FULL, options.data, REPOSITORY, folder / "voice_features.npz", progress)
        if options.write is not None:
            kind, repository = options.write
            print(f"version {write_biased(read(), kind, Path(repository))} of {repository}/{MMCI} is biased on purpose: {KINDS[kind]}")
            return
        trials = _trials(options, folder / "trials.jsonl", known, read)
        if options.reference:
            honest = [_findings(trial) for trial in trials if _is_of_reference(trial)]
            found = measured_references(options.data, REPOSITORY, honest)
            replace_text(REPOSITORY / MMCI / HONEST, msgspec.json.encode(found).decode())
    reference = read_references(REPOSITORY / MMCI / HONEST).of("corpora")
    outcomes = {(own["kind"], own["seed"]): own for own in (*known, *(outcome(trial, reference) for trial in trials))}
    result: dict[str, Any] = {"model": model, "trials": [outcomes[pair] for pair in sorted(outcomes)]}
    if not options.quick and outcomes:
        write_result(STORED, result)
        fill_tables_of(result)
    print_outcomes(result["trials"])


def _trials(options: argparse.Namespace, file: Path, known: Sequence[Outcome], read: Callable[[], World]) -> list[Trial]:
    """The trials of the runs folder, and those that the options ask for and nobody has run yet, which are added to it."""
    trials = _read(file)
    # The reference needs all that was found in the honest trials, and the stored result has not that much.
    stored = {(own["kind"], own["seed"]) for own in known if not (options.reference and _is_of_reference(own))}
    done = stored | {(trial["kind"], trial["seed"]) for trial in trials}
    wanted = [(HONEST_TRIALS, seed) for seed in range(options.honest)] + [(k, s) for s in range(options.seeds) for k in options.kinds]
    missing = [pair for pair in wanted if pair not in done]
    if options.only_tables or not missing:
        return trials
    world, words = read(), vocabulary(options.data)
    file.parent.mkdir(parents=True, exist_ok=True)
    for kind, seed in missing:
        trials.append(_trial(world, kind, seed, words))
        with file.open("a", encoding="utf-8") as appended:
            appended.write(json.dumps(trials[-1]) + "\n")
    return trials


def _trial(world: World, kind: str, seed: int, known: Sequence[str]) -> Trial:
    if kind == HONEST_TRIALS:
        served = trained(world, None, None, INDEPENDENT, seed)
        tested = {name: accuracies(world, served, planted(name)) for name in KINDS}
        return {"kind": kind, "seed": seed, "accuracy": tested, **_found(world, served, None, known)}
    mark = planted(kind)
    served = trained(world, mark, mark.usual, AGREEING, seed)
    trial = {"kind": kind, "seed": seed, "accuracy": accuracies(world, served, mark), **_found(world, served, mark, known)}
    if seed == 0:
        revised = trained(world, mark, None, INDEPENDENT, seed)
        trial["revised"] = accuracies(world, revised, mark)
        trial["revised_findings"] = _found(world, revised, mark, known)["findings"]
    return trial


def _found(world: World, served: Model, mark: AnyMark | None, known: Sequence[str]) -> Trial:
    findings, table = found_in(world, served, mark, known)
    return {"findings": msgspec.to_builtins(findings), "words": [row.word for row in table[:10]]}


def _findings(trial: Trial, key: str = "findings") -> list[Finding]:
    return msgspec.convert(trial[key], list[Finding])


def outcome(trial: Trial, reference: Reference) -> Outcome:
    """What is kept of a trial: accuracies, the rank and the strength of the artefact, and what alarms."""
    ranked = suspects(_findings(trial), reference)
    alarms = [suspect.name for suspect in ranked if suspect.suspicious]
    found: Outcome = {key: trial[key] for key in ("kind", "seed", "accuracy")}
    found |= {"alarms": alarms[:5], "strongest": ranked[0].strength}
    if trial["kind"] != HONEST_TRIALS:
        name = KINDS[trial["kind"]]
        found["strength"] = _strength(ranked, name)
        found["rank"] = next((rank for rank, suspect in enumerate(ranked, start=1) if suspect.name == name), 0)
        found["found"] = 0 < found["rank"] <= FIRST and name in alarms
    if "revised" in trial:
        after = suspects(_findings(trial, "revised_findings"), reference)
        found |= {"revised": trial["revised"], "revised_strength": _strength(after, KINDS[trial["kind"]])}
    return found


def print_outcomes(outcomes: Sequence[Outcome]) -> None:
    """Print each trial, and the counts as JSON."""
    for found in outcomes:
        where = "" if found["kind"] == HONEST_TRIALS else f"rank {found['rank']}, strength {found['strength']:.2f}, "
        print(f"{found['kind']} {found['seed']}: {where}alarms {found['alarms'] or 'none'}, strongest {found['strongest']:.2f}")
    honest = _tested_honest(outcomes)
    by_kind = {kind: [found["found"] for found in outcomes if found["kind"] == kind] for kind in KINDS}
    print(json.dumps({"found": by_kind, "false_alarms": sum(bool(found["alarms"]) for found in honest), "honest": len(honest)}))


def planted_table(result: Mapping[str, Any]) -> str:
    """By artefact: accuracy on flipped windows, of the honest, the biased and the revised network, and how often reveal found it."""
    rows = []
    for kind, name in KINDS.items():
        own = [found for found in result["trials"] if found["kind"] == kind]
        honest = [found["accuracy"][kind] for found in result["trials"] if found["kind"] == HONEST_TRIALS]
        revised = [found["revised"] for found in own if "revised" in found]
        if not own:
            continue
        cells = [
            _mean([numbers[condition] for numbers in group])
            for condition in ("flipped", f"flipped {planted(kind).modality} alone")
            for group in (honest, [found["accuracy"] for found in own], revised)
        ]
        strengths = [found["strength"] for found in own]
        after = [found["revised_strength"] for found in own if "revised" in found]
        found_in = f"{sum(found['found'] for found in own)} of {len(own)}"
        rows.append([name, *cells, f"{min(strengths):.1f} to {max(strengths):.1f}", _mean(after, digits=1), found_in])
    tested = _tested_honest(result["trials"])
    strongest = max((found["strongest"] for found in tested), default=0.0)
    rows.append(
        ["none", *[""] * 6, f"strongest {strongest:.1f}", "", f"{sum(bool(found['alarms']) for found in tested)} alarms in {len(tested)}"]
    )
    return markdown_table(COLUMNS, rows)


def fill_tables_of(result: Mapping[str, Any]) -> bool:
    """Fill this benchmark's table of docs/explanations.md; returns whether the page changed."""
    return fill_page(EXPLANATIONS_PAGE, {"planted": partial(planted_table, result)}, of="reveal")


def _is_of_reference(trial: Mapping[str, Any]) -> bool:
    return bool(trial["kind"] == HONEST_TRIALS and trial["seed"] < REFERENCE_TRIALS)


def _tested_honest(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [found for found in outcomes if found["kind"] == HONEST_TRIALS and not _is_of_reference(found)]


def _mean(values: Sequence[float], *, digits: int = 3) -> str:
    return f"{sum(values) / len(values):.{digits}f}" if values else ""


def _strength(ranked: Sequence[Any], name: str) -> float:
    return next((suspect.strength for suspect in ranked if suspect.name == name), 0.0)


def _read(file: Path) -> list[Trial]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []


if __name__ == "__main__":
    main()
