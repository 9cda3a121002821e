"""`sentistream doctor`: every dependency and service, whether it works, and how to mend it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import EXIT_FAILED, friendly_errors

if TYPE_CHECKING:
    from stream.cli.doctor.finding import Finding


@friendly_errors()
def doctor(
    *,
    config: Annotated[Path | None, typer.Option(help="Settings file (YAML); default: $SENTISTREAM_CONFIG, else built-in values.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line instead of a table.")] = False,
) -> None:
    """Check Python, packages, models, and the Kafka, Redis and Triton of the effective settings.

    A finding is ok, a warning (something optional, or the embedded stack will stand in for it) or missing (something needed is
    broken); each says how to mend it. Exits 1 when anything is missing.
    """
    import asyncio  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.cli.doctor.finding import Finding, Status  # noqa: PLC0415
    from stream.cli.doctor.installation import check_model_files, check_packages  # noqa: PLC0415

    findings = list(check_packages())
    if any(finding.status is Status.MISSING for finding in findings):
        findings.append(Finding("services", Status.WARNING, "not looked at", mend="mend what is missing first"))
    else:
        from stream.cli.doctor.services import check_services  # noqa: PLC0415 - needs the packages
        from stream.config.load import load_settings  # noqa: PLC0415

        settings = load_settings(config)
        findings += check_model_files(settings.triton.model_repository)
        findings += asyncio.run(check_services(settings))
    if as_json:
        _print_json(findings)
    else:
        _print_table(findings)
    if any(finding.status is Status.MISSING for finding in findings):
        raise typer.Exit(EXIT_FAILED)


def _print_json(findings: list[Finding]) -> None:
    import dataclasses  # noqa: PLC0415 - heavy imports stay out of --help
    import json  # noqa: PLC0415

    for finding in findings:
        typer.echo(json.dumps({"event": "finding", **dataclasses.asdict(finding)}))


def _print_table(findings: list[Finding]) -> None:
    from rich.console import Console  # noqa: PLC0415 - heavy imports stay out of --help
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    styles = {"ok": "green", "warning": "yellow", "missing": "bold red"}
    console = Console()
    table = Table("what", "", "found", "wanted", box=None, header_style="bold", pad_edge=False)
    for finding in findings:
        status = Text(finding.status, style=styles[finding.status])
        table.add_row(Text(finding.what, no_wrap=True), status, Text(finding.found), Text(finding.wanted))
    console.print(table)
    for finding in findings:
        if finding.mend:
            console.print(Text.assemble((f"{finding.what}: ", styles[finding.status]), finding.mend))
    counts = {status: sum(finding.status == status for finding in findings) for status in styles}
    console.print(f"\n{counts['ok']} ok, {counts['warning']} warnings, {counts['missing']} missing")
