"""From a biased training to a revised one on real recordings: reveal names the planted artefact unaided, and the revision drops it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.progress import Progress

from research.reveal.trials import SMALL, Model, World, accuracies, found_in, planted, trained
from stream.config.project import PROJECT_ROOT
from stream.nuisances.marks import AnyMark
from stream.reveal.findings import HONEST, Reference, Suspect, read_references, suspects
from stream.training.revise import AGREEING, INDEPENDENT

DATA = os.environ.get("SENTISTREAM_DATA")
REPOSITORY = PROJECT_ROOT / "triton_models"

pytestmark = [
    pytest.mark.research,
    pytest.mark.slow,
    pytest.mark.timeout(1_800),
    pytest.mark.skipif(not DATA, reason="needs the corpora: SENTISTREAM_DATA"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Progress(disable=True) as progress:
        yield World.read(SMALL, Path(DATA or ""), REPOSITORY, tmp_path_factory.mktemp("voices") / "voices.npz", progress, network=False)


def ranked(world: World, model: Model, mark: AnyMark, reference: Reference) -> list[Suspect]:
    findings, _ = found_in(world, model, mark, list(reference.words))
    return suspects(findings, reference)


@pytest.mark.parametrize("kind", ["hiss", "speaker"])
def test_a_planted_artefact_is_revealed_and_revised(world: World, kind: str) -> None:
    reference, mark = read_references(REPOSITORY / "mmci" / HONEST).of("corpora"), planted(kind)
    biased = trained(world, mark, mark.usual, AGREEING, 0)
    before, order = accuracies(world, biased, mark), ranked(world, biased, mark, reference)
    assert mark.name in [suspect.name for suspect in order[:3]]
    assert order[0].suspicious
    revised = trained(world, mark, None, INDEPENDENT, 0)
    after, later = accuracies(world, revised, mark), ranked(world, revised, mark, reference)
    (found,) = [suspect for suspect in order if suspect.name == mark.name]
    (left,) = [suspect for suspect in later if suspect.name == mark.name]
    assert left.strength < found.strength / 2
    assert after["flipped"] > before["flipped"]
