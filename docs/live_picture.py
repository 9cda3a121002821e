"""Draws the README's picture of the live table from the records of a real run.

``sentistream demo --json | python docs/live_picture.py docs/live.svg [WINDOWS]`` draws the table as it was after WINDOWS final windows,
or after the whole run if WINDOWS is not given. The picture loads no fonts from the network.
"""

from __future__ import annotations

import re
import sys

import msgspec
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from stream.cli.live_view import LiveView
from stream.domain.result import ScoreRecord, decode_record


def main(target: str, windows: int) -> None:
    """Read records from standard input and write the picture to ``target``."""
    view = LiveView()
    for line in sys.stdin:
        try:
            record = decode_record(line)
        except msgspec.ValidationError:  # the last line is the summary of the run, which is not a record
            continue
        if view.finals >= windows and isinstance(record, ScoreRecord):
            break
        view.add(record)
    console = Console(record=True, width=132, file=sys.stderr)
    console.print(view)
    without_fonts = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    console.save_svg(target, title="sentistream demo", code_format=without_fonts)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10_000)
