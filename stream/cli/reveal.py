"""`sentistream reveal`: which nuisances move the scores of the served model that should not move them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli.errors import EXIT_FAILED, CommandError, friendly_errors
from stream.cli.options import ConfigFile, JsonLines, KafkaAddress, RedisUrl, TritonAddress, load_settings_with
from stream.cli.reveal_live import show_live

if TYPE_CHECKING:
    from stream.config.settings import Settings
    from stream.reveal.findings import Reference
    from stream.reveal.report import Report
    from stream.reveal.windows import RawWindow, ServedModels

CORPUS_PROBES = 120
SEED = 0
SHOWN = 10
MOST_STORED = 500
"""Windows of the store whose words are looked at: each of their words is left out in turn, which takes minutes for so many."""

Store = Annotated[
    Path | None,
    typer.Option("--store", metavar="FILE", help="Store of windows whose words are looked at.", show_default="setting explanations.store"),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="FOLDER",
        envvar="SENTISTREAM_DATA",
        help="Folder of the corpora: their validation recordings are probed instead of the packaged sample. Needs the `train` extra.",
        show_default="the packaged sample",
    ),
]
Models = Annotated[
    Path | None,
    typer.Option("--models", metavar="FOLDER", help="Run the models of this repository in this process.", show_default="Triton answers"),
]


@friendly_errors()
def reveal(
    *,
    store: Store = None,
    data: Data = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the report as one HTML file.")] = None,
    models: Models = None,
    version: Annotated[
        str | None, typer.Option("--version", metavar="N", help="Version of mmci.", show_default="the lowest served")
    ] = None,
    feedback: Annotated[bool, typer.Option("--feedback", help="Count the reviewers' verdicts in the topic feedback.")] = False,
    live: Annotated[
        bool, typer.Option("--live", help="Show the results of the workers' probes of the live stream; nothing is probed now.")
    ] = False,
    as_json: JsonLines = False,
    config: ConfigFile = None,
    kafka: KafkaAddress = None,
    redis: RedisUrl = None,
    triton: TritonAddress = None,
) -> None:
    """Rank the nuisances that move the scores of the model: noise, hum, a narrow band, blur, words without a feeling.

    Use it after a training, and when reviewers doubt the scores. It needs no labels: it puts each nuisance on probe windows and compares
    the scores, measures how far contributions follow nuisances that are there already, and looks at the words of stored windows. Each
    number is compared with that of honest models (trained without planted nuisances), which the repository keeps in mmci/honest.json.

    The probes are the packaged sample, or recordings of the corpora. Words are read from the newest windows of the store, and are shown
    one by one only.

    With `--live` it shows the findings of the workers instead: they probe a share of the windows (setting reveal.share).

    Exits with 1 if a nuisance moves the scores further than in an honest model.

    For example:

    - `sentistream reveal --html reveal.html`

    - `sentistream reveal --live`

    - `sentistream reveal --models triton_models --version 2 --data ~/corpora --json`
    """
    import msgspec  # noqa: PLC0415 - heavy imports stay out of --help
    from rich.console import Console  # noqa: PLC0415

    from stream.cli.html import write_page  # noqa: PLC0415
    from stream.cli.json_lines import quiet_when_closed, write_line  # noqa: PLC0415
    from stream.cli.progress import counted_progress  # noqa: PLC0415
    from stream.cli.reveal_page import reveal_page  # noqa: PLC0415
    from stream.reveal.feedback import counted, read_verdicts  # noqa: PLC0415
    from stream.reveal.pictures import pictures  # noqa: PLC0415
    from stream.reveal.report import STEPS  # noqa: PLC0415
    from stream.reveal.report import reveal as run  # noqa: PLC0415

    settings = load_settings_with(config, kafka=kafka, redis=redis, triton=triton)
    if live:
        show_live(settings, as_json=as_json)
        return
    kind = "sample" if data is None else "corpora"
    reference = honest_reference(models or settings.triton.model_repository, kind)
    verdicts = counted(read_verdicts(settings.kafka)) if feedback else {}
    with counted_progress(Console(stderr=True), transient=True) as progress, opened_models(settings, models, version) as served:
        bar = progress.add_task("reading probe windows", total=len(STEPS))
        probes = probe_windows(settings, data)
        said = stored_words(settings, store) or probes

        def on_step(step: str) -> None:
            progress.update(bar, description=step, advance=1)

        report = run(probes, said, served, reference, verdicts=verdicts, on_step=on_step)
    if html is not None:
        write_page(html, reveal_page(report, pictures(report.suspects, probes)))
    with quiet_when_closed():
        if as_json:
            write_line(msgspec.json.encode(report))
        else:
            _print(report)
    if report.alarms:
        raise typer.Exit(EXIT_FAILED)


def honest_reference(repository: Path, probes: str) -> Reference:
    """The honest reference of the models of a repository. Raises `CommandError`."""
    import msgspec  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.reveal.findings import HONEST, read_references  # noqa: PLC0415

    file = repository / "mmci" / HONEST
    try:
        return read_references(file).of(probes)
    except (OSError, msgspec.MsgspecError, KeyError) as error:
        raise CommandError(f"{file} cannot be used: it says what an honest model shows, and comes with the release") from error


@contextmanager
def opened_models(settings: Settings, repository: Path | None, version: str | None) -> Iterator[ServedModels]:
    """The models on Triton or, with a repository, in this process."""
    from stream.model_repository.served_models import MMCI  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.reveal.models import RepositoryModels, triton_models  # noqa: PLC0415

    if repository is not None:
        yield RepositoryModels(repository, repository / MMCI / version if version is not None else None)
        return
    with triton_models(settings.triton, version) as models:
        yield models


def probe_windows(settings: Settings, data: Path | None) -> list[RawWindow]:
    """Windows of the sample or, with a folder of corpora, of their validation recordings. Raises `CommandError`."""
    if data is None:
        import asyncio  # noqa: PLC0415 - heavy imports stay out of --help

        from stream.reveal.sample import sample_windows  # noqa: PLC0415

        return asyncio.run(sample_windows(settings))
    try:
        from stream.reveal.corpora import corpus_windows  # noqa: PLC0415
        from stream.training.corpora import Part  # noqa: PLC0415
    except ImportError:
        raise CommandError("Reading corpora needs the train extra: pip install 'sentistream[train]', or leave out --data.") from None
    try:
        return corpus_windows(data, Part.VALIDATION, CORPUS_PROBES, SEED)
    except FileNotFoundError as error:
        raise CommandError(f"{error.filename or error}: not found. Set --data to the folder of the corpora, or leave it out.") from error


def stored_words(settings: Settings, store: Path | None) -> list[RawWindow]:
    """Windows of the words in the store, of its newest `MOST_STORED` windows; empty without a store.

    Words whose states came from their producer are left out.
    """
    file = store or settings.explanations.store
    if file is None:
        return []
    from stream.reveal.words import text_alone  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.sinks.window_store import WindowStore  # noqa: PLC0415

    kept = settings.explanations
    opened = WindowStore(file, retention_hours=kept.retention_hours, max_mb=kept.store_max_mb, create=False)
    try:
        newest = opened.windows(most=MOST_STORED)
        return [
            text_alone(tuple([word.text for word in own.words]), own.score.window_id) for own in newest if own.words_encoded and own.words
        ]
    finally:
        opened.close()


def _print(report: Report) -> None:
    from rich.console import Console  # noqa: PLC0415 - heavy imports stay out of --help
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table("nuisance", "in", "strength", "value", "honest", "found by", "verdicts", box=None, header_style="bold")
    for suspect in report.ranking(SHOWN):
        first, style = suspect.findings[0], "red" if suspect.suspicious else "green"
        table.add_row(
            Text(suspect.name),
            suspect.modality,
            Text(f"{suspect.strength:.2f}", style=style),
            f"{first.value:+.3f}",
            f"{suspect.honest[0]:+.3f}",
            first.detector,
            ", ".join(f"{kind} {count}" for kind, count in sorted(suspect.verdicts.items())),
        )
    console = Console()
    console.print(table)
    alarms = f"{len(report.alarms)} beyond the honest reference"
    said = alarms if report.alarms else "nothing moves the scores further than in an honest model"
    console.print(Text(f"{report.model}: {said} (strength 1 is the threshold)"))
