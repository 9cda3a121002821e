"""`sentistream check-producer`: reads a session's records from Kafka and says what is wrong or risky with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import EXIT_FAILED, CommandError, UsageError, friendly_errors
from stream.cli.options import ConfigFile, JsonLines, KafkaAddress, load_settings_with, since_time_ms

if TYPE_CHECKING:
    from rich.console import Console

    from stream.config.settings import Settings
    from stream.domain.identity import SessionKey
    from stream.produce.check.record import LogFacts
    from stream.produce.check.session import SessionReport

STYLES = {"error": "bold red", "warning": "yellow", "ok": "green"}
SIGNS = {"error": "✗", "warning": "!", "ok": "✓"}


@friendly_errors()
def check_producer(
    *,
    session: Annotated[str, typer.Option(metavar="NAME", help="Session to check.")],
    tenant: Annotated[str, typer.Option(metavar="NAME", help="Tenant of the session.")] = "default",
    since: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="Read only records since this time: 90m, 12h or 7d ago, or a time such as 2026-11-22T10:00+00:00."
        ),
    ] = "24h",
    timeout: Annotated[float, typer.Option(metavar="SECONDS", min=1, help="Longest time that reading may take.")] = 60.0,
    as_json: JsonLines = False,
    config: ConfigFile = None,
    kafka: KafkaAddress = None,
) -> None:
    """Check the records that a producer has sent for a session, and say how to fix what is wrong.

    Use it while you write a producer, in any language: send a short session, then check it. It reads the chunk topics and the sessions
    topic, as workers do. It changes nothing, and workers need not run. It never shows what was said.

    It checks partitions, keys, headers, the order and the numbers of chunks, media and capture times, content types against bytes, word
    times, rates, start and end records, transactions and the topics' retention.

    Exits with 0 if there is no error, 1 if there is one or no record of the session, 2 for a wrong setting, and 3 if Kafka is not what the
    settings say.

    For example:

    - `sentistream check-producer --session call-17`

    - `sentistream check-producer --session call-17 --kafka broker:9092 --since 90m --json`
    """
    import time  # noqa: PLC0415 - heavy imports stay out of --help

    from rich.console import Console  # noqa: PLC0415

    from stream.cli.json_lines import quiet_when_closed  # noqa: PLC0415
    from stream.config.logs import configure_logging  # noqa: PLC0415
    from stream.domain.identity import SessionKey  # noqa: PLC0415

    settings = load_settings_with(config, kafka=kafka)
    configure_logging(settings)
    try:
        wanted = SessionKey(tenant, session)
    except ValueError as error:
        raise UsageError(str(error)) from None
    since_ms = since_time_ms(since, round(time.time() * 1000))
    report, log = _check(settings, wanted, since_ms, timeout, Console(stderr=True))
    with quiet_when_closed():
        if as_json:
            _print_json(wanted, report, log)
        elif report.records:
            _print_report(report, Console())
    if not report.records:
        raise CommandError(no_records(wanted, since, report, log))
    if any(finding.severity == "error" for finding in report.findings):
        raise typer.Exit(EXIT_FAILED)


def _check(settings: Settings, session: SessionKey, since_ms: int, timeout_s: float, console: Console) -> tuple[SessionReport, LogFacts]:
    from collections import Counter  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.cli.progress import counted_progress  # noqa: PLC0415
    from stream.domain.topics import Topics  # noqa: PLC0415
    from stream.produce.check.read import LogReader  # noqa: PLC0415
    from stream.produce.check.session import SessionCheck  # noqa: PLC0415

    with counted_progress(console, transient=True) as progress:
        reading = progress.add_task("reading records", total=None)
        reader = LogReader(
            settings.kafka,
            since_ms=since_ms,
            timeout_s=timeout_s,
            on_progress=lambda done, total: progress.update(reading, completed=done, total=total),
        )
        check = SessionCheck(session, Topics(settings.kafka.topic_prefix), settings.windows, reader.partitions)
        refused: Counter[str] = Counter()
        for record in reader.read():
            if not reader.is_refusal(record):
                check.add(record)
            elif check.belongs(record):
                reason = record.attributes.get("dl_reason", b"").decode("ascii", errors="replace")
                refused[reason if reason.isidentifier() else "unknown"] += 1
        hidden = Counter(is_open for record, is_open in reader.read_hidden() if check.belongs(record))
    log = reader.facts(aborted=hidden[False], still_open=hidden[True], refused=refused)
    return check.report(log), log


def no_records(session: SessionKey, since: str, report: SessionReport, log: LogFacts) -> str:
    """The message about a session of which nothing was found: what was looked at, and which sessions there are."""
    looked_at = ", ".join(f"{topic}: {count}" for topic, count in log.records.items())
    message = f"no record of {session} was found (--since {since}). Records looked at, of all sessions: {looked_at}."
    if log.aborted or log.open:
        message += f" {log.aborted + log.open} records of it belong to transactions that were not committed: workers do not see them."
    if not log.to_end:
        message += " The topics were not read to their ends: raise --timeout, or set --since to a later time."
    if report.recent:
        message += f" Sessions seen, newest first: {', '.join(report.recent)}."
    return message


def _print_json(session: SessionKey, report: SessionReport, log: LogFacts) -> None:
    import msgspec  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.cli.json_lines import write_line  # noqa: PLC0415

    for stream in report.streams:
        write_line(msgspec.json.encode({"event": "stream", **msgspec.to_builtins(stream)}))
    for finding in report.findings:
        write_line(msgspec.json.encode({"event": "finding", **msgspec.to_builtins(finding)}))
    counts = {severity: sum(finding.severity == severity for finding in report.findings) for severity in STYLES}
    summary = {"event": "checked", "session": str(session), "records": report.records, "looked_at": log.records, "findings": counts}
    write_line(msgspec.json.encode(summary | {"recent_sessions": report.recent, "complete": log.to_end}))


def _print_report(report: SessionReport, console: Console) -> None:
    from rich.table import Table  # noqa: PLC0415 - heavy imports stay out of --help
    from rich.text import Text  # noqa: PLC0415

    from stream.domain.wording import quantity  # noqa: PLC0415
    from stream.explain.phrasing import clock  # noqa: PLC0415

    table = Table("track", "modality", "epoch", "chunks", "media time", "chunk", "bytes/s", box=None, header_style="bold")
    table.add_column("content type", overflow="fold")
    for stream in report.streams:
        span_s = max(stream.end_ms - stream.start_ms, 1) / 1000
        row = (
            stream.track,
            str(stream.modality),
            str(stream.epoch),
            str(stream.chunks),
            f"{clock(stream.start_ms)}-{clock(stream.end_ms)}",
            f"{stream.chunk_ms} ms",
            f"{stream.bytes / span_s:,.0f}",
            ", ".join(stream.content_types),
        )
        table.add_row(*(Text(cell) for cell in row))
    if report.streams:
        console.print(table)
        console.print()
    for finding in report.findings:
        style = STYLES[finding.severity]
        count = f" ({quantity(finding.count, 'time')}, first {finding.example})" if finding.count and finding.example else ""
        console.print(
            Text.assemble((f"{SIGNS[finding.severity]} {finding.severity}: ", style), finding.text, (count, "dim")), soft_wrap=True
        )
        if finding.fix:
            console.print(Text(f"    → {finding.fix}"), soft_wrap=True)
    counts = {severity: sum(finding.severity == severity for finding in report.findings) for severity in STYLES}
    found = f"{quantity(counts['error'], 'error')}, {quantity(counts['warning'], 'warning')}, {counts['ok']} ok"
    console.print(f"\n{quantity(report.records, 'record')}: {found}")
