"""`sentistream revise`: makes a version of MMCI for which a nuisance is no sign of a feeling, and measures it before it is promoted."""

from __future__ import annotations

from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from stream.cli import reveal
from stream.cli.errors import EXIT_FAILED, CommandError, UsageError, friendly_errors
from stream.cli.options import ConfigFile, JsonLines, KafkaAddress, RedisUrl, TritonAddress, load_settings_with
from stream.cli.train import RUNS, Runs, missing_corpora, require_checkout, require_torch, train_progress

if TYPE_CHECKING:
    from stream.config.settings import Settings
    from stream.nuisances.marks import AnyMark, Mark, Words
    from stream.reveal.revising import Revising
    from stream.reveal.revision import Revision
    from stream.reveal.stored import StoredWords
    from stream.sinks.window_store import WindowStore
    from stream.training.reasons import Judged

SEED = 0
MOST_STORED = 2_000
"""Windows of the store that a projection is made from, the newest."""


class ReliefOption(StrEnum):
    """Values of ``--relief``."""

    TRAINING = "training"
    PROJECTION = "projection"


Models = Annotated[
    Path | None,
    typer.Option("--models", metavar="FOLDER", help="Triton model repository.", show_default="setting triton.model_repository"),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="FOLDER",
        envvar="SENTISTREAM_DATA",
        help="Folder of the corpora: mosi/, meld/, ravdess/, voices/ and faces/.",
        show_default="none: a projection then uses the store",
    ),
]
Store = Annotated[
    Path | None,
    typer.Option("--store", metavar="FILE", help="Store of windows, for a projection or masks.", show_default="setting explanations.store"),
]


@friendly_errors()
def revise(
    artefact: Annotated[
        str, typer.Argument(metavar="ARTEFACT", help="The nuisance, as `sentistream reveal` names it: hiss, blur, word basically ….")
    ],
    *,
    data: Data = None,
    relief: Annotated[
        ReliefOption,
        typer.Option("--relief", help="training: on corpora. projection: takes a word out of the weights."),
    ] = ReliefOption.TRAINING,
    masks: Annotated[
        bool, typer.Option("--masks", help="Train with the spans of reviewers' verdicts, too: topic feedback, windows of the store.")
    ] = False,
    store: Store = None,
    revised: Annotated[str, typer.Option("--from", metavar="N", help="The version of mmci that is compared.")] = "1",
    models: Models = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Repository that gets the new version.", show_default="the one of --models"),
    ] = None,
    runs: Runs = RUNS,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the report as one HTML file.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Train the version on with a tenth of the media, for a first look.")] = False,
    promote: Annotated[bool, typer.Option("--promote", help="Promote the version if all gates pass.")] = False,
    as_json: JsonLines = False,
    config: ConfigFile = None,
    kafka: KafkaAddress = None,
    redis: RedisUrl = None,
    triton: TritonAddress = None,
) -> None:
    """Make a version of mmci for which a nuisance is no sign of a feeling, and measure it.

    Training: half of the raw voices, faces or texts, whatever their labels, get the nuisance at a random strength. For a nuisance of sound,
    the projection of the audio encoder is fitted again, too; it is stored beside the version, and is loaded with it. A training takes an
    hour on one core, or minutes with --quick, and needs the corpora.

    Projection: the part that a word adds to the states of words is taken out of the weights. It takes a minute. It needs the corpora (then
    --quick measures on a tenth) or, with --store or without --data, 50 windows of the store.

    The new version and its card.json go to FOLDER/mmci/N. No session gets it before it is promoted. The gates: accuracy on clean windows
    falls by at most one point (with a store: at most one in a hundred windows without the word changes its label); no gap between groups of
    speakers grows; claims on words hold as often as before; the shift by the nuisance falls; no other nuisance becomes a suspect.

    Exits with 1 if a gate fails. Needs the `train` extra (torch). A training, and all else that reads corpora, works from a checkout only.

    For example:

    - `sentistream revise hiss --data ~/corpora --html revision.html`

    - `sentistream revise "word basically" --data ~/corpora --from 2 --promote`

    - `sentistream revise "word basically" --relief projection --store windows.db`
    """
    corpora = None if relief is ReliefOption.PROJECTION and store is not None else data
    if relief is ReliefOption.TRAINING or corpora is not None:
        require_checkout("Without a checkout: --relief projection --store FILE, which takes out a word.")
    require_torch()
    import msgspec  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.cli import model_versions  # noqa: PLC0415
    from stream.cli.html import write_page  # noqa: PLC0415
    from stream.cli.revision_page import revision_page  # noqa: PLC0415
    from stream.model_repository.served_models import MMCI  # noqa: PLC0415
    from stream.reveal.revising import Revising, projected_with_store  # noqa: PLC0415

    settings = load_settings_with(config, kafka=kafka, redis=redis, triton=triton)
    mark = _mark(artefact, relief, masks=masks)
    models = models or settings.triton.model_repository
    if not (models / MMCI / revised).is_dir():
        raise UsageError(f"{models / MMCI / revised}: not found; --from is the number of a version's folder")
    if relief is ReliefOption.TRAINING and corpora is None:
        raise UsageError('a training needs the corpora: set --data; for a word, "--relief projection" does without')
    reference = reveal.honest_reference(models, "sample" if corpora is None else "corpora")
    said = _stored_words(settings, store, mark) if corpora is None else None
    judged = _judged(settings, store, models) if masks else None
    with train_progress() as progress, missing_corpora():
        probes = reveal.probe_windows(settings, corpora)
        revising = Revising(mark, models, revised, out or models, reference, probes, SEED, progress)
        if said is not None:
            revision, version = projected_with_store(revising, said)
        elif corpora is not None:
            revision, version = _with_corpora(revising, corpora, runs / ("quick" if quick else "live"), relief, judged, quick=quick)
    if html is not None:
        write_page(html, revision_page(revision, version, reference))
    if as_json:
        typer.echo(msgspec.json.encode(revision))
    else:
        _print(revision, version)
    if not revision.passed:
        raise typer.Exit(EXIT_FAILED)
    if promote:
        model_versions.promote(version, repository=out or models, config=config, redis=redis, triton=triton)


def _mark(artefact: str, relief: ReliefOption, *, masks: bool) -> AnyMark:
    """The mark of an artefact, if it goes with the options. Raises `UsageError`."""
    from stream.domain.modality import Modality  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.nuisances.marks import mark_named  # noqa: PLC0415

    try:
        mark = mark_named(artefact)
    except KeyError:
        raise UsageError(f"there is no nuisance {artefact!r}; `sentistream reveal` lists those that are probed") from None
    if relief is ReliefOption.PROJECTION and mark.modality is not Modality.TEXT:
        raise UsageError(f"a projection takes out a word; {artefact} changes the features in many directions: leave out --relief")
    if masks and relief is ReliefOption.PROJECTION:
        raise UsageError("--masks go with a training: a projection has none")
    if masks and mark.modality is Modality.AUDIO:
        raise UsageError(f"--masks do not go with {artefact}: stored voices were heard by the audio encoder that is fitted again")
    return mark


def _with_corpora(
    revising: Revising, data: Path, runs: Path, relief: ReliefOption, judged: Judged | None, *, quick: bool
) -> tuple[Revision, str]:
    """Revise and measure with the corpora; returns the card and the number of the version."""
    from stream.model.served import WEIGHTS, load_weights  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.reveal.revising import projected_with_corpora, retrained  # noqa: PLC0415
    from stream.training.corpora import Part  # noqa: PLC0415
    from stream.training.recipe import VOICE_FEATURES, Recipe  # noqa: PLC0415
    from stream.training.revise import QUICK, Media  # noqa: PLC0415

    recipe = QUICK if quick else Recipe()
    parts = (Part.TEST,) if relief is ReliefOption.PROJECTION else tuple(Part)
    media = Media.read(data, revising.models, recipe, revising.mark, SEED, runs / VOICE_FEATURES, revising.progress, parts)
    if relief is ReliefOption.PROJECTION:
        return projected_with_corpora(revising, media)
    return retrained(revising, media, load_weights(revising.before / WEIGHTS) if quick else None, judged)


def _stored_words(settings: Settings, file: Path | None, mark: AnyMark) -> StoredWords:
    """The newest windows of the store. Raises `CommandError`."""
    from stream.reveal.stored import StoredWords, TooFewSentencesError  # noqa: PLC0415 - heavy imports stay out of --help

    with closing(_opened(settings, file)) as store:
        windows = list(store.windows(most=MOST_STORED))
    try:
        return StoredWords.of(windows, cast("Mark[Words]", mark), SEED)
    except TooFewSentencesError as error:
        raise CommandError(f"{error}: let the workers fill it (explanations.store), or set --data to the corpora") from None


def _judged(settings: Settings, file: Path | None, models: Path) -> Judged:
    """The windows of the store that verdicts have spans on. Raises `CommandError`."""
    from stream.domain.wording import quantity  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.model_repository.served_models import MMCI  # noqa: PLC0415
    from stream.model_repository.version_files import own_encoders  # noqa: PLC0415
    from stream.reveal.feedback import read_verdicts  # noqa: PLC0415
    from stream.reveal.masks import masks_of  # noqa: PLC0415
    from stream.sinks.stored_window import StoredWindow  # noqa: PLC0415

    with closing(_opened(settings, file)) as store:

        def stored(window_id: str) -> StoredWindow | None:
            window = store.get(window_id)
            # Voices that another audio encoder heard would mislead the network that is trained for the one of the release.
            return None if window is None or own_encoders(models / MMCI, [window.score.model.version]) else window

        found = masks_of(read_verdicts(settings.kafka), stored)
    if found.judged is None:
        raise CommandError(
            f"no verdict has a span on a window of the store ({found.unused} have one on other windows): "
            "send some with `sentistream verdict --span`, or leave out --masks"
        )
    windows, used, unused = quantity(found.judged.size, "window"), quantity(found.used, "span"), quantity(found.unused, "span")
    typer.secho(f"Judged: {windows}, {used}. Without a window in the store: {unused}.", err=True)
    return found.judged


def _opened(settings: Settings, file: Path | None) -> WindowStore:
    from stream.sinks.window_store import WindowStore  # noqa: PLC0415 - heavy imports stay out of --help

    kept = settings.explanations
    path = file or kept.store
    if path is None:
        raise UsageError("no store of windows is configured: set --store or explanations.store (SENTISTREAM_EXPLANATIONS__STORE)")
    return WindowStore(path, retention_hours=kept.retention_hours, max_mb=kept.store_max_mb, create=False)


def _print(revision: Revision, version: str) -> None:
    from rich.console import Console  # noqa: PLC0415 - heavy imports stay out of --help
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    if revision.before.conditions:
        table = Table("accuracy", "before", "after", box=None, header_style="bold")
        for name, numbers in revision.before.conditions.items():
            table.add_row(name, f"{numbers['accuracy']:.3f}", f"{revision.after.conditions[name]['accuracy']:.3f}")
        console.print(table)
    for name, gate in revision.gates.items():
        sign, style = ("✓", "green") if gate.passed else ("✗", "red")
        console.print(Text(f"{sign} {name}: {gate.says} {gate.value:+.3f} (at most {gate.limit:.3f})", style=style))
    how = "may be promoted" if revision.passed else "stays unpromoted"
    console.print(Text(f"Version {version} of {revision.model}, revised against {revision.artefact}, {how}."))
