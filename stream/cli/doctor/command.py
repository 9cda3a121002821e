"""`sentistream doctor`: checks every dependency and service, and says how to fix it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from stream.cli.errors import EXIT_FAILED, friendly_errors
from stream.cli.options import ConfigFile, JsonLines

if TYPE_CHECKING:
    from stream.cli.doctor.finding import Finding


@friendly_errors()
def doctor(
    *,
    config: ConfigFile = None,
    as_json: JsonLines = False,
) -> None:
    """Check Python, packages, models, and the Kafka, Redis and Triton of the settings, and say how to fix what is wrong.

    Use it after an installation, or if another command fails. A finding is `ok`, `warning` (it is optional, or the embedded stack replaces
    it) or `missing` (it is needed). Exits with 1 if anything is missing.

    For example:

    - `sentistream doctor`

    - `sentistream doctor --config my.yaml --json`
    """
    import asyncio  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.cli.doctor.finding import Finding, Status  # noqa: PLC0415
    from stream.cli.doctor.installation import check_model_files, check_packages  # noqa: PLC0415

    findings = list(check_packages())
    if any(finding.status is Status.MISSING for finding in findings):
        findings.append(Finding("services", Status.WARNING, "not checked", fix="install the missing packages first"))
    else:
        from stream.cli.doctor.services import check_services  # noqa: PLC0415 - it needs the packages that were checked above
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
    table = Table("check", "", "found", "wanted", box=None, header_style="bold", pad_edge=False)
    for finding in findings:
        status = Text(finding.status, style=styles[finding.status])
        table.add_row(Text(finding.name, no_wrap=True), status, Text(finding.found), Text(finding.wanted))
    console.print(table)
    for finding in findings:
        if finding.fix:
            console.print(Text.assemble((f"{finding.name}: ", styles[finding.status]), finding.fix))
    counts = {status: sum(finding.status == status for finding in findings) for status in styles}
    console.print(f"\n{counts['ok']} ok, {counts['warning']} warnings, {counts['missing']} missing")
