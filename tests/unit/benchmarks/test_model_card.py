"""The generated parts of the model card come only from the stored numbers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.model_card.__main__ import DOCS, fill
from benchmarks.model_card.calibration_curve import calibration_curve
from benchmarks.model_card.tables import fill_card


def test_the_committed_card_shows_the_committed_numbers() -> None:
    card = (DOCS / "model-card.md").read_text(encoding="utf-8")
    metrics = json.loads((DOCS / "model-metrics.json").read_text(encoding="utf-8"))
    assert fill_card(card, metrics) == card
    assert card.count("<!-- table:") == 9
    assert calibration_curve(metrics["mmci"]["reliability"]) == (DOCS / "calibration.svg").read_text(encoding="utf-8")


def test_filling_writes_only_the_changed_files(tmp_path: Path) -> None:
    for name in ("model-card.md", "model-metrics.json"):
        shutil.copy(DOCS / name, tmp_path)
    assert fill(tmp_path) == ["calibration.svg"]
    assert fill(tmp_path) == []


def test_the_calibration_curve_has_a_dot_for_each_bin() -> None:
    bins = [(0.55, 0.0, 1), (0.6, 1.0, 1), (0.935, 0.5, 2)]
    picture = ElementTree.fromstring(calibration_curve({"text & voice": bins, "nothing": []}))
    assert len(picture.findall(".//{*}circle")) == len(bins)
