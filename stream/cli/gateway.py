"""`sentistream gateway`: the live page and its API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import UsageError, friendly_errors
from stream.cli.options import ConfigFile, OpenBrowser, RedisUrl, load_settings_with

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
    open_browser: OpenBrowser = False,
    ready_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the address to this file once it answers, for scripts that wait for it.")
    ] = None,
    config: ConfigFile = None,
    redis: RedisUrl = None,
) -> None:
    """Show results live on a page, and serve them over an API, until Ctrl-C.

    Use it beside running workers. Results come from Redis; verdicts, decisions and uploads also need Kafka. It listens on 127.0.0.1, where
    everybody may see and do everything. Let others in with tokens (`sentistream gateway token`) or an identity provider (settings
    `gateway.*`).

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
    _run(settings, open_browser=open_browser, ready_file=ready_file)


def _run(settings: Settings, *, open_browser: bool, ready_file: Path | None) -> None:
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
        if ready_file is not None:
            ready_file.write_text(f"{address}\n")
        typer.echo(f"live page: {address}  (Ctrl-C stops it)")
        if open_browser and not open_page(address):
            typer.echo("no browser was found here; open the address yourself")

    async def run() -> None:
        stop = asyncio.Event()
        stop_on_signals(stop)
        await run_gateway(settings, listener, stop, on_started)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


@app.command("token")
@friendly_errors()
def token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the token: who or what uses it.")],
    *,
    role: Annotated[str, typer.Option(metavar="ROLE", help="What it allows; see docs/gateway.md.")],
    tenant: Annotated[list[str], typer.Option(metavar="TENANT", help="Whose sessions it shows; repeat it, or '*' for all.")],
    expires: Annotated[str | None, typer.Option(metavar="DAY", help="Last day, like 2027-06-30.", show_default="no end")] = None,
    config: ConfigFile = None,
) -> None:
    """Make a token, and the entry for the access file.

    The token is shown this once; only its hash is kept. Put the entry under `tokens:` in the file that the setting `gateway.access` names.
    A running gateway reads the file again by itself.

    Example: `sentistream gateway token wall-1 --role wallboard --tenant acme`
    """
    from stream.domain.identity import check_name  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.domain.permission import ROLES  # noqa: PLC0415
    from stream.gateway.access_file import parse_expiry, parse_tenants, read_access_file  # noqa: PLC0415
    from stream.gateway.tokens import new_token  # noqa: PLC0415

    access = load_settings_with(config).gateway.access
    roles = read_access_file(access).roles if access is not None and access.exists() else ROLES
    if role not in roles:
        raise UsageError(f"there is no role {role!r}; there are {', '.join(sorted(roles))}")
    try:
        check_name("NAME", name)
        parse_tenants(",".join(tenant))
    except ValueError as error:
        raise UsageError(str(error)) from None
    try:
        parse_expiry(expires or "2027-06-30")
    except ValueError:
        raise UsageError("--expires must be a day like 2027-06-30, or a time with an offset") from None
    secret, hashed = new_token(name)
    typer.echo("The token, shown this once:\n", err=True)
    typer.echo(secret)
    typer.echo("\nIts entry, under `tokens:` in the access file:\n", err=True)
    tenants = "'*'" if tenant == ["*"] else ", ".join(tenant)
    lines = [f"  {name}:", f"    role: {role}", f"    tenants: {tenants}", f"    hash: {hashed}"]
    typer.echo("\n".join(lines + ([f"    expires: {expires}"] if expires else [])))
    if access is None:
        typer.echo("\nName the file in the setting gateway.access: without it, everybody on this machine may do everything.", err=True)
