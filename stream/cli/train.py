"""`sentistream train`, `evaluate` and `export`: models from configuration files, their numbers, and their ONNX files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.cli.errors import CommandError, friendly_errors
from stream.config.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from rich.progress import Progress

    from stream.training.experiments.config import ExperimentConfig, LiveConfig

Configs = Annotated[list[Path], typer.Argument(metavar="CONFIG...", help="YAML files; see configs/experiments/.")]
Data = Annotated[Path, typer.Option(envvar="SENTISTREAM_DATA", help="Folder with the corpora: mosi/, meld/, ravdess/ and faces/.")]
Runs = Annotated[Path, typer.Option(help="Folder of checkpoints, numbers and curves: RUNS/NAME/.")]
Repository = Annotated[Path, typer.Option("--out", help="Triton model repository that the live models are written to.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a row instead of a table.")]

DATA = PROJECT_ROOT.parent / "shared" / "data"
RUNS = Path("runs")
MODELS = PROJECT_ROOT / "triton_models"
COLUMNS = {"acc2_has0": "has0", "acc2_non0": "non0", "acc7": "Acc7", "mae": "MAE", "corr": "Corr"}
"""Of the printed table; --json has all numbers. has0 and non0 are binary accuracies, see `stream.training.experiments.scores`."""
CLASS_COLUMNS = {"accuracy": "accuracy", "weighted_f1": "weighted F1", "macro_f1": "macro F1"}


@friendly_errors()
def train(
    configs: Configs,
    data: Data = DATA,
    runs: Runs = RUNS,
    out: Repository = MODELS,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="A short run in RUNS/quick to see that it works; no more.")] = False,
    as_json: Json = False,
) -> None:
    """Train what each CONFIG describes; what is finished already is not trained again.

    **An experiment** (`configs/experiments/...`) is one row of a table in docs/model.md: several seeds of one model on one
    corpus. Its checkpoints, numbers and curve go to RUNS/NAME. Stop and start as you like: finished seeds are kept.

    **The live models** (`configs/experiments/live.yaml`) are trained, exported to the model repository, and described in
    docs/model-card.md; hours on one core.

    Needs the `train` extra (torch). The corpora are for research only.

    Example: `sentistream train configs/experiments/bclstm/*.yaml`
    """
    _need_torch()
    from stream.training.experiments.config import ExperimentConfig, read_config  # noqa: PLC0415 - torch stays out of --help
    from stream.training.experiments.run import Places, run, shortened  # noqa: PLC0415

    found = [read_config(file) for file in configs]
    places = Places(data, runs / "quick" if quick else runs, out)
    with _progress() as progress:
        for config in found:
            if not isinstance(config, ExperimentConfig):
                _train_live(config, places.data, places.runs, places.runs / "models" if quick else out, quick=quick, progress=progress)
    with _progress() as progress:
        rows = [run(shortened(config) if quick else config, places, progress) for config in found if isinstance(config, ExperimentConfig)]
    _print_rows(rows, as_json=as_json)


@friendly_errors()
def evaluate(configs: Configs, data: Data = DATA, runs: Runs = RUNS, *, as_json: Json = False) -> None:
    """Measure the finished checkpoints of experiments on their test parts again, and show the table.

    Example: `sentistream evaluate configs/experiments/bclstm/mmci.yaml --json`
    """
    _need_torch()
    from stream.training.experiments.run import Places  # noqa: PLC0415 - torch stays out of --help
    from stream.training.experiments.run import evaluate as measure  # noqa: PLC0415

    places = Places(data, runs, MODELS)
    with _progress() as progress:
        rows = [measure(config, places, progress) for config in _experiments(configs)]
    _print_rows(rows, as_json=as_json)


@friendly_errors()
def export(runs: Runs = RUNS, out: Repository = MODELS) -> None:
    """Write the live models' ONNX files and Triton configurations again from their checkpoints in RUNS/live.

    `sentistream train configs/experiments/live.yaml` makes those checkpoints, and exports by itself when it is done.
    """
    _need_torch()
    from stream.training.checkpoints import export_all  # noqa: PLC0415 - torch stays out of --help

    try:
        written = export_all(runs / "live", out)
    except FileNotFoundError as error:
        raise CommandError(f"{error.filename}: not found. Train it first: sentistream train configs/experiments/live.yaml") from error
    for file in written:
        typer.secho(f"Wrote {file}", fg="green")


def _need_torch() -> None:
    if find_spec("torch") is None:
        raise CommandError("Training needs more packages (torch is missing): pip install 'sentistream[train]'")


def _experiments(configs: list[Path]) -> list[ExperimentConfig]:
    from stream.training.experiments.config import ExperimentConfig, read_config  # noqa: PLC0415 - torch stays out of --help

    found = [read_config(file) for file in configs]
    experiments = [config for config in found if isinstance(config, ExperimentConfig)]
    if len(experiments) < len(found):
        raise CommandError("Only experiments are evaluated here; the live models' numbers are in docs/model-card.md.")
    return experiments


def _train_live(config: LiveConfig, data: Path, runs: Path, out: Path, *, quick: bool, progress: Progress) -> None:
    from stream.training import recipe  # noqa: PLC0415 - torch stays out of --help

    docs = runs if quick else PROJECT_ROOT / "docs"
    places = recipe.Places(data, out, docs / "model-metrics.json", docs / "model-card.md", runs / "live")
    try:
        steps = tuple(step for step in config.steps if step != "text") if quick else config.steps
        recipe.run(places, recipe.QUICK if quick else recipe.Recipe(), config.seed, steps, progress)
    except FileNotFoundError as error:
        missing = error.filename or error
        raise CommandError(f"{missing}: not found. Set --data (or SENTISTREAM_DATA) to the folder of the corpora.") from error
    typer.secho(f"Wrote {', '.join(config.steps)} to {out} and the numbers to {places.metrics}.", fg="green", err=True)


@contextmanager
def _progress() -> Iterator[Progress]:
    from rich.console import Console  # noqa: PLC0415 - heavy imports stay out of --help
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield progress


def _print_rows(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    from rich.console import Console  # noqa: PLC0415 - heavy imports stay out of --help
    from rich.table import Table  # noqa: PLC0415

    if as_json:
        for row in rows:
            typer.echo(json.dumps(row))
        return
    for columns in (COLUMNS, CLASS_COLUMNS):
        shown = [row for row in rows if next(iter(columns)) in row]
        if not shown:
            continue
        table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
        for header in ("row", "seeds", *columns.values()):
            table.add_column(header, no_wrap=True)
        for row in shown:
            cells = [f"{row[name]:.3f}\n[dim]±{row['sd'][name]:.3f}[/]" for name in columns]
            table.add_row(row["name"], str(row["seeds"]), *cells)
        Console().print(table)
