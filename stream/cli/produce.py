"""`sentistream produce`: sends a media file to the chunk topics."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import EXIT_INCOMPLETE, EXIT_INTERRUPTED, UsageError, friendly_errors
from stream.cli.options import (
    AudioTrack,
    Channels,
    ConfigFile,
    KafkaAddress,
    Quality,
    SpeechRecognition,
    Speed,
    Strict,
    VideoTrack,
    load_settings_with,
    parse_channels,
)
from stream.media.quality import VideoQuality

if TYPE_CHECKING:
    from rich.console import Console

    from stream.config.service_settings import KafkaSettings
    from stream.produce.prepare import PreparedSession
    from stream.produce.producer import ProducedSession


@friendly_errors()
def produce(
    media: Annotated[Path, typer.Argument(metavar="MEDIA", help="Video, audio, or a transcript alone (.vtt, .srt, .json and others).")],
    *,
    session: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the session.", show_default="a new, random one")] = None,
    tenant: Annotated[str, typer.Option(metavar="NAME", help="Tenant of the session.")] = "default",
    track: Annotated[str, typer.Option(metavar="NAME", help="Name of the track.")] = "speaker",
    role: Annotated[str, typer.Option(metavar="ROLE", help="Role of the speaker, for example customer or agent.")] = "speaker",
    channels: Channels = None,
    audio_track: AudioTrack = None,
    video_track: VideoTrack = None,
    quality: Quality = VideoQuality.MODEL,
    transcript: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Transcript of the file: .vtt, .srt, .json and others.", show_default="none")
    ] = None,
    consent: Annotated[
        bool | None,
        typer.Option(
            "--consent/--no-consent",
            help="Say whether the speakers have consented to the use of voice and face.",
            show_default="say nothing",
        ),
    ] = None,
    withdraw_at: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0, help="Withdraw the consent at this time of the recording.", show_default="never"),
    ] = None,
    language: Annotated[
        str | None, typer.Option(metavar="TAG", help="Language of the speakers, such as en or de.", show_default="found from the words")
    ] = None,
    speed: Speed = "1.0",
    asr: SpeechRecognition = None,
    strict: Strict = False,
    json: Annotated[bool, typer.Option("--json", help="Print a summary of what was sent, as one line of JSON.")] = False,
    kafka: KafkaAddress = None,
    config: ConfigFile = None,
) -> None:
    """Send a media file to Kafka as one live session.

    Use it to try running workers with a recording. Each second of the file becomes one chunk of each modality, which is sent when its last
    sample would have been captured. A transcript adds text chunks; a cue such as `<v agent>Hello` belongs to the track of that name.
    Ctrl-C ends the session properly, so that workers close its windows at once.

    At the end it says how many bytes a minute were sent. What was sent is compared with what the file announces. A difference is a warning,
    and in the summary of --json. Exit codes:
    0 sent, 1 failed, 2 wrong options, 3 Kafka is not what the settings say, 4 not all was sent (with --strict), 130 stopped.

    For example:

    - `sentistream produce clip.mp4 --transcript clip.vtt`

    - `sentistream produce call.wav --channels customer,agent --speed max`

    - `sentistream produce call.wav --consent --withdraw-at 30`

    - `sentistream produce film.mkv --audio-track 2 --strict --json`

    - `sentistream produce meeting.mp4 --quality sharp`
    """
    import msgspec  # noqa: PLC0415 - heavy imports stay out of --help
    from rich.console import Console  # noqa: PLC0415

    from stream.cli.json_lines import quiet_when_closed, write_line  # noqa: PLC0415
    from stream.cli.run_report import SendSummary  # noqa: PLC0415
    from stream.kafka_admin.access import Use  # noqa: PLC0415
    from stream.kafka_admin.topics import ensure_topics  # noqa: PLC0415
    from stream.produce.pacer import parse_speed  # noqa: PLC0415
    from stream.produce.prepare import MediaRequest, prepare  # noqa: PLC0415
    from stream.produce.session import Statements  # noqa: PLC0415

    names = parse_channels(channels)
    if names and (track, role) != ("speaker", "speaker"):
        raise UsageError("--track and --role are for a single track, --channels is for several: use one or the other")
    settings = load_settings_with(config, kafka=kafka)
    console = Console(stderr=True)
    try:
        pace = parse_speed(speed)
        with console.status("reading the file") as status:
            request = MediaRequest(
                media,
                transcript,
                session,
                tenant,
                track,
                role,
                channels=names,
                audio_track=audio_track,
                video_track=video_track,
                quality=quality,
                recognise=asr,
                statements=Statements(consent, None if withdraw_at is None else round(withdraw_at * 1000), language),
            )
            prepared = prepare(request, on_step=status.update)
            status.update("connecting to Kafka")
            ensure_topics(settings.kafka, Use.SEND)
        _print_plan(console, prepared)
        produced = _send(console, settings.kafka, prepared, pace)
    except ValueError as error:
        raise UsageError(str(error)) from None
    _print_result(console, prepared, produced)
    if json:
        with quiet_when_closed():
            write_line(msgspec.json.encode(SendSummary.of(produced)))
    if produced.recording.stopped:
        raise typer.Exit(EXIT_INTERRUPTED)
    if strict and not produced.recording.complete:
        raise typer.Exit(EXIT_INCOMPLETE)


def _send(console: Console, kafka: KafkaSettings, prepared: PreparedSession, speed: float | None) -> ProducedSession:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    from stream.aio.signals import stop_thread_on_signals  # noqa: PLC0415
    from stream.produce.producer import SendProgress, produce_session  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[sent]}"), TimeElapsedColumn())
    with stop_thread_on_signals() as stop, Progress(*columns, console=console) as bar:
        total = None if prepared.duration_ms is None else prepared.duration_ms / 1000
        task = bar.add_task(prepared.plan.key.session, total=total, sent="")

        def show(progress: SendProgress) -> None:
            seconds = progress.media_ms / 1000
            bar.update(task, completed=seconds, sent=f"{seconds:.0f} s, {progress.chunks} chunks")

        return produce_session(kafka, prepared, speed=speed, stop=stop, on_progress=show)


def _print_plan(console: Console, prepared: PreparedSession) -> None:
    from rich.markup import escape  # noqa: PLC0415 - heavy imports stay out of --help

    tracks = "; ".join(f"{t.track} ({t.role}): {', '.join(t.modalities) or 'nothing'}" for t in prepared.plan.tracks)
    console.print(f"session [bold]{escape(prepared.plan.key.session)}[/]  {escape(tracks)}", highlight=False)
    for notice in prepared.notices:
        console.print(f"[yellow]note:[/] {escape(notice)}", highlight=False, soft_wrap=True)


def _print_result(console: Console, prepared: PreparedSession, produced: ProducedSession) -> None:
    from rich.markup import escape  # noqa: PLC0415 - heavy imports stay out of --help

    recording = produced.recording
    chunks = ", ".join(f"{count} {modality}" for modality, count in produced.chunks.items())
    ended = "stopped" if recording.stopped else "sent"
    console.print(f"{ended}: {produced.media_ms / 1000:.1f} s of media, {chunks} chunks in {produced.seconds:.1f} s", highlight=False)
    console.print(recording.rate(), highlight=False)
    for notice in recording.notices[len(prepared.notices) :]:
        console.print(f"[yellow]note:[/] {escape(notice)}", highlight=False, soft_wrap=True)
    for warning in recording.warnings:
        console.print(f"[yellow]warning:[/] {escape(warning)}", highlight=False, soft_wrap=True)
