"""`sentistream rebuild`: refills an emptied Redis from the result topics."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import CommandError, UsageError, friendly_errors
from stream.cli.options import ConfigFile, KafkaAddress, RedisUrl, load_settings_with, since_time_ms

if TYPE_CHECKING:
    from rich.console import Console

    from stream.config.settings import Settings
    from stream.domain.identity import SessionKey
    from stream.rules.evaluate import RuleSet
    from stream.sinks.rebuild import RebuildReport

CONFLICTS_SHOWN = 10


@friendly_errors()
def rebuild(
    *,
    session: Annotated[str | None, typer.Option(metavar="NAME", help="Session to refill.", show_default="all sessions")] = None,
    tenant: Annotated[str, typer.Option(metavar="NAME", help="Tenant of --session.")] = "default",
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Refill only sessions with a result since this time: 90m, 12h or 7d ago, or a time such as 2026-11-22T10:00+00:00.",
            show_default="setting redis.result_ttl_s ago",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print all counts as one JSON object instead of a line of text.")] = False,
    config: ConfigFile = None,
    kafka: KafkaAddress = None,
    redis: RedisUrl = None,
) -> None:
    """Refill an emptied Redis from the result topics in Kafka.

    Use it after Redis has lost its data. Final windows, their alerts, the latest window of each track, summaries, and the record of which
    windows are final come back, and Redis keeps them for `redis.result_ttl_s` from now on.

    Results that are in Redis stay as they are, so you can run it twice, or while workers publish. But Redis takes the windows of a track in
    order only: if a worker has published to a track since Redis was emptied, the older windows of that track stay in Kafka. To have all
    windows of a running session, stop the workers, rebuild, and start them again; Kafka keeps the chunks.

    For example:

    - `sentistream rebuild`

    - `sentistream rebuild --session call-1 --since 12h --json`
    """
    from rich.console import Console  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.aio.signals import run_until_signal  # noqa: PLC0415
    from stream.config.logs import configure_logging  # noqa: PLC0415
    from stream.domain.identity import SessionKey  # noqa: PLC0415

    settings = load_settings_with(config, kafka=kafka, redis=redis)
    configure_logging(settings)
    try:
        wanted = None if session is None else SessionKey(tenant, session)
    except ValueError as error:
        raise UsageError(str(error)) from None
    rules = _rules(settings)
    now_ms = round(time.time() * 1000)
    since_ms = now_ms - settings.redis.result_ttl_s * 1000 if since is None else since_time_ms(since, now_ms)
    console = Console(stderr=True)
    report = run_until_signal(_rebuild(settings, wanted, since_ms, rules, console))
    if wanted is not None and not report.sessions:
        raise CommandError(f"the result topics have no result of {wanted} in that time")
    _show(report, console, as_json=json)


async def _rebuild(settings: Settings, session: SessionKey | None, since_ms: int, rules: RuleSet | None, console: Console) -> RebuildReport:
    from stream.cli.progress import counted_progress  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.local.reachable import Service, require_services  # noqa: PLC0415
    from stream.sinks.rebuild import read_history, refill  # noqa: PLC0415
    from stream.sinks.redis_sink import RedisSink  # noqa: PLC0415

    await require_services(settings, (Service.KAFKA,), writes=False)
    await require_services(settings, (Service.REDIS,))
    store = RedisSink(settings.redis)
    try:
        with counted_progress(console) as progress:
            reading = progress.add_task("reading records", total=None)
            history = await read_history(
                settings.kafka,
                settings.redis.stream_length,
                session,
                lambda done, total: progress.update(reading, completed=done, total=total),
            )
            refilling = progress.add_task("refilling sessions", total=None)
            return await refill(
                history, store, since_ms, lambda done, total: progress.update(refilling, completed=done, total=total), rules=rules
            )
    finally:
        await store.close()


def _rules(settings: Settings) -> RuleSet | None:
    """The alert rules. Raises `RulesError`, before anything is written."""
    from stream.rules.evaluate import RuleSet  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.rules.read import read_rules  # noqa: PLC0415

    return None if settings.alerts.rules is None else RuleSet(read_rules(settings.alerts.rules))


def _show(report: RebuildReport, console: Console, *, as_json: bool) -> None:
    import msgspec  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.cli.json_lines import write_line  # noqa: PLC0415

    if as_json:
        write_line(msgspec.json.encode({"event": "rebuild", **msgspec.to_builtins(report)}))
    for note in warnings(report):
        console.print(note, style="yellow", soft_wrap=True, markup=False, highlight=False)
    if not as_json:
        typer.echo(
            f"{report.sessions} sessions: {report.refilled} windows refilled, {report.present} already there, "
            f"{report.overtaken} overtaken by newer windows of their track; {report.alerts} alerts; {report.summaries} summaries"
        )


def warnings(report: RebuildReport) -> list[str]:
    """Return a sentence for each count that calls for attention."""
    found = []
    if report.overtaken:
        found.append(
            f"{report.overtaken} windows stay in Kafka only: workers have published newer windows of their tracks since. "
            "To have them in Redis, stop the workers, empty Redis and rebuild again."
        )
    if report.conflicts:
        shown = ", ".join(report.conflicts[:CONFLICTS_SHOWN]) + (", …" if len(report.conflicts) > CONFLICTS_SHOWN else "")
        found.append(f"{len(report.conflicts)} window ids came more than once with different content; the first record was taken: {shown}")
    if report.unexplained:
        found.append(f"{report.unexplained} scores have no explanation: they are not final yet, and a worker will publish them again.")
    if report.erased:
        found.append(f"{report.erased} sessions were erased (`sentistream forget`), and are not restored.")
    if report.unreadable:
        found.append(f"{report.unreadable} records are not results and were skipped.")
    return found
