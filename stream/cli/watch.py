"""`sentistream watch`: shows results from Redis as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import UsageError, friendly_errors
from stream.cli.options import ConfigFile, JsonLines, RedisUrl, load_settings_with

if TYPE_CHECKING:
    from stream.config.settings import Settings
    from stream.domain.identity import SessionKey
    from stream.domain.result import Record


@friendly_errors()
def watch(
    session: Annotated[
        str | None, typer.Argument(metavar="SESSION", help="Session to follow.", show_default="all sessions, also new ones")
    ] = None,
    *,
    tenant: Annotated[
        str | None, typer.Option(metavar="NAME", help="Tenant of the sessions.", show_default="'default' with SESSION, else all tenants")
    ] = None,
    json: JsonLines = False,
    from_start: Annotated[bool, typer.Option("--from-start", help="Show the results of the past, too, as far as Redis has them.")] = False,
    no_text: Annotated[bool, typer.Option("--no-text", help="Leave out what was said: explanations show times and effects alone.")] = False,
    config: ConfigFile = None,
    redis: RedisUrl = None,
) -> None:
    """Show scores and explanations as they come, until Ctrl-C.

    Use it beside running workers, in as many terminals as you like: it only reads from Redis.

    Each track has a bar from -3 (negative) to 3 (positive), a label with its confidence, the shares of text (T), audio (A) and video (V) in
    the score, and the sentence that explains it. Partial results are dim. If the output is not a terminal, each final window is a line.

    For example:

    - `sentistream watch`

    - `sentistream watch call-1 --from-start --json`
    """
    from stream.aio.signals import run_until_signal  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.cli.json_lines import quiet_when_closed  # noqa: PLC0415
    from stream.config.logs import configure_logging  # noqa: PLC0415
    from stream.domain.identity import SessionKey  # noqa: PLC0415

    settings = load_settings_with(config, redis=redis)
    configure_logging(settings)
    try:
        wanted = SessionKey(tenant or "default", session) if session is not None else None
    except ValueError as error:
        raise UsageError(str(error)) from None
    with quiet_when_closed():
        run_until_signal(_follow(settings, wanted, tenant, json=json, from_start=from_start, no_text=no_text))


async def _follow(
    settings: Settings, session: SessionKey | None, tenant: str | None, *, json: bool, from_start: bool, no_text: bool
) -> None:
    from rich.console import Console  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.cli.displays import open_display  # noqa: PLC0415
    from stream.local.reachable import Service, require_services  # noqa: PLC0415
    from stream.sinks.reader import ResultReader  # noqa: PLC0415

    await require_services(settings, (Service.REDIS,), writes=False)
    wanted = None if session is None else [session]
    async with ResultReader(settings.redis, wanted, tenant=tenant, from_start=from_start) as reader:
        with open_display(Console(), json=json) as display:
            async for seen in reader:
                record = seen.record
                display.show(_without_text(record) if no_text else record)


def _without_text(record: Record) -> Record:
    from stream.domain.alert import AlertRecord  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.domain.result import ExplanationRecord  # noqa: PLC0415
    from stream.explain.text_view import alert_without_text, without_text  # noqa: PLC0415

    if isinstance(record, ExplanationRecord):
        return without_text(record)
    return alert_without_text(record) if isinstance(record, AlertRecord) else record
