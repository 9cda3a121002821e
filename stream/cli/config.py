"""`sentistream config`: shows and checks the effective settings."""

from __future__ import annotations

import typer

from stream.cli.errors import friendly_errors
from stream.cli.options import ConfigFile

app = typer.Typer(
    help="Show or check the settings: SENTISTREAM_* variables win over a YAML file, the file over the defaults.", no_args_is_help=True
)


@app.command()
@friendly_errors()
def show(config: ConfigFile = None) -> None:
    """Print every setting with its effective value and its meaning.

    Use it to find the setting that you need, or to see which values a worker would have. Settings that differ from their defaults are
    coloured; secrets are masked.

    Example: `sentistream config show --config configs/low-latency.yaml`
    """
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
    console.print("\nSet SECTION.NAME in a file (--config) or with the variable SENTISTREAM_SECTION__NAME, for example", end=" ")
    console.print(f"{rows[0].variable}=host:9092.")
    console.print("Settings that differ from their defaults are coloured; secrets are masked.", style="dim")


@app.command()
@friendly_errors()
def check(config: ConfigFile = None) -> None:
    """Check the settings, and print all errors at once.

    Use it before you deploy a settings file. Exits with 2 if there is an error.

    Example: `sentistream config check --config my.yaml`
    """
    from stream.config.load import load_settings  # noqa: PLC0415 - heavy imports stay out of --help

    load_settings(config)
    typer.echo("the settings are valid")
