"""`sentistream forget`: erases a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import CommandError, UsageError, friendly_errors
from stream.cli.options import ConfigFile, KafkaAddress, RedisUrl, load_settings_with

if TYPE_CHECKING:
    from rich.console import Console

    from stream.config.settings import Settings
    from stream.domain.identity import SessionKey
    from stream.sinks.forget import Erased, ForgetReport


@friendly_errors()
def forget(
    session: Annotated[str, typer.Argument(metavar="SESSION", help="Session to erase.")],
    *,
    tenant: Annotated[str, typer.Option(metavar="NAME", help="Tenant of the session.")] = "default",
    end: Annotated[bool, typer.Option("--end", help="End the session first if it is running.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
    config: ConfigFile = None,
    kafka: KafkaAddress = None,
    redis: RedisUrl = None,
) -> None:
    """Erase a session: results, alerts, cases, contributions to later windows and stored inputs.

    It says what it has found and deleted, and reads everything again to show that nothing is left. Records in Kafka cannot be deleted one
    by one: it says how many are left in which topic, and when the retention of the topic will have deleted them. Until then no worker and
    no `sentistream rebuild` uses them. The name of the session cannot be used again for 30 days.

    Run it once on each machine whose workers have a store of their own (`explanations.store`).

    Exit codes: 0 erased, 1 something is left or the session is running.

    For example:

    - `sentistream forget call-1`

    - `sentistream forget call-1 --tenant acme --end --json`
    """
    import msgspec  # noqa: PLC0415 - heavy imports stay out of --help
    from rich.console import Console  # noqa: PLC0415

    from stream.aio.signals import run_until_signal  # noqa: PLC0415
    from stream.cli.json_lines import write_line  # noqa: PLC0415
    from stream.config.logs import configure_logging  # noqa: PLC0415
    from stream.domain.identity import SessionKey  # noqa: PLC0415

    settings = load_settings_with(config, kafka=kafka, redis=redis)
    configure_logging(settings)
    try:
        key = SessionKey(tenant, session)
    except ValueError as error:
        raise UsageError(str(error)) from None
    report = run_until_signal(_forget(settings, key, Console(stderr=True), end=end))
    if json:
        write_line(msgspec.json.encode(report))
    else:
        for line in lines(report):
            typer.echo(line)
    if not report.complete:
        raise CommandError(f"something of {key} is left: see that no worker uses it any more, and run the command again")


async def _forget(settings: Settings, session: SessionKey, console: Console, *, end: bool) -> ForgetReport:
    from stream.kafka_admin.errors import BrokerError  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.local.reachable import Service, require_services  # noqa: PLC0415
    from stream.sinks.connection import RedisConnection  # noqa: PLC0415
    from stream.sinks.forget import ForgetError, Forgetting  # noqa: PLC0415
    from stream.sinks.window_store import WindowStoreError  # noqa: PLC0415

    await require_services(settings, (Service.KAFKA,), writes=False)
    await require_services(settings, (Service.REDIS,))
    redis = RedisConnection(settings.redis)
    try:
        with console.status("looking") as status:
            return await Forgetting(settings, redis).forget(session, end=end, on_step=status.update)
    except (ForgetError, WindowStoreError) as error:
        raise CommandError(str(error)) from None
    except BrokerError as error:
        raise CommandError(f"{error}; nothing was erased, or not all: run the command again") from None
    finally:
        await redis.close()


def lines(report: ForgetReport) -> list[str]:
    """The report in words."""
    from datetime import UTC, datetime  # noqa: PLC0415 - heavy imports stay out of --help

    def place(name: str, erased: Erased) -> str:
        return f"{name}: {erased.found} found, {erased.left} left"

    said = [
        place("Redis, keys", report.keys),
        place("moderation queue, cases", report.cases),
        place("webhooks, messages", report.messages),
    ]
    said.append("store of windows: none on this machine" if report.windows is None else place("store of windows", report.windows))
    if report.windows is not None and not report.overwritten:
        said.append("store of windows: copies are left in its log while a worker uses it")
    for topic in report.topics or ():
        if topic.until_ms is None:
            until = "for as long as the topic keeps records"
        else:
            until = f"until {datetime.fromtimestamp(topic.until_ms / 1000, UTC).isoformat(timespec='minutes')}"
        said.append(f"Kafka, {topic.topic}: {topic.records} records left {until}; nothing uses them any more")
    if not report.topics:
        said.append("Kafka: no records left")
        if not any(place.found for place in (report.keys, report.cases, report.messages, report.windows) if place is not None):
            said.append(f"nothing was found of {report.tenant}/{report.session}: are its name and its tenant right?")
    return said
