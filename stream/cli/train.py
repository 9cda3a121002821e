"""`sentistream train`: rebuild the committed models from the research corpora."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from stream.config.settings import PROJECT_ROOT


class Step(StrEnum):
    """What can be trained by itself."""

    AUDIO = "audio"
    FACE = "face"
    MMCI = "mmci"


def train(  # noqa: PLR0917 - typer reads the options from the signature
    data: Annotated[
        Path, typer.Option(envvar="SENTISTREAM_DATA", help="Folder with the corpora: mosi/, meld/, ravdess/ and faces/.")
    ] = PROJECT_ROOT.parent / "shared" / "data",
    out: Annotated[
        Path, typer.Option(help="Triton model repository to write the ONNX models and their configurations into.")
    ] = PROJECT_ROOT / "triton_models",
    metrics: Annotated[Path, typer.Option(help="JSON file for the measured numbers.")] = PROJECT_ROOT / "docs" / "model-metrics.json",
    card: Annotated[Path, typer.Option(help="Model card whose tables are filled from the numbers, if it exists.")] = PROJECT_ROOT
    / "docs"
    / "model-card.md",
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random; MMCI is trained with this one and the next two.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A short run to see that it works. Its weights are of no use.")] = False,  # noqa: FBT002
    only: Annotated[Step | None, typer.Option(help="Train one part; mmci uses the encoders that are in --out.")] = None,
) -> None:
    """Train the audio encoder, the face encoder and MMCI, and export them.

    Needs the `train` extra (torch) and about 40 minutes on one core. The corpora are for research only: read
    docs/model-card.md before you use what comes out.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    try:
        from stream.training import recipe  # noqa: PLC0415
    except ImportError as error:
        typer.secho(f"Training needs more packages ({error.name} is missing): pip install 'sentistream[train]'", err=True, fg="red")
        raise typer.Exit(1) from error
    steps = (only.value,) if only else recipe.STEPS
    places = recipe.Places(data, out, metrics, card)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns) as progress:
            recipe.run(places, recipe.QUICK if quick else recipe.Recipe(), seed, steps, progress)
    except FileNotFoundError as error:
        typer.secho(
            f"{error.filename or error}: not found. Set --data (or SENTISTREAM_DATA) to the folder of the corpora.", err=True, fg="red"
        )
        raise typer.Exit(1) from error
    typer.secho(f"Wrote {', '.join(steps)} to {out} and the numbers to {metrics}.", fg="green")
