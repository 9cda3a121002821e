"""A revision from its beginning to the version in the repository: made, measured against the version before, and written with its card."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from rich.progress import Progress

from stream.model.served import WEIGHTS, ServedMMCI, load_weights
from stream.model_repository.audio_weights import PROJECTION
from stream.model_repository.files import VERSION
from stream.model_repository.served_models import AUDIO_ENCODER, MMCI
from stream.model_repository.version_files import CARD, add_version
from stream.nuisances.marks import MARKS, AnyMark
from stream.reveal.battery import Baseline, battery
from stream.reveal.findings import Reference
from stream.reveal.gates import Group, Measured, gates
from stream.reveal.models import RepositoryModels
from stream.reveal.revision import Relief, Revision
from stream.reveal.stored import StoredWords, excerpts_of, labels_of, states_of
from stream.reveal.windows import RawWindow
from stream.training.export import export_mmci, write_projection
from stream.training.features import text_weights
from stream.training.reasons import Judged, penalty_of
from stream.training.revise import Media, conditions, groups, projected, revised, word_truth
from stream.training.voice import Projection
from stream.training.word_direction import without_word, word_projection
from stream.training.word_effects import measured_effects, truth_rate

CHECKED_TEXTS = 60
"""Texts of a store on which claims on words are checked: each phrase of each is left out in turn."""


@dataclass(frozen=True, slots=True)
class Revising:
    """What is revised.

    Attributes:
        mark: The artefact.
        models: The repository with the encoders and the version before.
        version: Number of the version before.
        out: The repository that gets the new version.
        reference: What is honest, for the probe windows.
        probes: The windows on which the battery is run.
        seed: Seed of all choices.
        progress: Shows progress bars.
    """

    mark: AnyMark
    models: Path
    version: str
    out: Path
    reference: Reference
    probes: Sequence[RawWindow]
    seed: int
    progress: Progress

    @property
    def before(self) -> Path:
        """Folder of the version before."""
        return self.models / MMCI / self.version


def retrained(revising: Revising, media: Media, initial: ServedMMCI | None, judged: Judged | None) -> tuple[Revision, str]:
    """Train on media in which the artefact is independent of the label; returns the card and the number of the version.

    Args:
        revising: What is revised.
        media: All parts of the corpora.
        initial: Weights to begin with; None for random ones.
        judged: Windows whose masks the training heeds.
    """
    penalty = None if judged is None else penalty_of(judged, revising.seed)
    trained = revised(media, revising.seed, revising.progress, initial, penalty)
    recipe = asdict(media.recipe.mmci) | {"quick": initial is not None, "judged_windows": 0 if judged is None else judged.size}
    card = partial(_card, revising, Relief.TRAINING, recipe, trained.outcome.criterion)
    return _written(revising, trained.outcome.served, trained.projection, partial(_with_labels, revising, media), card)


def projected_with_corpora(revising: Revising, media: Media) -> tuple[Revision, str]:
    """Take a word out by a projection, with the texts of the corpora; `media` has the test part. Raises `NoDirectionError`."""
    served = projected(load_weights(revising.before / WEIGHTS), media.reader, revising.mark)
    card = partial(_card, revising, Relief.PROJECTION, {"sentences": "corpora"}, None)
    return _written(revising, served, _own_projection(revising.before), partial(_with_labels, revising, media), card)


def projected_with_store(revising: Revising, windows: StoredWords) -> tuple[Revision, str]:
    """Take a word out by a projection, with what was said in windows of a store, which have no labels. Raises `NoDirectionError`."""
    models = RepositoryModels(revising.models, revising.before)
    plain, marked = (states_of(sentences, models) for sentences in zip(*windows.pairs, strict=True))
    served = without_word(load_weights(revising.before / WEIGHTS), word_projection(plain, marked))
    card = partial(_card, revising, Relief.PROJECTION, {"sentences": "store", "windows": len(windows.pairs)}, None)
    return _written(revising, served, _own_projection(revising.before), partial(_without_labels, revising, windows), card)


def _written(
    revising: Revising,
    served: ServedMMCI,
    projection: Projection | None,
    measured: Callable[[Path], Measured],
    card: Callable[[Measured, Measured], Revision],
) -> tuple[Revision, str]:
    """Export a version, measure it and the one before, and put it into the repository with its card."""
    with tempfile.TemporaryDirectory(prefix="sentistream-revision-") as folder:
        export_mmci(served, Path(folder))
        draft = Path(folder) / MMCI / VERSION
        if projection is not None:
            write_projection(draft / PROJECTION, projection.weight, projection.bias)
        revision = card(measured(revising.before), measured(draft))
        (draft / CARD).write_bytes(msgspec.json.format(msgspec.json.encode(revision)) + b"\n")
        return revision, add_version(revising.out / MMCI, draft)


def _card(  # noqa: PLR0917 - the last two come from the measuring
    revising: Revising, relief: Relief, recipe: dict[str, Any], criterion: float | None, before: Measured, after: Measured
) -> Revision:
    mark = revising.mark
    return Revision(
        model=MMCI,
        revised_from=revising.version,
        artefact=mark.name,
        says=mark.says,
        relief=relief,
        strengths=mark.strengths,
        seed=revising.seed,
        recipe=recipe,
        criterion=criterion,
        before=before,
        after=after,
        gates=gates(before, after, mark.name, revising.reference),
    )


def _with_labels(revising: Revising, media: Media, version: Path) -> Measured:
    """What the test part of the corpora and the battery say of a version."""
    served = load_weights(version / WEIGHTS)
    projection = _own_projection(version) or Projection.load(revising.models / AUDIO_ENCODER / PROJECTION)
    found = groups(served, projection, media, revising.seed)
    return Measured(
        conditions=conditions(served, projection, media, revising.seed),
        groups={name: Group(*own) for name, own in found.items()},
        findings=_findings(revising, RepositoryModels(revising.models, version)),
        word_truth=word_truth(served, media),
    )


def _without_labels(revising: Revising, windows: StoredWords, version: Path) -> Measured:
    """What windows of a store and the battery say of a version."""
    models = RepositoryModels(revising.models, version)
    before = labels_of(windows.spared, RepositoryModels(revising.models, revising.before))
    texts, weights = excerpts_of(windows.all, CHECKED_TEXTS), text_weights(revising.models)
    rates = truth_rate(measured_effects(load_weights(version / WEIGHTS), texts, weights, revising.progress))
    return Measured(
        conditions={},
        groups={},
        findings=_findings(revising, models),
        word_truth={name: rates[name] for name in ("top", "sign")},
        labels_kept=float((labels_of(windows.spared, models) == before).mean()),
    )


def _findings(revising: Revising, models: RepositoryModels) -> tuple[Any, ...]:
    marks = {**MARKS, revising.mark.name: revising.mark}.values()
    return tuple(battery(marks, Baseline.of(revising.probes, models), models))


def _own_projection(version: Path) -> Projection | None:
    """That of a version with an audio encoder of its own, else None."""
    file = version / PROJECTION
    return Projection.load(file) if file.is_file() else None
