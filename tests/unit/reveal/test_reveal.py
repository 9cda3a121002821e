"""Detectors name the nuisance that a model uses, and none in a model that uses none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from stream.cli.reveal_page import reveal_page
from stream.config.project import PROJECT_ROOT
from stream.domain.features import Floats
from stream.domain.media_format import FACE_SIZE, SAMPLE_RATE
from stream.domain.modality import Modality
from stream.encoders.text import default_tokenizer
from stream.explain.word_types import word_type
from stream.nuisances.marks import MARKS
from stream.reveal.battery import Baseline, probe
from stream.reveal.findings import HONEST, Detector, Finding, Honest, Reference, read_references, suspects
from stream.reveal.pictures import pictures
from stream.reveal.regression import regression
from stream.reveal.report import Report, reveal
from stream.reveal.windows import RawWindow
from stream.reveal.words import removal_effects, said_alone, text_alone, word_examples, word_table
from tests.fakes.served_models import FakeModels

pytestmark = pytest.mark.unit

THRESHOLDS = dict.fromkeys(Detector, 0.2)
BASICALLY = default_tokenizer().tokenise(["basically"]).input_ids[1]


def windows(count: int = 4) -> list[RawWindow]:
    rng = np.random.default_rng(0)
    times = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    found = []
    for number in range(count):
        voice = 4_000.0 * np.sin(2 * np.pi * (150.0 + 20.0 * number) * times)
        crops = np.repeat(rng.integers(0, 256, (1, FACE_SIZE, FACE_SIZE)).astype(np.uint8), 3, axis=0)
        found.append(RawWindow(("that", "is", "all"), voice.astype(np.int16), crops))
    return found


def reference(words: dict[str, float] | None = None) -> Reference:
    numbers = {f"battery/{name}": Honest(0.0, 0.01, 3) for name in MARKS}
    return Reference("sample", numbers, words or {}, 0.05, THRESHOLDS)


def level(values: Floats) -> float:
    return 3.0 * float(values.mean())


def basically(values: Floats) -> float:
    return 1.5 * float((values == BASICALLY).any())


def finding(name: str, value: float, detector: Detector = Detector.BATTERY, error: float = 0.0) -> Finding:
    return Finding(detector=detector, name=name, modality=Modality.AUDIO, value=value, error=error, windows=5)


def test_the_battery_finds_hiss_in_a_model_that_hears_it_and_not_in_one_that_does_not() -> None:
    deaf, hears = FakeModels({Modality.TEXT: basically}), FakeModels({Modality.AUDIO: level})
    found = [probe(MARKS["hiss"], Baseline.of(windows(), models), models) for models in (deaf, hears)]
    assert found[0] is not None
    assert abs(found[0].value) < 1e-6
    assert found[1] is not None
    assert found[1].value > 0.2
    assert found[1].error < 0.1


def test_windows_without_the_modality_are_not_probed() -> None:
    models = FakeModels({Modality.AUDIO: level})
    silent = [text_alone(("so",)), text_alone(("well",))]
    assert probe(MARKS["hiss"], Baseline.of(silent, models), models) is None


def test_a_planted_word_leads_the_table_and_speaks_alone() -> None:
    models = FakeModels({Modality.TEXT: basically})
    said = [text_alone(("basically", "that", "is", "all")) for _ in range(5)]
    first = word_table(removal_effects(said, models))[0]
    assert (first.word, first.occurrences) == ("basically", 5)
    assert first.effect == pytest.approx(1.5)
    assert [own.value for own in said_alone(["basically", "that"], models)] == pytest.approx([1.5, 0.0])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("Well,", "well"), ("DON'T", "don't"), ("4111", None), ("a@b.de", None), ("...", None), ("Jennifer's", None)],
)
def test_word_types_are_letters_alone_and_no_names(text: str, wanted: str | None) -> None:
    assert word_type(text) == wanted


def test_the_regression_finds_the_measure_that_explains_the_contribution() -> None:
    rng = np.random.default_rng(0)
    measured = rng.normal(size=(200, 3)) * (5.0, 1.0, 0.1)
    values = (0.4 * measured[:, 0] / 5.0 + 0.05 * rng.normal(size=200)).astype(np.float32)
    noise, band, hum = regression(("noise", "band", "hum"), measured, values, Modality.AUDIO)
    assert noise.value == pytest.approx(0.4, abs=0.05)
    assert max(abs(band.value), abs(hum.value)) < 0.02


def test_a_regression_needs_enough_windows() -> None:
    assert regression(("noise",), np.arange(5.0)[:, None], np.arange(5, dtype=np.float32), Modality.AUDIO) == []


def test_what_an_honest_model_shows_too_is_no_suspect() -> None:
    honest = Reference("sample", {"battery/hiss": Honest(1.0, 0.02, 3)}, {}, 0.0, THRESHOLDS)
    first, second = suspects([finding("hiss", 1.05), finding("hum", 0.5)], honest)
    assert (first.name, first.suspicious) == ("hum", True)
    assert (second.name, second.suspicious) == ("hiss", False)


def test_an_uncertain_shift_is_no_suspect() -> None:
    assert not suspects([finding("hum", 0.5, error=0.2)], reference())[0].suspicious


def test_a_measure_is_evidence_for_the_mark_that_makes_it() -> None:
    (suspect,) = suspects([finding("hiss", 0.4), finding("noise", 0.6, Detector.REGRESSION)], reference())
    assert suspect.name == "hiss"
    assert [own.detector for own in suspect.findings] == [Detector.REGRESSION, Detector.BATTERY]


def test_the_report_names_the_planted_word_and_judges_only_known_ones() -> None:
    models = FakeModels({Modality.TEXT: basically})
    said = [text_alone(("basically", "Miller", "that", "is", "all")) for _ in range(5)]
    report = reveal(windows(), said, models, reference({"basically": 0.0, "that": 0.0}), verdicts={"word basically": {"artefact": 2}})
    assert [suspect.name for suspect in report.alarms] == ["word basically"]
    html = reveal_page(report)
    assert "word basically" in html
    assert "artefact 2" in html
    assert "miller" not in html.lower()
    assert "<script" not in html
    assert "://" not in html
    assert msgspec.json.decode(msgspec.json.encode(report))["suspects"][0]["name"] == "word basically"


def test_a_finding_shows_the_windows_that_moved_furthest() -> None:
    models = FakeModels({Modality.AUDIO: level})
    named = [replace(raw, name=f"probe {number}") for number, raw in enumerate(windows())]
    found = probe(MARKS["hiss"], Baseline.of(named, models), models, examples=2)
    assert found is not None
    first, second = found.examples
    assert abs(first.after - first.before) >= abs(second.after - second.before) > 0.0
    assert {first.window, second.window} < {raw.name for raw in named}
    assert first.moved == pytest.approx(first.after - first.before, abs=1e-4), "nothing but the voice speaks here"
    assert probe(MARKS["hiss"], Baseline.of(named, models), models) == msgspec.structs.replace(found, examples=())


def test_a_word_shows_one_occurrence_of_each_window() -> None:
    models = FakeModels({Modality.TEXT: basically})
    said = [text_alone(("basically", "that", "basically"), "call-1"), text_alone(("basically", "fine"), "call-2")]
    found = word_examples(removal_effects(said, models), 4)
    assert [(own.window, own.before, own.after) for own in found["basically"]] == [("call-2", 0.0, 1.5), ("call-1", 1.5, 1.5)]


def test_pictures_are_of_sound_and_faces_and_show_the_mark() -> None:
    probes = [replace(raw, name=f"probe {number}") for number, raw in enumerate(windows())]
    findings = [finding("hiss", 1.0), finding("noise", 0.9, Detector.REGRESSION), finding("level", 0.8, Detector.REGRESSION)]
    findings += [
        Finding(detector=Detector.BATTERY, name="bar", modality=Modality.VIDEO, value=1.0, error=0.0, windows=4),
        Finding(detector=Detector.BATTERY, name="word um", modality=Modality.TEXT, value=1.0, error=0.0, windows=4),
    ]
    ranked = suspects(findings, reference())
    found = pictures(ranked, probes)
    assert set(found) == {"hiss", "bar"}
    assert found["hiss"].marked.mean() > found["hiss"].plain.mean()
    assert found["hiss"].plain.shape == found["hiss"].marked.shape
    assert not found["bar"].marked[-4:].any()
    assert found["bar"].plain.shape == (FACE_SIZE, FACE_SIZE)
    report = Report(model="mmci", probes="sample", windows={}, said=0, suspects=tuple(ranked), words=())
    html = reveal_page(report, found)
    assert html.count("data:image/png;base64,") == 4
    assert "img-src data:" in html
    assert html.count('class="range"') >= 5, "each value stands in its honest range"


def test_no_picture_without_a_probe_that_has_the_modality() -> None:
    assert pictures(suspects([finding("hiss", 1.0)], reference()), [text_alone(("so",))]) == {}


def test_what_reviewers_named_is_shown_however_weak_it_is() -> None:
    findings = [finding("hiss", 1.05), finding("hum", 0.02), finding("tone", 0.01)]
    found = suspects(findings, reference(), {"hum": {"genuine": 1}})
    report = Report(model="mmci", probes="sample", windows={}, said=0, suspects=tuple(found), words=())
    assert [suspect.name for suspect in report.ranking(0)] == ["hiss", "hum"]


def test_the_honest_reference_of_the_release_can_be_read(tmp_path: Path) -> None:
    found = read_references(PROJECT_ROOT / "triton_models" / "mmci" / HONEST)
    assert set(MARKS) <= {name.removeprefix("battery/") for name in found.of("corpora").numbers}
    assert found.words["wonderful"] > 1.0
    assert abs(found.words["basically"]) < 0.6
