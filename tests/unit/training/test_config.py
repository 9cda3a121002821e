"""The live recipe's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.config.project import PROJECT_ROOT
from stream.training.config import LiveConfig, read_live_config
from stream.training.errors import TrainingError


def test_the_committed_recipe_trains_every_model() -> None:
    assert read_live_config(PROJECT_ROOT / "configs" / "training" / "live.yaml") == LiveConfig(kind="live")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: live\nsteps: [video]", "steps"),
        ("kind: live\nsedd: 3", "sedd"),
        ("- 1", "keys and values"),
        ("a: [", "cannot be read"),
        ("name: mmci\nmodel: {name: mmci}", "python -m research.train"),
    ],
)
def test_wrong_files_are_refused_with_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(TrainingError, match=said):
        read_live_config(file)
