"""The benchmark of planted shortcuts without its trainings: stored results, the trained rows and the tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.progress import Progress

from benchmarks.markdown import fill_tables
from research.benchmarks import shortcut
from research.benchmarks.shortcut_runs.rows import ABLATED_AT, ABLATIONS, QUICK_ROWS, ROWS, Row, input_of
from research.benchmarks.shortcut_runs.store import Store, key_of
from research.benchmarks.shortcut_runs.tables import closed, tables_of
from research.pages import MODEL_PAGE
from research.shortcuts.data import Parts
from research.shortcuts.defence import Measured
from research.shortcuts.plants import Watermark
from research.shortcuts.rows import Rows
from research.shortcuts.trial import Planted, planted
from stream.domain.modality import Modality
from stream.training.eraser.artefacts import Eraser
from stream.training.eraser.blocks import Blocks, Labels

PLANT = Watermark((Modality.AUDIO,), 4.0)


def rows(seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    blocks = {m: rng.standard_normal((40, 5)).astype(np.float32) for m in Modality}
    return Rows(blocks, rng.standard_normal(40).astype(np.float32), np.array([f"v{i % 20}" for i in range(40)]))


def trial(p: float = 0.9, plant: Watermark | None = PLANT) -> Planted:
    return planted(Parts(rows(0), rows(1), rows(2)), plant, p, 0)


def test_a_result_is_stored_under_everything_that_determines_it(tmp_path: Path) -> None:
    keys = [
        key_of(ROWS["ours"], trial(), 0),
        key_of(ROWS["ours"], trial(), 1),
        key_of(ROWS["mmci"], trial(), 0),
        key_of(ROWS["ours"], trial(0.5), 0),
        key_of(ABLATIONS["no attention"], trial(), 0),
        key_of(ROWS["group_reweighting"], trial(), 0),
    ]
    assert len(set(keys)) == len(keys)
    assert key_of(ROWS["ours"], trial(), 0) == keys[0]
    assert key_of(ROWS["unplanted"], trial(0.5, None), 0) == key_of(ROWS["unplanted"], trial(0.9, None), 0)
    Store(tmp_path).put(keys[0], Measured({"id": 0.5}, {}))
    assert Store(tmp_path).get(keys[0]) == Measured({"id": 0.5}, {})
    assert Store(tmp_path).get(keys[1]) is None


def test_the_row_text_only_gets_only_text() -> None:
    assert set(input_of(ROWS["text_only"], trial()).train.blocks) == {Modality.TEXT}
    assert set(input_of(ROWS["ours"], trial()).train.blocks) == set(Modality)


def test_a_condition_trains_each_row_once_and_erases_only_for_our_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[tuple[bool, bool]] = []

    def fake_run(defence: Any, data: Planted, eraser: Eraser | None, seed: int) -> Measured:
        trained.append((eraser is not None, data.train_marks is not None))
        return Measured(dict.fromkeys(("id", "neutral", "flipped", "worst_group"), seed / 100), {})

    monkeypatch.setattr(shortcut, "run_defence", fake_run)
    monkeypatch.setattr(shortcut, "with_development", lambda train, test, _: Parts(train, train, test))
    fitted: list[Blocks] = []

    def fit(blocks: Blocks, _: Labels) -> str:
        fitted.append(blocks)
        return "eraser"

    monkeypatch.setattr(shortcut, "fit_eraser", fit)
    wanted: dict[float, dict[str, Row]] = {
        p: {name: ROWS[name] for name in ("ours", "ours_fusion", "unplanted", "erm")} for p in (0.5, 0.9)
    }
    for _ in range(2):
        with Progress(disable=True) as progress:
            bench = shortcut.Bench((rows(0), rows(2)), (10, 12), Store(tmp_path), progress)
            found = bench.condition("audio", PLANT, wanted, genuine=False)
    assert trained.count((True, True)) == 8, "ours and ours_fusion with two p and two seeds, each only once"
    assert trained.count((False, True)) == 4
    assert trained.count((False, False)) == 2, "unplanted does not depend on p, so it is trained once per seed"
    assert len(fitted) == 4
    assert shortcut.means(found)["erm"]["0.9"]["flipped"] == pytest.approx(0.11)
    assert shortcut.deviations(found)["erm"]["0.9"]["flipped"] == pytest.approx(0.01)


def result() -> dict[str, Any]:
    def numbers(flipped: float) -> dict[str, float]:
        return {"id": 0.9, "neutral": 0.8, "flipped": flipped, "worst_group": 0.7}

    def table(names: tuple[str, ...], agreements: tuple[str, ...]) -> dict[str, Any]:
        flipped = {"ours": 0.83, "erm": 0.43, "unplanted": 0.85, "text_only": 0.78}
        return {name: {p: numbers(flipped.get(name, 0.6)) for p in agreements} for name in names}

    all_agreements, few_rows = ("0.5", "0.7", "0.9", "0.99"), ("ours", "erm", "unplanted", "text_only")
    kinds = {"ours": {"causal": 0.51, "shortcut": 0.5, "strata": 1.0}, "erm": {"causal": 0.98}}
    probes = {name: dict.fromkeys(all_agreements, own) for name, own in kinds.items()}
    ablated = table(tuple(ABLATIONS), tuple(map(str, ABLATED_AT)))
    condition = table(few_rows, ("0.9",))
    spread = table((*few_rows, "mmci", "ours_fusion", "unplanted_fusion"), ("0.9",))
    more = {
        "sd": table(tuple(ROWS), all_agreements),
        "probes": probes,
        "ablations": {"mean": ablated, "sd": ablated},
        "conditions": {"text": {"mean": condition, "sd": condition}, "noise": {"mean": spread, "sd": spread, "seeds": 5}},
    }
    return {**table(tuple(ROWS), all_agreements), "more": more}


def test_tables_show_the_numbers_of_the_result() -> None:
    tables = {name: maker() for name, maker in tables_of(result()).items()}
    assert "| **`ours`** | .900 / .800 / .830 ± .830 / .700 |" in tables["standard"]
    assert tables["standard"].count("\n") == len(ROWS) + 1
    assert "| `erm` | .980 | - | - | .980 | - | - |" in tables["probes"]
    assert "| no attention | .900 / .800 / .600 ± .600 / .700 |" in tables["ablations"]
    assert "| text | .9 | .800 / .430 | .800 / .830 ± .830 | .850 | .800 / .780 | 95 % |" in tables["places"]
    assert (
        "| noise | .9 | .800 / .430 | .800 / .600 ± .600 | .600 | 100 % | .800 / .600 | .800 / .830 ± .830 | .850 | 92 % |"
        in tables["spreads"]
    )
    assert "noise" not in tables["places"]
    assert "| text |" not in tables["spreads"]
    assert "| p = .9, flipped | ≥ .810" in tables["goals"]
    assert "| other marks, least share of the gap closed | ≥ 60 % | 95 % |" in tables["goals"]
    near = {"ours": 0.84, "erm": 0.845, "unplanted": 0.85}
    assert closed({row: {"0.5": {"flipped": value}} for row, value in near.items()}, "0.5") == "gap < 5 points; -0.5 points"


def test_a_run_of_one_mark_leaves_the_others_as_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortcut, "read_honest", lambda *_: (rows(0), rows(2)))
    monkeypatch.setattr(shortcut, "packaged_weights", lambda: tmp_path)
    monkeypatch.setattr(shortcut, "read_result", lambda _: result())
    numbers = Measured(dict.fromkeys(("id", "neutral", "flipped", "worst_group"), 0.5), {})

    def measured(_: Any, name: str, __: Any, wanted: Any, *, genuine: bool) -> shortcut.Results:
        assert (name, genuine) == ("video", True)
        return {row: {str(p): [numbers] for p in wanted} for row in wanted[0.9]}

    monkeypatch.setattr(shortcut.Bench, "condition", measured)
    monkeypatch.setattr("sys.argv", ["shortcut", "--data", str(tmp_path), "--runs", str(tmp_path), "--only", "video"])
    with Progress(disable=True) as progress:
        found = shortcut.measure(shortcut._options(), progress)
    assert found["erm"] == result()["erm"]
    assert found["more"]["conditions"]["text"] == result()["more"]["conditions"]["text"]
    assert found["more"]["conditions"]["video"]["mean"]["ours"]["0.9"]["flipped"] == 0.5


def test_every_table_of_the_page_is_filled() -> None:
    page = MODEL_PAGE.read_text(encoding="utf-8")
    filled = fill_tables(page, tables_of(result()), of="shortcut")
    assert all(f"<!-- table: shortcut/{name} -->\n|" in filled for name in tables_of(result()))
    assert page.partition("## Planted shortcuts")[0] == filled.partition("## Planted shortcuts")[0]


def test_the_rows_of_a_quick_run_exist() -> None:
    assert set(QUICK_ROWS) <= set(ROWS)
