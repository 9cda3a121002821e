"""Train rows of the tables. A CONFIG is one model on one corpus with several seeds.

    python -m research.train research/configs/bclstm/mmci.yaml       one row
    python -m research.train research/configs/std/*.yaml --quick     one seed and one epoch of each row, to check the set-up

Checkpoints, numbers and curves go to RUNS/NAME. Finished seeds are not trained again, so an interrupted run resumes.
python -m research.benchmarks.mosi trains all rows of a table and writes them to docs/research/model.md.
The licences of the corpora allow research only; docs/model-card.md lists them.
"""

from __future__ import annotations

from pathlib import Path

from research.command_line import errors_as_sentences, folders_of, parser_of, progress_bars
from research.experiments.config import read_config
from research.experiments.run import run, shortened
from research.results import print_rows


def main() -> None:
    """Train the rows and print them."""
    parser = parser_of("research.train", __doc__)
    parser.add_argument("configs", type=Path, nargs="+", metavar="CONFIG", help="YAML files; see research/configs/")
    parser.add_argument("--quick", action="store_true", help="train one seed and one epoch of each row, in runs/quick")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each row instead of a table")
    options = parser.parse_args()
    with errors_as_sentences(), progress_bars() as progress:
        configs = [read_config(file) for file in options.configs]
        rows = [run(shortened(config) if options.quick else config, folders_of(options), progress) for config in configs]
    print_rows(rows, as_json=options.json)


if __name__ == "__main__":
    main()
