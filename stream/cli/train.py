"""`sentistream train`, `evaluate` and `export`: train the served models, measure them, write their ONNX files.

They work from a checkout only: an installed wheel has neither the recipe nor the model card.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import CommandError, friendly_errors
from stream.config.project import PROJECT_ROOT

if TYPE_CHECKING:
    from rich.progress import Progress

    from stream.training.evaluate import Results

RECIPE = "configs/training/live.yaml"
IN_CHECKOUT = (PROJECT_ROOT / RECIPE).is_file()
"""False in an installed wheel, which lacks the recipe and the model card: these commands are hidden there."""

RUNS = PROJECT_ROOT / "runs"
MODELS = PROJECT_ROOT / "triton_models"
COLUMNS = {"n": "windows", "accuracy": "accuracy", "macro_f1": "macro F1", "calibration_error": "calibration error", "mosi_mae": "MAE"}

Config = Annotated[Path, typer.Argument(metavar="CONFIG", help=f"YAML file of the recipe: {RECIPE}.")]
Data = Annotated[
    Path,
    typer.Option(metavar="FOLDER", envvar="SENTISTREAM_DATA", help="Folder of the corpora: mosi/, meld/, ravdess/, voices/ and faces/."),
]
Runs = Annotated[
    Path, typer.Option(metavar="RUNS", help="Folder of the checkpoints, which are in RUNS/live.", show_default="runs/ of the checkout")
]
Repository = Annotated[
    Path,
    typer.Option("--out", metavar="FOLDER", help="Triton model repository to write to.", show_default="triton_models/ of the checkout"),
]
Measured = Annotated[
    Path,
    typer.Option("--models", metavar="FOLDER", help="Triton model repository to measure.", show_default="triton_models/ of the checkout"),
]


@friendly_errors()
def train(
    config: Config,
    data: Data,
    runs: Runs = RUNS,
    out: Repository = MODELS,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Train for two minutes into RUNS/quick, to check the set-up.")] = False,
) -> None:
    """Train the served models, export them to the model repository, and measure them. Works from a checkout only.

    Use it to reproduce the models, or to train them on other data. It takes hours on one core. CONFIG lists the models to train;
    docs/model-card.md describes their corpora and their accuracy. The numbers go to docs/model-metrics.json;
    `python -m benchmarks.model_card` fills the model card from them. To train a row of the research tables, run `python -m research.train`.

    Needs the `train` extra (torch). The licences of the corpora allow research only.

    For example:

    - `sentistream train configs/training/live.yaml --data ~/corpora`

    - `sentistream train configs/training/live.yaml --data ~/corpora --quick`
    """
    require_checkout()
    require_torch()
    from stream.training.config import read_live_config  # noqa: PLC0415 - torch stays out of --help
    from stream.training.faces import FINE_TUNING, FaceRecipe  # noqa: PLC0415
    from stream.training.recipe import QUICK, Paths, Recipe, run  # noqa: PLC0415

    live = read_live_config(config)
    runs, out = (runs / "quick", runs / "quick" / "models") if quick else (runs, out)
    docs = runs if quick else PROJECT_ROOT / "docs"
    steps = tuple(step for step in live.steps if step != "text") if quick else live.steps
    paths = Paths(data, out, docs / "model-metrics.json", runs / "live")
    with train_progress() as progress, missing_corpora():
        recipe = QUICK if quick else Recipe(face=FINE_TUNING if live.face == "fine-tuned" else FaceRecipe())
        run(paths, recipe, live.seed, steps, progress)
    typer.secho(f"Wrote {', '.join(steps)} to {out} and the numbers to {paths.metrics}.", fg="green", err=True)
    if not quick:
        typer.echo("Fill the model card from these numbers: python -m benchmarks.model_card", err=True)


@friendly_errors()
def evaluate(
    data: Data,
    models: Measured = MODELS,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with all numbers instead of a table.")] = False,
) -> None:
    """Measure the models of a repository on the test parts of the corpora, as for the model card. Works from a checkout only.

    Use it to check the model card, or to compare models of your own with it. Needs the `train` extra (torch).

    Example: `sentistream evaluate --data ~/corpora --json`
    """
    require_checkout()
    require_torch()
    from stream.training.recipe import measure  # noqa: PLC0415 - torch stays out of --help

    with train_progress() as progress, missing_corpora():
        results = measure(data, models, progress)
    if as_json:
        typer.echo(json.dumps(results))
    else:
        _print_results(results)


@friendly_errors()
def export(runs: Runs = RUNS, out: Repository = MODELS) -> None:
    """Write the ONNX files and Triton configurations of the served models again, from RUNS/live. Works from a checkout only.

    Use it after a change of the export: `sentistream train` writes these checkpoints, and exports them at its end. Needs the `train` extra
    (torch).

    Example: `sentistream models export --out triton_models`
    """
    require_checkout()
    require_torch()
    from stream.training.checkpoints import export_all  # noqa: PLC0415 - torch stays out of --help

    try:
        written = export_all(runs / "live", out)
    except FileNotFoundError as error:
        raise CommandError(f"{error.filename}: not found. Train the models first: sentistream train {RECIPE}") from error
    for file in written:
        typer.secho(f"Wrote {file}", fg="green")


def require_checkout(otherwise: str = "") -> None:
    """Raises `CommandError` in an installed wheel. `otherwise` says what works there."""
    if not IN_CHECKOUT:
        works = "This command works from a checkout only: clone the repository and run pip install --editable '.[train]' in it."
        raise CommandError(f"{works} {otherwise}".rstrip())


def require_torch() -> None:
    """Raises `CommandError` without torch."""
    if find_spec("torch") is None:
        wanted = "--editable '.[train]'" if IN_CHECKOUT else "'sentistream[train]'"
        raise CommandError(f"This command needs torch, which is not installed: pip install {wanted}")


@contextmanager
def missing_corpora() -> Iterator[None]:
    """Turn a missing file of the corpora into a sentence that says how to name their folder."""
    try:
        yield
    except FileNotFoundError as error:
        missing = error.filename or error
        raise CommandError(f"{missing}: not found. Set --data (or SENTISTREAM_DATA) to the folder of the corpora.") from error


def train_progress() -> Progress:
    """Progress bars on standard error."""
    from rich.console import Console  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.cli.progress import counted_progress  # noqa: PLC0415

    return counted_progress(Console(stderr=True))


def _print_results(results: Results) -> None:
    from rich.console import Console  # noqa: PLC0415 - heavy imports stay out of --help
    from rich.table import Table  # noqa: PLC0415

    table = Table("test windows", *COLUMNS.values(), box=None, header_style="bold")
    for name, numbers in results.items():
        if "accuracy" in numbers:
            table.add_row(name, *(_cell(column, numbers) for column in COLUMNS))
    Console().print(table)


def _cell(column: str, numbers: dict[str, float]) -> str:
    if column not in numbers:
        return ""
    return f"{numbers[column]:.0f}" if column == "n" else f"{numbers[column]:.3f}"
