"""Measure the finished checkpoints of rows on their test parts again, without training.

python -m research.evaluate research/configs/bclstm/mmci.yaml --json
"""

from __future__ import annotations

from pathlib import Path

from research.command_line import errors_as_sentences, folders_of, parser_of, progress_bars
from research.experiments.config import read_config
from research.experiments.run import evaluate
from research.results import print_rows


def main() -> None:
    """Measure the rows and print them."""
    parser = parser_of("research.evaluate", __doc__)
    parser.add_argument("configs", type=Path, nargs="+", metavar="CONFIG", help="YAML files; see research/configs/")
    parser.add_argument("--quick", action="store_true", help="measure the checkpoints of research.train --quick, in runs/quick")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each row instead of a table")
    options = parser.parse_args()
    with errors_as_sentences(), progress_bars() as progress:
        rows = [evaluate(read_config(file), folders_of(options), progress) for file in options.configs]
    print_rows(rows, as_json=options.json)


if __name__ == "__main__":
    main()
