"""`sentistream reveal --live`: what the probes of the live stream have shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from stream.cli.errors import EXIT_FAILED

if TYPE_CHECKING:
    from stream.config.settings import Settings
    from stream.domain.live_reveal import LiveReport

SHOWN = 20


def show_live(settings: Settings, *, as_json: bool) -> None:
    """Print the newest report of the workers. Exits with 1 if it has a suspect."""
    import msgspec  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.aio.signals import run_until_signal  # noqa: PLC0415
    from stream.cli.json_lines import quiet_when_closed, write_line  # noqa: PLC0415

    report = run_until_signal(_read(settings))
    if report is None:
        typer.echo("no window has been probed: workers probe a share of the windows (setting reveal.share)", err=True)
        return
    with quiet_when_closed():
        if as_json:
            write_line(msgspec.json.encode(report))
        else:
            _print(report)
    if report.suspects:
        raise typer.Exit(EXIT_FAILED)


async def _read(settings: Settings) -> LiveReport | None:
    from stream.local.reachable import Service, require_services  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.sinks.connection import RedisConnection  # noqa: PLC0415
    from stream.sinks.live_reveal import LiveRevealStore  # noqa: PLC0415

    await require_services(settings, (Service.REDIS,), writes=False)
    redis = RedisConnection(settings.redis)
    try:
        return await LiveRevealStore(redis, settings.reveal.hours).report()
    finally:
        await redis.close()


def _print(report: LiveReport) -> None:
    from datetime import UTC, datetime  # noqa: PLC0415 - heavy imports stay out of --help

    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from stream.domain.live_reveal import LiveState  # noqa: PLC0415
    from stream.domain.wording import quantity  # noqa: PLC0415

    styles = {LiveState.SUSPECT: "red", LiveState.FINE: "green", LiveState.TOO_FEW: "dim"}
    says = {LiveState.SUSPECT: "suspect", LiveState.FINE: "fine", LiveState.TOO_FEW: "too few"}
    columns = ("nuisance", "in", "version", "", "strength", "value", "honest", "windows", "warned")
    table = Table(*columns, box=None, header_style="bold")
    for own in report.nuisances[:SHOWN]:
        low, high = (f"{points:+.2f}" for points in own.honest)
        table.add_row(
            Text(own.name if own.found_by == "battery" else f"{own.name}, said"),
            f"{own.modality} alone" if own.alone else own.modality,
            own.version,
            Text(says[own.state], style=styles[own.state]),
            "" if own.strength is None else f"{own.strength:.2f}",
            f"{own.value:+.3f}",
            low if low == high else f"{low} to {high}",
            str(own.windows),
            str(own.warned or ""),
        )
    console = Console()
    console.print(table)
    since, at = (datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC") for ms in (report.since_ms, report.at_ms))
    found = quantity(len(report.suspects), "suspect") if report.suspects else "no suspect"
    console.print(Text(f"{quantity(report.windows, 'probed window')} from {since} to {at}: {found} (strength 1 is the threshold)"))
