"""`sentistream gateway`: the live page and its API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import friendly_errors
from stream.cli.options import ConfigFile, RedisUrl, load_settings_with

if TYPE_CHECKING:
    from stream.config.settings import Settings

app = typer.Typer(invoke_without_command=True, rich_markup_mode="markdown")


@app.callback()
@friendly_errors()
def gateway(
    context: typer.Context,
    *,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, metavar="PORT", help="Port to listen on; 0 = any free port.", show_default="setting gateway.port"),
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    config: ConfigFile = None,
    redis: RedisUrl = None,
) -> None:
    """Show results live on a page, and serve them over an API, until Ctrl-C.

    Use it beside running workers: it only reads from Redis. It listens on 127.0.0.1, where everybody may see and do everything. Let others
    in with tokens (`sentistream gateway token`) or an identity provider, see the settings `gateway.*`.

    If Redis is away, the page says so, and goes on when it is back.

    For example:

    - `sentistream gateway --open`

    - `sentistream gateway --port 9000 --redis redis://store:6379/0`
    """
    if context.invoked_subcommand is not None:
        return
    settings = load_settings_with(config, redis=redis)
    if port is not None:
        settings = settings.model_copy(update={"gateway": settings.gateway.model_copy(update={"port": port})})
    _run(settings, open_browser=open_browser)


def _run(settings: Settings, *, open_browser: bool) -> None:
    import asyncio  # noqa: PLC0415 - heavy imports stay out of --help

    import uvloop  # noqa: PLC0415

    from stream.aio.signals import stop_on_signals  # noqa: PLC0415
    from stream.cli.browser import open_page  # noqa: PLC0415
    from stream.config.logs import configure_logging  # noqa: PLC0415
    from stream.gateway.server import address_of, listen, run_gateway  # noqa: PLC0415

    configure_logging(settings)
    listener = listen(settings.gateway.host, settings.gateway.port)
    address = address_of(listener)

    def on_started() -> None:
        typer.echo(f"live page: {address}  (Ctrl-C stops it)")
        if open_browser and not open_page(address):
            typer.echo("no browser was found here; open the address yourself")

    async def run() -> None:
        stop = asyncio.Event()
        stop_on_signals(stop)
        await run_gateway(settings, listener, stop, on_started)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
