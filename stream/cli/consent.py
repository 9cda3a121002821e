"""`sentistream consent`: says that somebody in a running session consents, or no longer does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import UsageError, friendly_errors
from stream.cli.options import ConfigFile, KafkaAddress, RedisUrl, load_settings_with

if TYPE_CHECKING:
    from stream.config.settings import Settings
    from stream.domain.identity import SessionKey


@friendly_errors()
def consent(
    session: Annotated[str, typer.Argument(metavar="SESSION", help="The running session.")],
    *,
    withdraw: Annotated[bool, typer.Option("--withdraw/--grant", help="Withdraw the consent, or give it.", show_default=False)],
    tenant: Annotated[str, typer.Option(metavar="NAME", help="Tenant of the session.")] = "default",
    track: Annotated[str | None, typer.Option(metavar="NAME", help="Whose consent it is.", show_default="everybody's")] = None,
    since: Annotated[float, typer.Option("--from", metavar="SECONDS", min=0, help="Media time from which it holds.")] = 0.0,
    config: ConfigFile = None,
    kafka: KafkaAddress = None,
    redis: RedisUrl = None,
) -> None:
    """Withdraw or give the consent of somebody in a running session.

    From 0 s, a withdrawal reaches back to every window that is still open. A consent never reaches back before what was left out already.
    Windows that are final stay: `sentistream forget` erases the session.

    For example:

    - `sentistream consent call-17 --withdraw`

    - `sentistream consent call-17 --grant --track customer --from 61`
    """
    from stream.domain.identity import SessionKey  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.domain.session_events import SessionConsent  # noqa: PLC0415
    from stream.kafka_admin.erasures import send_event  # noqa: PLC0415

    settings = load_settings_with(config, kafka=kafka, redis=redis)
    try:
        key = SessionKey(tenant, session)
        event = SessionConsent(asyncio.run(_epoch(settings, key)), round(since * 1000), consent=not withdraw, track=track)
    except ValueError as error:
        raise UsageError(str(error)) from None
    send_event(settings.kafka, key, event)
    typer.echo(f"{key}: {'withdrawal' if withdraw else 'consent'} of {track or 'everybody'} sent, from {since:g} s on")


async def _epoch(settings: Settings, session: SessionKey) -> int:
    """The epoch that the session's producer declares now, as far as Redis knows; 0 if it has no result yet."""
    from stream.sinks.redis_sink import RedisSink  # noqa: PLC0415 - heavy imports stay out of --help

    sink = RedisSink(settings.redis)
    try:
        await sink.ping()
        known = await sink.epochs(session)
    finally:
        await sink.close()
    declared = {assignment.epoch: assignment.declared for assignment in known.assignments}
    return max(0, declared.get(known.final, known.final))
