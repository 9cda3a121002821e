"""`sentistream demo`: the whole service on one machine, with recordings that it sends itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import EXIT_INCOMPLETE, UsageError, friendly_errors
from stream.cli.options import (
    AudioTrack,
    Channels,
    ConfigFile,
    ExternalKafka,
    ExternalRedis,
    ExternalTriton,
    Quality,
    SpeechRecognition,
    Speed,
    Strict,
    VideoTrack,
    external_services,
    load_settings_with,
    parse_channels,
)
from stream.media.quality import VideoQuality

if TYPE_CHECKING:
    from stream.cli.demo.plan import Recordings
    from stream.cli.run_report import RunSummary
    from stream.cli.steps import StepReporter
    from stream.produce.prepare import PreparedSession


@friendly_errors()
def demo(
    media: Annotated[
        list[Path] | None,
        typer.Argument(metavar="MEDIA", help="Video, audio or transcripts (.vtt, .srt, .json and others), one session each."),
    ] = None,
    *,
    transcript: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Transcript of a MEDIA file; repeat it in the order of MEDIA.")
    ] = None,
    sessions: Annotated[
        int | None, typer.Option(min=1, max=64, help="Number of sessions; MEDIA are repeated.", show_default="one for each MEDIA")
    ] = None,
    channels: Channels = None,
    audio_track: AudioTrack = None,
    video_track: VideoTrack = None,
    quality: Quality = VideoQuality.MODEL,
    speed: Speed = "1.0",
    asr: SpeechRecognition = None,
    strict: Strict = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON lines only; progress goes to standard error.")] = False,
    workers: Annotated[int, typer.Option(min=1, max=16, help="Number of worker processes.")] = 1,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the live page in a browser, and keep it up after the recordings, until Ctrl-C.")
    ] = False,
    config: ConfigFile = None,
    kafka: ExternalKafka = None,
    redis: ExternalRedis = None,
    triton: ExternalTriton = None,
) -> None:
    """Play recordings through the whole service on this machine, and show scores and explanations as they come.

    Use it to see what the service does, with your own recordings or with the packaged sample: a service call with two speakers beside a
    talking face. It starts Kafka, Redis, Triton, a worker and the live page on 127.0.0.1, prints the page's address, and stops everything
    at the end. A recording may lack text, audio or video: its windows are scored without it, and the results say so.

    At the end, what was sent is compared with what the files announce. A difference is a warning, and in the summary of --json. Exit codes:
    0 done, 1 failed, 2 wrong options, 3 a service is not what the settings say, 4 not all was sent (with --strict), 130 stopped.

    For example:

    - `sentistream demo`

    - `sentistream demo --open`

    - `sentistream demo clip.mp4 --transcript clip.vtt`

    - `sentistream demo call.wav --channels agent,customer --strict`

    - `sentistream demo a.wav b.mp4 --sessions 4 --speed max --json`
    """
    import logging  # noqa: PLC0415 - heavy imports stay out of --help

    from rich.console import Console  # noqa: PLC0415

    from stream.aio.signals import run_until_signal  # noqa: PLC0415
    from stream.cli.demo.plan import Recordings  # noqa: PLC0415
    from stream.cli.demo.run import DemoPlan, run_demo  # noqa: PLC0415
    from stream.cli.json_lines import quiet_when_closed  # noqa: PLC0415
    from stream.cli.steps import StepReporter  # noqa: PLC0415
    from stream.config.logs import configure_logging  # noqa: PLC0415
    from stream.local.reachable import Service, require_services  # noqa: PLC0415
    from stream.local.run_directory import run_directory  # noqa: PLC0415
    from stream.rules.shipped import with_checked_rules  # noqa: PLC0415

    settings = with_checked_rules(load_settings_with(config, kafka=kafka, redis=redis, triton=triton))
    external = external_services(kafka=kafka, redis=redis, triton=triton)
    configure_logging(settings)
    # kafka-python logs every lost connection, also those at the orderly end; errors that matter are raised.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    steps = StepReporter(Console(stderr=json))
    with quiet_when_closed():
        recordings = Recordings(
            tuple(media or ()), tuple(transcript or ()), sessions, asr, parse_channels(channels), audio_track, video_track, quality
        )
        run_until_signal(require_services(settings, sorted(map(Service, external))))
        prepared = _prepare(steps, recordings)
        plan = DemoPlan(settings, prepared, _speed(speed), workers, external, json, open_browser)
        summaries: list[RunSummary] = []

        def on_summary(summary: RunSummary) -> None:
            summaries.append(summary)
            if open_browser:
                _print_summary(summary, prepared, steps, json=json)

        with run_directory("demo") as directory:
            try:
                run_until_signal(run_demo(plan, directory, steps, on_summary))
            except KeyboardInterrupt:
                # With a summary, only the page was still running, and Ctrl-C is its normal end.
                if not summaries:
                    raise
        if not open_browser:
            _print_summary(summaries[0], prepared, steps, json=json)
        if strict and not summaries[0].complete:
            raise typer.Exit(EXIT_INCOMPLETE)


def _speed(text: str) -> float | None:
    from stream.produce.pacer import parse_speed  # noqa: PLC0415 - heavy imports stay out of --help

    try:
        return parse_speed(text)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _prepare(steps: StepReporter, recordings: Recordings) -> tuple[PreparedSession, ...]:
    from stream.cli.demo.plan import plan_sessions  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.cli.run_report import by_recording  # noqa: PLC0415

    with steps.step("reading the recordings", "recordings are readable"):
        prepared = plan_sessions(recordings, lambda step: steps.print_line(f"  {step}"))
    for session in prepared:
        steps.print_line(f"  {session.plan.key.session}: {session.name}", "dim")
    for notice in by_recording([(session.name, session.notices) for session in prepared]):
        steps.print_line(f"  note: {notice}", "yellow")
    return prepared


def _print_summary(summary: RunSummary, prepared: Sequence[PreparedSession], steps: StepReporter, *, json: bool) -> None:
    import msgspec  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.cli.json_lines import write_line  # noqa: PLC0415
    from stream.cli.run_report import by_recording, summary_lines  # noqa: PLC0415

    for line in summary_lines(summary):
        steps.print_line(line, "bold")
    for rate in by_recording([(sent.media, (sent.rate(),)) for sent in summary.recordings]):
        steps.print_line(rate, "bold")
    sent = list(zip(prepared, summary.recordings, strict=True))
    for notice in by_recording([(now.media, now.notices[len(before.notices) :]) for before, now in sent]):
        steps.print_line(f"note: {notice}", "yellow")
    for warning in by_recording([(now.media, now.warnings) for _, now in sent]):
        steps.print_line(f"warning: {warning}", "yellow")
    if json:
        write_line(msgspec.json.encode(summary))
