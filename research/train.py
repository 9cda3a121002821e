"""Train rows of the tables: each CONFIG is one model on one corpus, with several seeds.

    python -m research.train research/configs/bclstm/mmci.yaml       one row
    python -m research.train research/configs/std/*.yaml --quick     one seed and one epoch of each row, to see that it works

Checkpoints, numbers and curves go to RUNS/NAME. A seed that is finished is not trained again, so a run that was stopped goes on.
The rows of a whole table are trained and written into docs/research/model.md by python -m research.benchmarks.mosi.
The corpora are for research only; docs/model-card.md says which they are.
"""

from __future__ import annotations

from pathlib import Path

from research.command_line import errors_as_sentences, folders_of, parser_of, progress_bars
from research.experiments.config import read_config
from research.experiments.run import run, shortened
from research.results import print_rows


def main() -> None:
    """Train, then print the rows."""
    parser = parser_of("research.train", __doc__)
    parser.add_argument("configs", type=Path, nargs="+", metavar="CONFIG", help="YAML files; see research/configs/")
    parser.add_argument("--quick", action="store_true", help="one seed and one epoch of each row, in runs/quick")
    parser.add_argument("--json", action="store_true", help="one JSON object a row instead of a table")
    options = parser.parse_args()
    with errors_as_sentences(), progress_bars() as progress:
        configs = [read_config(file) for file in options.configs]
        rows = [run(shortened(config) if options.quick else config, folders_of(options), progress) for config in configs]
    print_rows(rows, as_json=options.json)


if __name__ == "__main__":
    main()
