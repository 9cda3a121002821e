"""`sentistream webhooks`: what came of webhooks, dead letters and how to send them again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from stream.cli.errors import UsageError, friendly_errors
from stream.cli.options import ConfigFile, JsonLines, RedisUrl, load_settings_with

if TYPE_CHECKING:
    from pathlib import Path

    from stream.config.settings import Settings
    from stream.gateway.webhooks.receivers import Receiver
    from stream.sinks.webhook_outbox import StoredMessage, WebhookOutbox

Answer = TypeVar("Answer")
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the receiver.")]

app = typer.Typer(help="Signed webhooks: how receivers stand, dead letters, and how to send them again.", no_args_is_help=True)


@app.command("list")
@friendly_errors()
def list_receivers(*, json: JsonLines = False, config: ConfigFile = None, redis: RedisUrl = None) -> None:
    """Show each receiver with its numbers: messages that wait, that it took, and that are dead letters."""
    settings = load_settings_with(config, redis=redis)
    receivers = _receivers(settings)

    async def read(outbox: WebhookOutbox) -> None:
        for receiver in receivers:
            counts = await outbox.counts(receiver.name)
            if json:
                _print_json({"name": receiver.name, **_built_in(counts)})
                continue
            line = f"{receiver.name}: {counts.delivered} taken, {counts.waiting} waiting, {counts.dead} dead"
            if counts.dropped:
                line += f", {counts.dropped} deleted"
            if counts.gone_ms is not None:
                line += ". It answered 410 (gone) and gets no messages; `sentistream webhooks replay` begins again"
            elif counts.last_error and (counts.last_error_ms or 0) > (counts.last_ok_ms or 0):
                line += f". The last attempt failed: {counts.last_error}"
            typer.echo(line)

    _with_outbox(settings, read)


@app.command("dead")
@friendly_errors()
def dead(name: Name, *, json: JsonLines = False, config: ConfigFile = None, redis: RedisUrl = None) -> None:
    """Show the dead letters of a receiver, oldest first, without their content. With --json, with it."""
    settings = load_settings_with(config, redis=redis)
    _named(settings, name)

    async def read(outbox: WebhookOutbox) -> None:
        async for message_id, message in outbox.dead(name):
            if json:
                _print_json({"id": message_id, **_built_in(message)})
            else:
                typer.echo(f"{message_id}  {message.kind}  {message.session}  {_why(message)}")

    _with_outbox(settings, read)


@app.command("replay")
@friendly_errors()
def replay(
    name: Name,
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Messages.", show_default="all dead letters")] = None,
    *,
    config: ConfigFile = None,
    redis: RedisUrl = None,
) -> None:
    """Send dead letters again, under their old ids: a receiver that has one already knows it by its id."""
    import time  # noqa: PLC0415

    settings = load_settings_with(config, redis=redis)
    _named(settings, name)

    async def send(outbox: WebhookOutbox) -> int:
        chosen = ids or [message_id async for message_id, _ in outbox.dead(name)]
        return await outbox.replay(name, chosen, round(time.time() * 1000))

    again = _with_outbox(settings, send)
    typer.secho(f"{again} message{'' if again == 1 else 's'} will be sent again", fg="green", err=True)


@app.command("secret")
def secret() -> None:
    """Print a new secret. Write it to the receiver's secret_file, and give it to the receiver."""
    from stream.gateway.webhooks.receivers import new_secret  # noqa: PLC0415

    typer.echo(new_secret())


def _why(message: StoredMessage) -> str:
    reasons = {
        "expired": f"tried {message.attempts} times, the last time: {message.error}",
        "gone": "the receiver answered 410 (gone)",
    }
    return reasons.get(message.reason, "not sent: the receiver was gone, or too many messages were waiting")


def _file(settings: Settings) -> Path:
    if settings.webhooks.receivers is None:
        raise UsageError("There are no webhooks: set webhooks.receivers to a file of receivers (see docs/api.md)")
    return settings.webhooks.receivers


def _receivers(settings: Settings) -> tuple[Receiver, ...]:
    from stream.gateway.webhooks.receivers import read_receivers  # noqa: PLC0415

    return read_receivers(_file(settings), private_addresses=settings.webhooks.private_addresses)


def _named(settings: Settings, name: str) -> None:
    """Raises `UsageError` for a receiver that the file does not have."""
    names = [receiver.name for receiver in _receivers(settings)]
    if name not in names:
        raise UsageError(f"There is no such receiver; the file has {', '.join(names) or 'none'}")


def _with_outbox(settings: Settings, work: Callable[[WebhookOutbox], Awaitable[Answer]]) -> Answer:
    import asyncio  # noqa: PLC0415

    from stream.sinks.connection import RedisConnection  # noqa: PLC0415
    from stream.sinks.webhook_outbox import WebhookOutbox  # noqa: PLC0415

    async def run() -> Answer:
        connection = RedisConnection(settings.redis)
        try:
            return await work(WebhookOutbox(connection))
        finally:
            await connection.close()

    return asyncio.run(run())


def _built_in(value: object) -> dict[str, object]:
    import msgspec  # noqa: PLC0415

    built: dict[str, object] = msgspec.to_builtins(value)
    return built


def _print_json(value: object) -> None:
    import msgspec  # noqa: PLC0415

    typer.echo(msgspec.json.encode(value).decode())
