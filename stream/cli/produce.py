"""`sentistream produce`: a media file into the chunk topics."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import EXIT_INTERRUPTED, CommandError, friendly_errors

if TYPE_CHECKING:
    from rich.console import Console

    from stream.config.settings import KafkaSettings
    from stream.produce.prepare import PreparedSession
    from stream.produce.producer import ProducedSession


@friendly_errors()
def produce(
    media: Annotated[Path, typer.Argument(metavar="MEDIA", help="Video, audio, or words alone (.vtt, .srt, .json).")],
    *,
    session: Annotated[str | None, typer.Option(help="Name of the session; default: a new one.")] = None,
    tenant: Annotated[str, typer.Option(help="Whose session it is.")] = "default",
    track: Annotated[str, typer.Option(help="Name of the track.")] = "speaker",
    role: Annotated[str, typer.Option(help="What the speaker is: customer, agent, speaker…")] = "speaker",
    channels: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="One track for each audio channel, named so; their names are their roles.")
    ] = None,
    transcript: Annotated[Path | None, typer.Option(help="Words of the file: .vtt, .srt or .json.")] = None,
    speed: Annotated[str, typer.Option(metavar="NUMBER|max", help="1.0 = live pace, 2 = twice as fast, max = no waiting.")] = "1.0",
    asr: Annotated[
        bool | None, typer.Option("--asr/--no-asr", help="Recognise speech where there is no transcript. [default: if installed]")
    ] = None,
    kafka: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Kafka brokers, separated by commas.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file (YAML); default: $SENTISTREAM_CONFIG, else built-in values.")] = None,
) -> None:
    """Send a media file as one live conversation.

    A second of the file becomes one record of each modality, sent when its last sample would have been captured. With a
    transcript, words go along; cues like `<v agent>Hello` give them to the channel of that name. Ctrl-C ends the session properly.
    """
    from rich.console import Console  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.config.load import load_settings  # noqa: PLC0415
    from stream.kafka_admin.topics import ensure_topics  # noqa: PLC0415
    from stream.produce.pacer import parse_speed  # noqa: PLC0415
    from stream.produce.prepare import MediaRequest, prepare  # noqa: PLC0415

    names = tuple(name.strip() for name in channels.split(",")) if channels else ()
    if names and (track, role) != ("speaker", "speaker"):
        raise CommandError("--track and --role name a single track; --channels names several: use one or the other")
    settings = load_settings(config, {"kafka": {"bootstrap": kafka}} if kafka is not None else None)
    console = Console(stderr=True)
    try:
        pace = parse_speed(speed)
        with console.status("looking at the file") as status:
            request = MediaRequest(media, transcript, session, tenant, track, role, names, asr)
            prepared = prepare(request, on_step=status.update)
            status.update("connecting to Kafka")
            ensure_topics(settings.kafka)
        _say_plan(console, prepared)
        produced = _send(console, settings.kafka, prepared, pace)
    except ValueError as error:
        raise CommandError(str(error)) from None
    _say_result(console, produced)
    if produced.stopped:
        raise typer.Exit(EXIT_INTERRUPTED)


def _send(console: Console, kafka: KafkaSettings, prepared: PreparedSession, speed: float | None) -> ProducedSession:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    from stream.produce.producer import SendProgress as Sent  # noqa: PLC0415
    from stream.produce.producer import produce_session  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeElapsedColumn())
    with _stop_on_signal() as stop, Progress(*columns, console=console) as bar:
        total = None if prepared.duration_ms is None else prepared.duration_ms / 1000
        task = bar.add_task(prepared.plan.key.session, total=total, said="")

        def show(sent: Sent) -> None:
            bar.update(task, completed=sent.media_ms / 1000, said=f"{sent.media_ms / 1000:.0f} s, {sent.chunks} chunks")

        return produce_session(kafka, prepared, speed=speed, stop=stop, on_progress=show)


@contextmanager
def _stop_on_signal() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; a second Ctrl-C interrupts at once."""
    stop = threading.Event()

    def ask(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say_plan(console: Console, prepared: PreparedSession) -> None:
    from rich.markup import escape  # noqa: PLC0415

    tracks = "; ".join(f"{t.track} ({t.role}): {', '.join(t.modalities) or 'nothing'}" for t in prepared.plan.tracks)
    console.print(f"session [bold]{escape(prepared.plan.key.session)}[/]  {escape(tracks)}", highlight=False)
    for notice in prepared.notices:
        console.print(f"[yellow]note:[/] {escape(notice)}", highlight=False)


def _say_result(console: Console, produced: ProducedSession) -> None:
    chunks = ", ".join(f"{count} {modality}" for modality, count in produced.chunks.items())
    ended = "stopped" if produced.stopped else "sent"
    console.print(f"{ended}: {produced.media_ms / 1000:.1f} s of media, {chunks} chunks in {produced.seconds:.1f} s", highlight=False)
    if produced.damaged:
        console.print("[yellow]note:[/] some of the file could not be decoded: it is cut off or damaged", highlight=False)
