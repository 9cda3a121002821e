"""Command-line parts of all research programs: folders, progress bars, and errors as one sentence."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from research.experiments.run import Folders
from stream.config.project import PROJECT_ROOT
from stream.training.errors import TrainingError

RUNS = PROJECT_ROOT / "runs"
REPOSITORY = PROJECT_ROOT / "triton_models"
EXIT_USAGE = 2

console = Console(stderr=True)


def parser_of(module: str, description: str | None) -> argparse.ArgumentParser:
    """Make a parser with the options of every program.

    Args:
        module: Name of the program's module, for ``python -m``.
        description: Text of the help, shown without reformatting: the module's docstring.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    data = os.environ.get("SENTISTREAM_DATA")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(data) if data else None,
        required=not data,
        help="folder of the corpora (mosi/, meld/, ravdess/, voices/); default: $SENTISTREAM_DATA",
    )
    parser.add_argument(
        "--runs", type=Path, help="folder of checkpoints and numbers; default: runs/ of the checkout, runs/quick with --quick"
    )
    return parser


def folders_of(options: argparse.Namespace) -> Folders:
    """The folders that the options name."""
    return Folders(options.data, options.runs or (RUNS / "quick" if options.quick else RUNS), REPOSITORY)


def progress_bars() -> Progress:
    """Progress bars on standard error, so that standard output has only results."""
    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console)


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """End the program with one sentence for an error that the user can fix."""
    try:
        yield
    except (TrainingError, OSError) as error:
        console.print(str(error), style="red")
        sys.exit(EXIT_USAGE)
