"""`sentistream explain`: looks at one final window again, lists the windows of the local store, and erases a session from it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import CommandError, UsageError, friendly_errors
from stream.cli.options import ConfigFile, TritonAddress, load_settings_with

if TYPE_CHECKING:
    from rich.console import Console

    from stream.cli.explain.examination import Examination
    from stream.config.settings import Settings
    from stream.domain.identity import SessionKey
    from stream.domain.inference import WindowInputs
    from stream.domain.result import ModelVersion
    from stream.serving.models import Models
    from stream.sinks.stored_window import StoredWindow
    from stream.sinks.window_store import WindowStore

DEFAULT_METHODS = ("ours", "attention", "occlusion", "leave-one-out")
"""What is compared unless --method names something: what needs no extra, and takes a second at most."""

WIDE = 160
"""Columns of the table in a file or a pipe."""

OTHER_WINDOWS = 64
"""Windows of the session from which the mean node is taken."""


@friendly_errors()
def explain(
    window: Annotated[
        str | None, typer.Argument(metavar="[WINDOW_ID]", help="Window to explain, as in the records: TENANT/SESSION/TRACK/EPOCH-END.")
    ] = None,
    *,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", metavar="NAME", help="Explainer to compare; repeat it, or say `all`.", show_default=", ".join(DEFAULT_METHODS)
        ),
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page with pictures to this file.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    session: Annotated[str | None, typer.Option(metavar="NAME", help="Session for --list.", show_default="all sessions")] = None,
    tenant: Annotated[str, typer.Option(metavar="NAME", help="Tenant of --session and --forget.")] = "default",
    list_: Annotated[bool, typer.Option("--list", help="List what is in the store: the sessions, or the windows of --session.")] = False,
    forget: Annotated[str | None, typer.Option("--forget", metavar="SESSION", help="Erase a session from the store.")] = None,
    config: ConfigFile = None,
    triton: TritonAddress = None,
) -> None:
    """Explain one final window in depth, with the served models and the inputs in the local store.

    Workers fill the store if `explanations.store` (SENTISTREAM_EXPLANATIONS__STORE) names a file. The page that `--html` writes needs no
    network and has no picture of anybody, but it says what was said: treat it as a transcript.

    Methods: ours, closed-form, attention, occlusion, leave-one-out, grad-cam++, integrated-gradients, shap, lime, greedy (the order that an
    oracle finds), random. Some need the extra `explain`.

    For example:

    - `sentistream explain --list --session call-1`

    - `sentistream explain default/call-1/customer/0-8000 --method all --html window.html`

    - `sentistream explain --forget call-1`
    """
    from rich.console import Console  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.aio.signals import run_until_signal  # noqa: PLC0415
    from stream.config.logs import configure_logging  # noqa: PLC0415

    if sum([window is not None, list_, forget is not None]) != 1:
        raise UsageError("give one of WINDOW_ID, --list or --forget SESSION")
    settings = load_settings_with(config, triton=triton)
    configure_logging(settings)
    with _store(settings) as store:
        if forget is not None:
            _forget(store, _key(tenant, forget), as_json=json)
        elif list_:
            _list(store, None if session is None else _key(tenant, session), as_json=json)
        elif window is not None:
            stored = _stored(store, window)
            others = [stored.inputs, *_inputs_beside(store, stored)]
            found = run_until_signal(_examined(settings, stored, others, _names(method), Console(stderr=True)))
            _show(found, html, as_json=json)


@contextmanager
def _store(settings: Settings) -> Iterator[WindowStore]:
    from stream.sinks.window_store import WindowStore  # noqa: PLC0415 - heavy imports stay out of --help

    wanted = settings.explanations
    if wanted.store is None:
        raise UsageError(
            "no store of windows is configured: set explanations.store (SENTISTREAM_EXPLANATIONS__STORE) to a file, "
            "for the workers and for this command"
        )
    store = WindowStore(wanted.store, retention_hours=wanted.retention_hours, max_mb=wanted.store_max_mb, create=False)
    try:
        yield store
    finally:
        store.close()


def _key(tenant: str, session: str) -> SessionKey:
    from stream.domain.identity import SessionKey  # noqa: PLC0415 - heavy imports stay out of --help

    try:
        return SessionKey(tenant, session)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _names(wanted: list[str] | None) -> tuple[str, ...]:
    from stream.cli.explain.methods import METHODS  # noqa: PLC0415 - heavy imports stay out of --help

    names = tuple(METHODS) if wanted and "all" in wanted else tuple(dict.fromkeys(wanted or DEFAULT_METHODS))
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        raise UsageError(f"--method {unknown[0]!r} is not one of all, {', '.join(METHODS)}")
    return names


def _forget(store: WindowStore, session: SessionKey, *, as_json: bool) -> None:
    import msgspec  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.cli.json_lines import write_line  # noqa: PLC0415

    forgotten = store.forget(session)
    if as_json:
        write_line(msgspec.json.encode({"event": "forgotten", "session": str(session), **msgspec.to_builtins(forgotten)}))
    else:
        typer.echo(f"{session}: {forgotten.deleted} windows deleted, {forgotten.left} left in the store")
    if forgotten.left or not forgotten.overwritten:
        raise CommandError(f"a worker is using the store: run `sentistream explain --forget {session.session}` again when it has stopped")


def _list(store: WindowStore, session: SessionKey | None, *, as_json: bool) -> None:
    import msgspec  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.cli.json_lines import quiet_when_closed, write_line  # noqa: PLC0415
    from stream.domain.wording import quantity  # noqa: PLC0415
    from stream.explain.phrasing import signed  # noqa: PLC0415

    with quiet_when_closed():
        if session is None:
            for name, count in store.sessions().items():
                said = f"{name} {quantity(count, 'window')}"
                write_line(msgspec.json.encode({"session": name, "windows": count}) if as_json else said.encode())
            return
        windows = store.listed(session)
        if not windows:
            raise CommandError(f"the store has no window of {session}")
        for window in windows:
            said = "no score" if window.score is None else f"{signed(window.score)} {window.label}"
            write_line(msgspec.json.encode(window) if as_json else f"{window.window_id} {said}".encode())


def _stored(store: WindowStore, window_id: str) -> StoredWindow:
    stored = store.get(window_id)
    if stored is None:
        raise CommandError(f"the store has no window {window_id!r}: `sentistream explain --list` shows what it has")
    if stored.score.score is None:
        raise CommandError(f"{window_id} has no score, so there is nothing to explain: {stored.explanation.sentence}")
    return stored


def _inputs_beside(store: WindowStore, stored: StoredWindow) -> list[WindowInputs]:
    windows = store.windows(_key(stored.score.tenant, stored.score.session))
    return [other.inputs for other in islice(windows, OTHER_WINDOWS)]


def _show(found: Examination, html: Path | None, *, as_json: bool) -> None:
    import msgspec  # noqa: PLC0415 - heavy imports stay out of --help
    from rich.console import Console  # noqa: PLC0415

    from stream.cli.explain.page import html_page  # noqa: PLC0415
    from stream.cli.explain.table import as_json as json_of  # noqa: PLC0415
    from stream.cli.explain.table import print_tables  # noqa: PLC0415
    from stream.cli.html import write_page  # noqa: PLC0415
    from stream.cli.json_lines import write_line  # noqa: PLC0415

    if as_json:
        write_line(msgspec.json.encode(json_of(found)))
    else:
        # Elsewhere than on a terminal, rich would fold the table to 80 columns.
        print_tables(found, Console() if sys.stdout.isatty() else Console(width=WIDE))
    if html is not None:
        write_page(html, html_page(found))


async def _examined(
    settings: Settings, stored: StoredWindow, others: list[WindowInputs], names: tuple[str, ...], console: Console
) -> Examination:
    import asyncio  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.cli.explain.examination import Request, examine  # noqa: PLC0415
    from stream.cli.explain.methods import Setting, blocking  # noqa: PLC0415
    from stream.cli.explain.served import Served  # noqa: PLC0415
    from stream.cli.progress import counted_progress  # noqa: PLC0415
    from stream.local.reachable import Service, require_services  # noqa: PLC0415
    from stream.serving.models import Models  # noqa: PLC0415

    await require_services(settings, (Service.TRITON,))
    # Explainers ask for many windows at once, and nobody else shares their requests.
    models = Models(settings.triton.model_copy(update={"batch_delay_ms": 0.0}))
    try:
        model = await _version(settings, models, stored)
        served = Served(models, model.version)
        answers, _ = blocking(served, asyncio.get_running_loop())
        setting = Setting(answers, settings.triton.model_repository / model.name / model.version / "weights.safetensors", others)
        with counted_progress(console, transient=True) as progress:
            task = progress.add_task("asking the models")

            def on_step(name: str) -> None:
                progress.update(task, advance=1, description=name)

            request = Request(model, names, setting, settings.explanations.text, on_step)
            progress.update(task, total=request.steps)
            return await examine(stored, served, request)
    finally:
        await models.close()


async def _version(settings: Settings, models: Models, stored: StoredWindow) -> ModelVersion:
    """The version that scored the window, if it is still served with the same weights; else the one that counts by default."""
    from stream.serving.client import TritonClient  # noqa: PLC0415 - heavy imports stay out of --help

    wanted = stored.score.model
    client = TritonClient(settings.triton.url, settings.triton.timeout_s)
    try:
        if wanted.version in await client.versions(wanted.name) and await models.named(wanted.version) == wanted:
            return wanted
    finally:
        await client.close()
    return await models.named(await models.default_version())
