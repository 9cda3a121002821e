"""`sentistream watch`: follow results from Redis."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import CommandError, friendly_errors

if TYPE_CHECKING:
    from stream.config.settings import Settings
    from stream.domain.identity import SessionKey


@friendly_errors()
def watch(
    session: Annotated[str | None, typer.Argument(metavar="[SESSION]", help="Follow only this one; default: all, new ones too.")] = None,
    *,
    tenant: Annotated[str | None, typer.Option(help="Whose sessions; with SESSION the default is 'default', else all tenants.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line: score, explanation, partial, session.")] = False,
    from_start: Annotated[bool, typer.Option("--from-start", help="Also show what was published before now.")] = False,
    config: Annotated[Path | None, typer.Option(help="Settings file (YAML); default: $SENTISTREAM_CONFIG, else built-in values.")] = None,
    redis: Annotated[str | None, typer.Option(metavar="URL", help="Redis, as redis:// or rediss:// URL.")] = None,
) -> None:
    """Follow scores and explanations live until Ctrl-C.

    Each track has a bar from -3 to 3, its label and confidence, how much of the score text (T), audio (A) and video (V) carry, and
    the sentence that explains it. Windows that are still open are shown dim. Where there is no terminal, each final window is a line.
    """
    from stream.cli import interrupt  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.cli.json_lines import quiet_when_closed  # noqa: PLC0415
    from stream.config.load import load_settings  # noqa: PLC0415
    from stream.config.logs import configure_logging  # noqa: PLC0415
    from stream.domain.identity import SessionKey  # noqa: PLC0415

    settings = load_settings(config, {"redis": {"url": redis}} if redis is not None else None)
    configure_logging(settings)
    try:
        wanted = SessionKey(tenant or "default", session) if session is not None else None
    except ValueError as error:
        raise CommandError(str(error)) from None
    with quiet_when_closed():
        interrupt.run(_follow(settings, wanted, tenant, json=json, from_start=from_start))


async def _follow(settings: Settings, session: SessionKey | None, tenant: str | None, *, json: bool, from_start: bool) -> None:
    from rich.console import Console  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.cli.displays import open_display  # noqa: PLC0415
    from stream.local.reachable import require_services  # noqa: PLC0415
    from stream.sinks.reader import ResultReader  # noqa: PLC0415

    await require_services(settings, kafka=False, redis=True, triton=False)
    wanted = None if session is None else [session]
    async with ResultReader(settings.redis, wanted, tenant=tenant, from_start=from_start) as reader:
        with open_display(Console(), json=json) as display:
            async for seen in reader:
                display.show(seen.record)
