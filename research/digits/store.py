"""Numbers of earlier runs, so that a run can be continued: one line of JSON for each row and seed.

The key does not cover the code: delete the folder if the code of the data, the network or the training changes.
"""

from __future__ import annotations

import json
from pathlib import Path

from research.digits.trial import TrialNumbers


class Store:
    """The file ``measured.jsonl`` of a folder. It is read each time, so that runs of several seeds may share it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "measured.jsonl"

    def get(self, key: str) -> TrialNumbers | None:
        """The numbers of a row and seed; None if there are none."""
        lines = self._file.read_text(encoding="utf-8").splitlines() if self._file.is_file() else []
        known: dict[str, TrialNumbers] = {line["key"]: line["numbers"] for line in map(json.loads, lines)}
        return known.get(key)

    def put(self, key: str, row: str, seed: int, numbers: TrialNumbers) -> None:
        """Add the numbers of a row and seed."""
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "row": row, "seed": seed, "numbers": numbers}) + "\n")
