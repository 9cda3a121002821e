"""`sentistream rebuild`: refill an emptied Redis from the result topics."""

from __future__ import annotations

import re
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import CommandError, friendly_errors

if TYPE_CHECKING:
    from rich.console import Console

    from stream.config.settings import Settings
    from stream.domain.identity import SessionKey
    from stream.sinks.rebuild import RebuildReport

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
CONFLICTS_SHOWN = 10


@friendly_errors()
def rebuild(
    *,
    session: Annotated[str | None, typer.Option(help="Refill only this session; default: all.")] = None,
    tenant: Annotated[str, typer.Option(help="Whose session, with --session.")] = "default",
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Only sessions with a result since then: 90m, 12h, 7d, or 2026-11-22T10:00+00:00; default: as far back as results live.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output instead of the last line.")] = False,
    config: Annotated[Path | None, typer.Option(help="Settings file (YAML); default: $SENTISTREAM_CONFIG, else built-in values.")] = None,
    kafka: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Kafka brokers, separated by commas.")] = None,
    redis: Annotated[str | None, typer.Option(metavar="URL", help="Redis, as redis:// or rediss:// URL.")] = None,
) -> None:
    """Refill an emptied Redis from the topics `scores`, `explanations` and `session-summaries`.

    Final windows, the latest ones, summaries and the gate that refuses replayed windows come back as they were, and live for the
    full `redis.result_ttl_s` again. What is in Redis stays: a second run, or one while workers publish, changes nothing. A window
    older than what a worker has published to its track since cannot be put in front of that: to have all of a running
    conversation, stop the workers (Kafka keeps its chunks), rebuild, and start them again.
    """
    from rich.console import Console  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.cli import interrupt  # noqa: PLC0415
    from stream.config.load import load_settings  # noqa: PLC0415
    from stream.config.logs import configure_logging  # noqa: PLC0415
    from stream.domain.identity import SessionKey  # noqa: PLC0415

    services = {"kafka": ("bootstrap", kafka), "redis": ("url", redis)}
    settings = load_settings(config, {name: {key: value} for name, (key, value) in services.items() if value is not None})
    configure_logging(settings)
    try:
        wanted = None if session is None else SessionKey(tenant, session)
    except ValueError as error:
        raise CommandError(str(error)) from None
    now_ms = round(time.time() * 1000)
    since_ms = now_ms - settings.redis.result_ttl_s * 1000 if since is None else since_time_ms(since, now_ms)
    console = Console(stderr=True)
    report = interrupt.run(_rebuild(settings, wanted, since_ms, console))
    if wanted is not None and not report.sessions:
        raise CommandError(f"the result topics hold nothing of {wanted} in that time")
    _show(report, console, as_json=json)


def since_time_ms(text: str, now_ms: int) -> int:
    """Unix milliseconds of ``90m``, ``12h``, ``7d`` ago, or of an RFC 3339 time with offset. Raises `CommandError`."""
    ago = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if ago:
        return now_ms - int(ago[1]) * SECONDS[ago[2]] * 1000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.min  # noqa: DTZ901 (refused for its missing offset)
    if moment.tzinfo is None:
        raise CommandError(f"--since {text!r} is neither like 90m, 12h or 7d nor a time with an offset like 2026-11-22T10:00+00:00")
    return round(moment.timestamp() * 1000)


async def _rebuild(settings: Settings, session: SessionKey | None, since_ms: int, console: Console) -> RebuildReport:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    from stream.local.reachable import require_services  # noqa: PLC0415
    from stream.sinks.rebuild import read_history, refill  # noqa: PLC0415
    from stream.sinks.redis_sink import RedisSink  # noqa: PLC0415

    await require_services(settings, kafka=True, redis=True, triton=False)
    store = RedisSink(settings.redis)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        await store.ping()
        with Progress(*columns, console=console) as progress:
            reading = progress.add_task("reading records", total=None)
            history = await read_history(
                settings.kafka,
                settings.redis.stream_length,
                session,
                lambda done, every: progress.update(reading, completed=done, total=every),
            )
            refilling = progress.add_task("refilling sessions", total=None)
            return await refill(history, store, since_ms, lambda done, every: progress.update(refilling, completed=done, total=every))
    finally:
        await store.close()


def _show(report: RebuildReport, console: Console, *, as_json: bool) -> None:
    import msgspec  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.cli.json_lines import write_line  # noqa: PLC0415

    if as_json:
        write_line(msgspec.json.encode({"event": "rebuild", **msgspec.to_builtins(report)}))
    for note in notes(report):
        console.print(note, style="yellow", soft_wrap=True, markup=False, highlight=False)
    if not as_json:
        typer.echo(
            f"{report.sessions} sessions: {report.refilled} windows refilled, {report.present} there already, "
            f"{report.overtaken} overtaken by live workers; {report.summaries} summaries"
        )


def notes(report: RebuildReport) -> list[str]:
    """One sentence for everything that a user should know beyond the counts."""
    found = []
    if report.overtaken:
        found.append(
            f"{report.overtaken} windows are older than what workers have published to their tracks since: they stay in Kafka only. "
            "Stop the workers before emptying Redis and rebuilding to have them."
        )
    if report.conflicts:
        shown = ", ".join(report.conflicts[:CONFLICTS_SHOWN]) + (", …" if len(report.conflicts) > CONFLICTS_SHOWN else "")
        found.append(f"{len(report.conflicts)} ids came again with other content; the first was taken: {shown}")
    if report.unexplained:
        found.append(f"{report.unexplained} scores have no explanation: they were never final, and a worker will publish them again.")
    if report.unreadable:
        found.append(f"{report.unreadable} records are no results of ours and were skipped.")
    return found
