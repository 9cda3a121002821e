"""`sentistream config`: the effective settings, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream.cli.errors import friendly_errors

app = typer.Typer(help="The effective settings: defaults, then a YAML file, then SENTISTREAM_* variables.", no_args_is_help=True)

File = Annotated[Path | None, typer.Option("--config", help="Settings file (YAML); default: $SENTISTREAM_CONFIG, else built-in values.")]


@app.command()
@friendly_errors()
def show(config: File = None) -> None:
    """Print every setting with its value and its meaning; secrets are masked."""
    from rich.console import Console  # noqa: PLC0415 - heavy imports stay out of --help
    from rich.table import Table  # noqa: PLC0415

    from stream.config.describe import describe_settings  # noqa: PLC0415
    from stream.config.load import load_settings  # noqa: PLC0415

    rows = list(describe_settings(load_settings(config)))
    table = Table("setting", "value", "meaning", box=None, header_style="bold", pad_edge=False)
    table.columns[0].no_wrap = True
    table.columns[1].overflow = "fold"
    for row in rows:
        table.add_row(row.name, row.value, row.meaning, style=None if row.is_default else "cyan")
    console = Console()
    console.print(table)
    console.print(f"\nSECTION.NAME is set by SENTISTREAM_SECTION__NAME, for example {rows[0].variable}=host:9092, or in a file (--config).")
    console.print("Settings that differ from their defaults are coloured; secrets are masked.", style="dim")


@app.command()
@friendly_errors()
def check(config: File = None) -> None:
    """Check the settings; print all errors at once, exit 2 when there are any."""
    from stream.config.load import load_settings  # noqa: PLC0415 - heavy imports stay out of --help

    load_settings(config)
    typer.echo("the settings are valid")
