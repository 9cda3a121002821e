"""`sentistream revise`: trains a version of MMCI for which a nuisance is no sign of a feeling, and measures it before it is promoted."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.cli import reveal
from stream.cli.errors import EXIT_FAILED, UsageError, friendly_errors
from stream.cli.options import ConfigFile, JsonLines, RedisUrl, TritonAddress
from stream.cli.train import MODELS, RUNS, Data, Runs, missing_corpora, require_checkout_and_torch, train_progress

if TYPE_CHECKING:
    from rich.progress import Progress

    from stream.model.served import ServedMMCI
    from stream.nuisances.marks import AnyMark
    from stream.reveal.findings import Reference
    from stream.reveal.gates import Measured
    from stream.reveal.revision import Revision
    from stream.reveal.windows import RawWindow
    from stream.training.revise import Media

SEED = 0

Models = Annotated[
    Path, typer.Option("--models", metavar="FOLDER", help="Triton model repository.", show_default="triton_models/ of the checkout")
]


@friendly_errors()
def revise(
    artefact: Annotated[
        str, typer.Argument(metavar="ARTEFACT", help="The nuisance, as `sentistream reveal` names it: hiss, blur, word basically ….")
    ],
    data: Data,
    *,
    revised: Annotated[str, typer.Option("--from", metavar="N", help="The version of mmci that is compared.")] = "1",
    models: Models = MODELS,
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
    redis: RedisUrl = None,
    triton: TritonAddress = None,
) -> None:
    """Train a version of mmci on media in which a nuisance is independent of the label, and measure it. Works from a checkout only.

    Half of the raw voices, faces or texts, whatever their labels, get the nuisance at a random strength. The new version and its card.json
    go to FOLDER/mmci/N. No session gets it before it is promoted. For a nuisance of sound, the projection of the audio encoder is fitted
    again, too. It is beside the version, and goes where the version goes.

    The gates: at most one point of accuracy is lost on clean windows, no gap between groups of speakers grows, claims on words hold as
    often as before, the shift by the nuisance falls, and no other nuisance becomes a suspect.

    Exits with 1 if a gate fails. Needs the `train` extra (torch) and the corpora. It takes an hour on one core, with --quick minutes.

    For example:

    - `sentistream revise hiss --data ~/corpora --html revision.html`

    - `sentistream revise "word basically" --data ~/corpora --from 2 --promote`
    """
    require_checkout_and_torch()
    import msgspec  # noqa: PLC0415 - heavy imports stay out of --help

    from stream.cli import model_versions  # noqa: PLC0415
    from stream.cli.html import write_page  # noqa: PLC0415
    from stream.cli.revision_page import revision_page  # noqa: PLC0415
    from stream.model_repository.served_models import MMCI  # noqa: PLC0415
    from stream.nuisances.marks import mark_named  # noqa: PLC0415

    try:
        mark = mark_named(artefact)
    except KeyError:
        raise UsageError(f"there is no nuisance {artefact!r}; `sentistream reveal` lists those that are probed") from None
    if not (models / MMCI / revised).is_dir():
        raise UsageError(f"{models / MMCI / revised}: not found; --from is the number of a version's folder")
    reference = reveal.honest_reference(models, "corpora")
    with train_progress() as progress, missing_corpora():
        folder = runs / ("quick" if quick else "live")
        revision, version = _run(mark, data, models, revised, out or models, folder, reference, progress, quick=quick)
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


def _run(  # noqa: PLR0917 - what the command was given
    mark: AnyMark,
    data: Path,
    models: Path,
    revised: str,
    out: Path,
    runs: Path,
    reference: Reference,
    progress: Progress,
    *,
    quick: bool,
) -> tuple[Revision, str]:
    """Train, measure both versions, and write the new one with its card; returns the card and the number of the version."""
    from dataclasses import asdict  # noqa: PLC0415 - heavy imports stay out of --help

    import msgspec  # noqa: PLC0415

    from stream.model.served import WEIGHTS, load_weights  # noqa: PLC0415
    from stream.model_repository.audio_weights import PROJECTION  # noqa: PLC0415
    from stream.model_repository.files import VERSION  # noqa: PLC0415
    from stream.model_repository.served_models import MMCI  # noqa: PLC0415
    from stream.model_repository.version_files import CARD, add_version  # noqa: PLC0415
    from stream.reveal.corpora import corpus_windows  # noqa: PLC0415
    from stream.reveal.gates import gates  # noqa: PLC0415
    from stream.reveal.revision import Revision  # noqa: PLC0415
    from stream.training.corpora import Part  # noqa: PLC0415
    from stream.training.export import export_mmci, write_projection  # noqa: PLC0415
    from stream.training.recipe import VOICE_FEATURES, Recipe  # noqa: PLC0415
    from stream.training.revise import QUICK, Media  # noqa: PLC0415
    from stream.training.revise import revised as train  # noqa: PLC0415

    recipe = QUICK if quick else Recipe()
    media = Media.read(data, models, recipe, mark, SEED, runs / VOICE_FEATURES, progress)
    initial = load_weights(models / MMCI / revised / WEIGHTS) if quick else None
    trained = train(media, SEED, progress, initial)
    probes = corpus_windows(data, Part.VALIDATION, reveal.CORPUS_PROBES, SEED)
    with tempfile.TemporaryDirectory(prefix="sentistream-revision-") as folder:
        export_mmci(trained.outcome.served, Path(folder))
        draft = Path(folder) / MMCI / VERSION
        if trained.projection is not None:
            write_projection(draft / PROJECTION, trained.projection.weight, trained.projection.bias)
        folders = (models / MMCI / revised, draft)
        before, after = (_measured(own, models, media, probes) for own in folders)
        revision = Revision(
            model=MMCI,
            revised_from=revised,
            artefact=mark.name,
            says=mark.says,
            strengths=mark.strengths,
            seed=SEED,
            recipe=asdict(recipe.mmci) | {"quick": quick},
            criterion=trained.outcome.criterion,
            before=before,
            after=after,
            gates=gates(before, after, mark.name, reference),
        )
        (draft / CARD).write_bytes(msgspec.json.format(msgspec.json.encode(revision)) + b"\n")
        return revision, add_version(out / MMCI, draft)


def _measured(version: Path, models: Path, media: Media, probes: list[RawWindow]) -> Measured:
    from stream.model.served import WEIGHTS, load_weights  # noqa: PLC0415 - heavy imports stay out of --help
    from stream.model_repository.audio_weights import PROJECTION  # noqa: PLC0415
    from stream.model_repository.served_models import AUDIO_ENCODER  # noqa: PLC0415
    from stream.nuisances.marks import MARKS  # noqa: PLC0415
    from stream.reveal.battery import Baseline, battery  # noqa: PLC0415
    from stream.reveal.gates import Group, Measured  # noqa: PLC0415
    from stream.reveal.models import RepositoryModels  # noqa: PLC0415
    from stream.training.revise import conditions, groups, word_truth  # noqa: PLC0415
    from stream.training.voice import Projection  # noqa: PLC0415

    served: ServedMMCI = load_weights(version / WEIGHTS)
    running = RepositoryModels(models, version)
    projection = Projection.load(next(file / PROJECTION for file in (version, models / AUDIO_ENCODER) if (file / PROJECTION).is_file()))
    return Measured(
        conditions=conditions(served, projection, media, SEED),
        groups={name: Group(*own) for name, own in groups(served, projection, media, SEED).items()},
        findings=tuple(battery({**MARKS, media.mark.name: media.mark}.values(), Baseline.of(probes, running), running)),
        word_truth=word_truth(served, media),
    )


def _print(revision: Revision, version: str) -> None:
    from rich.console import Console  # noqa: PLC0415 - heavy imports stay out of --help
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    table = Table("accuracy", "before", "after", box=None, header_style="bold")
    for name, numbers in revision.before.conditions.items():
        table.add_row(name, f"{numbers['accuracy']:.3f}", f"{revision.after.conditions[name]['accuracy']:.3f}")
    console.print(table)
    for name, gate in revision.gates.items():
        sign, style = ("✓", "green") if gate.passed else ("✗", "red")
        console.print(Text(f"{sign} {name}: {gate.says} {gate.value:+.3f} (at most {gate.limit:.3f})", style=style))
    how = "may be promoted" if revision.passed else "stays unpromoted"
    console.print(Text(f"Version {version} of {revision.model}, revised against {revision.artefact}, {how}."))
