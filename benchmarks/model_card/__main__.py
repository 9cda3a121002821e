"""Fill the tables of docs/model-card.md and draw docs/calibration.svg from docs/model-metrics.json. It takes a second.

python -m benchmarks.model_card     prints the names of the changed files

`sentistream train configs/training/live.yaml` measures the models and writes docs/model-metrics.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.model_card.calibration_curve import calibration_curve
from benchmarks.model_card.tables import fill_card
from stream.training.files import replace_text

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


def fill(docs: Path) -> list[str]:
    """Write the generated parts of the model card.

    Args:
        docs: Folder with ``model-card.md`` and ``model-metrics.json``; ``calibration.svg`` is written there, too.

    Returns:
        Names of the files that changed.

    Raises:
        FileNotFoundError: If the card or the numbers are missing.
        KeyError: If the card asks for an unknown table, or the numbers of a model are missing.
    """
    metrics = json.loads((docs / "model-metrics.json").read_text(encoding="utf-8"))
    texts = {
        docs / "model-card.md": fill_card((docs / "model-card.md").read_text(encoding="utf-8"), metrics),
        docs / "calibration.svg": calibration_curve(metrics["mmci"]["reliability"]),
    }
    changed = [file for file, text in texts.items() if not file.is_file() or file.read_text(encoding="utf-8") != text]
    for file in changed:
        replace_text(file, texts[file])
    return [file.name for file in changed]


def main() -> None:
    """Fill the model card of this checkout, and print the names of the changed files."""
    formatter = argparse.RawDescriptionHelpFormatter
    argparse.ArgumentParser(prog="python -m benchmarks.model_card", description=__doc__, formatter_class=formatter).parse_args()
    for name in fill(DOCS):
        print(name)


if __name__ == "__main__":
    main()
