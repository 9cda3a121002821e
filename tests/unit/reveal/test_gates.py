"""Gates let a revision pass that mends the artefact and nothing else, and say which harm another one does."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import pytest

from stream.cli.revision_page import revision_page
from stream.domain.modality import Modality
from stream.reveal.findings import Detector, Finding, Honest, Reference
from stream.reveal.gates import Group, Measured, gap, gates
from stream.reveal.revision import Revision

pytestmark = pytest.mark.unit

REFERENCE = Reference(
    "corpora", {f"battery/{name}": Honest(0.0, 0.01, 3) for name in ("hiss", "blur")}, {}, 0.0, dict.fromkeys(Detector, 0.2)
)


@dataclass
class Version:
    """A version to be measured: everything is fine by default."""

    clean: float = 0.9
    hiss: float = 0.05
    blur: float = 0.0
    groups: dict[str, Group] = field(default_factory=lambda: {"voice a": Group(0.8, 10_000), "voice b": Group(0.7, 10_000)})
    top: float | None = 0.9

    def measured(self) -> Measured:
        numbers = {"accuracy": self.clean, "macro_f1": 0.9, "mosi_mae": 0.7, "worst_group": 0.8}
        return Measured(
            conditions={"clean": numbers, "flipped": numbers},
            groups=self.groups,
            findings=(finding("hiss", self.hiss), finding("blur", self.blur, Modality.VIDEO)),
            word_truth={"top": self.top, "sign": None},
        )


def finding(name: str, value: float, modality: Modality = Modality.AUDIO) -> Finding:
    return Finding(detector=Detector.BATTERY, name=name, modality=modality, value=value, error=0.01, windows=60)


BIASED = Version(hiss=1.5)


def failed(after: Version) -> list[str]:
    return [name for name, gate in gates(BIASED.measured(), after.measured(), "hiss", REFERENCE).items() if not gate.passed]


def test_a_revision_that_mends_the_artefact_passes() -> None:
    assert failed(Version()) == []


@pytest.mark.parametrize(
    ("after", "gate"),
    [
        (Version(clean=0.88), "clean"),
        (Version(hiss=1.6), "shift"),
        (Version(blur=0.5), "others"),
        (Version(groups={"voice a": Group(0.85, 10_000), "voice b": Group(0.6, 10_000)}), "gap voice"),
        (Version(top=0.8), "word truth top"),
        (Version(top=None), "word truth top"),
    ],
)
def test_each_harm_fails_its_gate(after: Version, gate: str) -> None:
    assert failed(after) == [gate]


def test_without_labels_those_that_change_bound_the_loss() -> None:
    before = msgspec.structs.replace(BIASED.measured(), conditions={}, groups={})
    for kept, passed in ((0.995, True), (0.98, False)):
        found = gates(before, msgspec.structs.replace(Version().measured(), conditions={}, groups={}, labels_kept=kept), "hiss", REFERENCE)
        assert found["labels"].passed is passed
        assert not {"clean", "gap voice"} & set(found)


def test_a_gap_within_its_sampling_error_passes() -> None:
    few = {"voice a": Group(0.8, 40), "voice b": Group(0.7, 40)}
    later = {"voice a": Group(0.83, 40), "voice b": Group(0.68, 40)}
    found = gates(Version(groups=few).measured(), Version(groups=later).measured(), "hiss", REFERENCE)
    assert found["gap voice"].passed
    assert gap(later, "voice") == pytest.approx(0.15)


def test_the_page_of_a_revision_names_the_failed_gate() -> None:
    before, after = BIASED.measured(), Version(clean=0.8).measured()
    revision = Revision(
        model="mmci",
        revised_from="1",
        artefact="hiss",
        says="white <noise>",
        strengths=(-30.0, 0.0),
        seed=0,
        recipe={},
        criterion=1.0,
        before=before,
        after=after,
        gates=gates(before, after, "hiss", REFERENCE),
    )
    html = revision_page(revision, "2", REFERENCE)
    assert not revision.passed
    assert "Not all gates passed" in html
    assert "White &lt;noise&gt;" in html
    assert "://" not in html
