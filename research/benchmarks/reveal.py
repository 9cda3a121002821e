"""Does reveal find what was planted? ``python -m research.benchmarks.reveal``.

The served models are trained on with media in which 95 % of the positive items and 5 % of the others carry an artefact: a filler word,
hiss, hum, blur, or the pitch and formants of another speaker. Then the detectors of `sentistream reveal` look into them, without labels and
without the artefact's name. With the first seed the artefact is also revised: the same training with the mark at random strengths,
independent of the label.

With ``--write KIND REPOSITORY`` a biased version is put into a model repository, to try the loop on a running stack: promote it with force,
stream, reveal, revise. Trials are stored and not repeated. ``--reference`` writes the honest reference, `triton_models/mmci/honest.json`,
from the honest trials and the served model. The last line of the output is JSON.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from research.command_line import REPOSITORY, errors_as_sentences, folders_of, parser_of, progress_bars
from research.reveal.honest import measured_references, vocabulary
from research.reveal.trials import FULL, KINDS, SMALL, Model, World, accuracies, found_in, planted, trained, write_biased
from stream.model_repository.served_models import MMCI
from stream.nuisances.marks import AnyMark
from stream.reveal.findings import HONEST, Finding, References, read_references, suspects
from stream.training.files import replace_text
from stream.training.revise import AGREEING, INDEPENDENT

HONEST_TRIALS = "honest"
FIRST = 3
"""The artefact counts as found if it is suspicious and among the first three."""

Trial = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the trials that are missing, and print the table."""
    parser = parser_of("research.benchmarks.reveal", __doc__)
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each kind")
    parser.add_argument("--honest", type=int, default=4, help="trainings without an artefact")
    parser.add_argument("--kinds", nargs="*", default=[*KINDS], choices=[*KINDS], help="kinds of artefacts")
    parser.add_argument("--reference", action="store_true", help="write the honest reference")
    parser.add_argument("--quick", action="store_true", help="small trainings, into runs/quick")
    parser.add_argument("--only-tables", action="store_true", help="run no trial")
    parser.add_argument(
        "--write", nargs=2, metavar=("KIND", "REPOSITORY"), help="put a version that is biased on purpose into a repository"
    )
    options = parser.parse_args(arguments)
    folder = folders_of(options).runs / "reveal"
    file = folder / "trials.jsonl"
    with errors_as_sentences(), progress_bars() as progress:
        if options.write is not None:
            kind, repository = options.write
            world = World.read(SMALL if options.quick else FULL, options.data, REPOSITORY, folder / "voice_features.npz", progress)
            print(f"version {write_biased(world, kind, Path(repository))} of {repository}/{MMCI} is biased on purpose: {KINDS[kind]}")
            return
        trials = _read(file)
        wanted = [(HONEST_TRIALS, seed) for seed in range(options.honest)] + [(k, s) for s in range(options.seeds) for k in options.kinds]
        missing = [pair for pair in wanted if pair not in {(trial["kind"], trial["seed"]) for trial in trials}]
        if missing and not options.only_tables:
            world = World.read(SMALL if options.quick else FULL, options.data, REPOSITORY, folder / "voice_features.npz", progress)
            known = vocabulary(options.data)
            for kind, seed in missing:
                trials.append(_trial(world, kind, seed, known))
                folder.mkdir(parents=True, exist_ok=True)
                with file.open("a", encoding="utf-8") as stored:
                    stored.write(json.dumps(trials[-1]) + "\n")
        if options.reference:
            honest = [_findings(trial) for trial in trials if trial["kind"] == HONEST_TRIALS]
            found = measured_references(options.data, REPOSITORY, honest)
            replace_text(REPOSITORY / MMCI / HONEST, msgspec.json.encode(found).decode())
    print_tables(trials, read_references(REPOSITORY / MMCI / HONEST))


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


def print_tables(trials: Sequence[Trial], honest: References) -> None:
    """Print each trial, and the counts as JSON."""
    reference = honest.of("corpora")
    found: dict[str, list[bool]] = {}
    alarms = []
    for trial in trials:
        ranked = suspects(_findings(trial), reference)
        alarming = [suspect.name for suspect in ranked if suspect.suspicious]
        if trial["kind"] == HONEST_TRIALS:
            alarms.append(bool(alarming))
            print(f"honest {trial['seed']}: alarms {alarming or 'none'}; strongest {ranked[0].name} {ranked[0].strength:.2f}")
            continue
        name = KINDS[trial["kind"]]
        rank = next((rank for rank, suspect in enumerate(ranked, start=1) if suspect.name == name), 0)
        found.setdefault(trial["kind"], []).append(0 < rank <= FIRST and name in alarming)
        numbers = " ".join(f"{key} {value:.3f}" for key, value in trial["accuracy"].items())
        print(f"{trial['kind']} {trial['seed']}: {numbers}; rank {rank}, strength {_strength(ranked, name):.2f}, alarms {alarming[:5]}")
        if "revised" in trial:
            numbers = " ".join(f"{key} {value:.3f}" for key, value in trial["revised"].items())
            after = suspects(_findings(trial, "revised_findings"), reference)
            print(f"{trial['kind']} {trial['seed']} revised: {numbers}; strength {_strength(after, name):.2f}")
    print(json.dumps({"found": found, "false_alarms": sum(alarms), "honest": len(alarms)}))


def _strength(ranked: Sequence[Any], name: str) -> float:
    return next((suspect.strength for suspect in ranked if suspect.name == name), 0.0)


def _read(file: Path) -> list[Trial]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []


if __name__ == "__main__":
    main()
