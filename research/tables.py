"""Fill the tables of docs/research and of trials in docs/explanations.md from the stored results. Nothing is trained; takes seconds.

    python -m research.tables

A benchmark fills its own tables when a full run ends. This program is for a table whose wording or layout has changed.
"""

from __future__ import annotations

import argparse

from benchmarks import xai_digits
from research.benchmarks import left_out, mosi, ood, reliefs, reveal, shortcut, voice
from research.pages import read_result

BENCHMARKS = (mosi, ood, shortcut, voice, left_out, reveal, reliefs, xai_digits)


def main() -> None:
    """Fill all tables, and print the name of each benchmark whose tables changed."""
    formatter = argparse.RawDescriptionHelpFormatter
    argparse.ArgumentParser(prog="python -m research.tables", description=__doc__, formatter_class=formatter).parse_args()
    for benchmark in BENCHMARKS:
        stored = read_result(benchmark.STORED)
        # A benchmark that has not been run yet has no tables.
        if stored and benchmark.fill_tables_of(stored):
            print(benchmark.__name__)


if __name__ == "__main__":
    main()
