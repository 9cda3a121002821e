"""`sentistream demo`: the whole way on one machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import CommandError, friendly_errors

if TYPE_CHECKING:
    from stream.cli.demo.plan import Recordings
    from stream.cli.run_report import RunSummary
    from stream.cli.steps import StepReporter
    from stream.produce.prepare import PreparedSession


@friendly_errors()
def demo(
    media: Annotated[list[Path] | None, typer.Argument(help="Video, audio or words (.vtt, .srt, .json); one session each.")] = None,
    *,
    transcript: Annotated[list[Path] | None, typer.Option(help="Words of a MEDIA file; repeat it in MEDIA's order.")] = None,
    sessions: Annotated[int | None, typer.Option(min=1, max=64, help="Sessions in all, going round MEDIA again and again.")] = None,
    speed: Annotated[str, typer.Option(metavar="1.0|max", help="Pace: 1.0 is live, max is as fast as possible.")] = "1.0",
    asr: Annotated[
        bool | None, typer.Option("--asr/--no-asr", help="Recognise speech where there is no transcript; default: if installed.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Only JSON lines on standard output; progress goes to standard error.")] = False,
    workers: Annotated[int, typer.Option(min=1, max=16, help="Worker processes.")] = 1,
    config: Annotated[Path | None, typer.Option(help="Settings file (YAML); default: $SENTISTREAM_CONFIG, else built-in values.")] = None,
    kafka: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Use this Kafka instead of the embedded one.")] = None,
    redis: Annotated[str | None, typer.Option(metavar="URL", help="Use this Redis instead of the embedded one.")] = None,
    triton: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Use this Triton instead of the embedded one.")] = None,
) -> None:
    """Send recordings through Kafka, Faust, Triton and Redis on this machine, and show scores and explanations as they come.

    Without MEDIA it plays the packaged sample: a service call with two speakers and a talking face, side by side. Everything runs on
    127.0.0.1 and is stopped in the end. A window lacks the modalities that its recording lacks, and says so.

    Examples: `sentistream demo clip.mp4 --transcript words.vtt` and `sentistream demo a.wav b.mp4 --sessions 4 --speed max --json`.
    """
    import logging  # noqa: PLC0415 - heavy imports stay out of --help

    from rich.console import Console  # noqa: PLC0415

    from stream.cli import interrupt  # noqa: PLC0415
    from stream.cli.demo.plan import Recordings  # noqa: PLC0415
    from stream.cli.demo.run import DemoPlan, run_demo  # noqa: PLC0415
    from stream.cli.demo.services import SERVICES  # noqa: PLC0415
    from stream.cli.json_lines import quiet_when_closed  # noqa: PLC0415
    from stream.cli.steps import StepReporter  # noqa: PLC0415
    from stream.config.load import load_settings  # noqa: PLC0415
    from stream.config.logs import configure_logging  # noqa: PLC0415
    from stream.local.run_directory import run_directory  # noqa: PLC0415

    overrides = {"kafka": {"bootstrap": kafka}, "redis": {"url": redis}, "triton": {"url": triton}}
    given = frozenset(name for name, value in zip(SERVICES, (kafka, redis, triton), strict=True) if value is not None)
    settings = load_settings(config, {name: overrides[name] for name in given})
    configure_logging(settings)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what matters is raised
    progress = StepReporter(Console(stderr=json))
    with quiet_when_closed():
        prepared = _prepare(progress, Recordings(tuple(media or ()), tuple(transcript or ()), sessions, asr))
        plan = DemoPlan(settings, prepared, _speed(speed), workers, given, json)
        with run_directory("demo") as directory:
            summary = interrupt.run(run_demo(plan, directory, progress))
        _report(summary, progress, json=json)


def _speed(text: str) -> float | None:
    from stream.produce.pacer import parse_speed  # noqa: PLC0415 - heavy imports stay out of --help

    try:
        return parse_speed(text)
    except ValueError as error:
        raise CommandError(str(error)) from None


def _prepare(progress: StepReporter, wanted: Recordings) -> tuple[PreparedSession, ...]:
    from stream.cli.demo.plan import plan_sessions, sources  # noqa: PLC0415 - heavy imports stay out of --help

    with progress.step("reading the recordings", "recordings are readable"):
        prepared = plan_sessions(wanted, lambda step: progress.say(f"  {step}"))
    for session, source in zip(prepared, sources(wanted), strict=False):
        progress.say(f"  {session.plan.key.session}: {source}", "dim")
    for notice in dict.fromkeys(notice for session in prepared for notice in session.notices):
        progress.say(f"  note: {notice}", "yellow")
    return prepared


def _report(summary: RunSummary, progress: StepReporter, *, json: bool) -> None:
    import msgspec  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.cli.json_lines import write_line  # noqa: PLC0415
    from stream.cli.run_report import in_words  # noqa: PLC0415

    for line in in_words(summary):
        progress.say(line, "bold")
    if json:
        write_line(msgspec.json.encode(summary))
