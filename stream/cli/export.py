"""`sentistream export`: a session as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import CommandError, UsageError, friendly_errors
from stream.cli.options import ConfigFile, RedisUrl, load_settings_with

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from stream.config.settings import Settings
    from stream.domain.identity import SessionKey
    from stream.domain.result import Record
    from stream.gateway.export.formats import ExportFormat


@friendly_errors()
def export(
    session: Annotated[str, typer.Argument(metavar="SESSION", help="Session to write.")],
    *,
    tenant: Annotated[str, typer.Option(metavar="NAME", help="Tenant of the session.")] = "default",
    kind: Annotated[str, typer.Option("--format", metavar="FORMAT", help="jsonl, csv or vcon.")] = "jsonl",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="File to write.", show_default="standard output")] = None,
    no_text: Annotated[bool, typer.Option("--no-text", help="Leave out what was said.")] = False,
    config: ConfigFile = None,
    redis: RedisUrl = None,
) -> None:
    """Write the results of a session that Redis keeps as JSON lines, as CSV or as a vCon.

    For example:

    - `sentistream export call-1 --format csv --out call-1.csv`

    - `sentistream export call-1 --format vcon --no-text`
    """
    import asyncio  # noqa: PLC0415 - heavy imports stay out of --help
    import sys  # noqa: PLC0415

    from stream.cli.json_lines import OutputClosedError, quiet_when_closed  # noqa: PLC0415
    from stream.domain.identity import SessionKey  # noqa: PLC0415
    from stream.gateway.export.formats import ExportFormat  # noqa: PLC0415

    if kind not in tuple(ExportFormat):
        raise UsageError(f"--format must be one of {', '.join(ExportFormat)}")
    try:
        key = SessionKey(tenant, session)
    except ValueError as error:
        raise UsageError(str(error)) from None
    settings = load_settings_with(config, redis=redis)

    def write(piece: bytes) -> None:
        try:
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise OutputClosedError from None

    def run(write: Callable[[bytes], object]) -> None:
        if not asyncio.run(_write(settings, key, ExportFormat(kind), write, no_text=no_text)):
            raise CommandError(f"Redis holds no results of the session {key}; see `sentistream watch --from-start`")

    if out is None:
        with quiet_when_closed():
            run(write)
        return
    try:
        with out.open("wb") as file:
            run(file.write)
    except OSError as error:
        raise CommandError(f"{out}: cannot be written: {error.strerror}") from None


async def _write(settings: Settings, session: SessionKey, kind: ExportFormat, write: Callable[[bytes], object], *, no_text: bool) -> int:
    """Write the file; return the number of records."""
    import time  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.gateway.export.formats import export as pieces_of  # noqa: PLC0415
    from stream.sinks.reader import ResultReader  # noqa: PLC0415

    number = 0

    async def records() -> AsyncGenerator[Record, None]:
        nonlocal number
        async with ResultReader(settings.redis, [session]) as reader:
            async for received in reader.held():
                number += 1
                yield _silent(received.record) if no_text else received.record

    async for piece in pieces_of(records(), kind, session, round(time.time() * 1000)):
        write(piece)
    return number


def _silent(record: Record) -> Record:
    from stream.domain.alert import AlertRecord  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.domain.result import ExplanationRecord  # noqa: PLC0415
    from stream.explain.text_view import alert_without_text, without_text  # noqa: PLC0415

    match record:
        case ExplanationRecord():
            return without_text(record)
        case AlertRecord():
            return alert_without_text(record)
        case _:
            return record
