"""What the product says of an ordinary service call.

    python -m benchmarks.call [--file MEDIA] [--transcript FILE] [--channels agent,caller] [--turns CSV]

The file goes through the running product (an embedded stack with a worker) as `sentistream produce --speed max` sends it, with a track for
each channel and with recognised words. Without options this is the call of the corpora, with its machine-made transcript. ``--turns`` names
the turns that somebody has labelled: benchmarks/call_runs/call_autorepairs_40.csv has those of this call (times, kinds and labels by one
reader; no words). Any file with a speaker on each channel can be given. Without a transcript, speech recognition gives the words.

Progress goes to stderr; the last line of stdout is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.call_runs.measures import ROUTINE, ScoredWindow, Turn, answer_to, measures, read_turns
from benchmarks.call_runs.product import windows_of
from benchmarks.machine import machine, versions
from stream.media.errors import MediaError
from stream.produce.prepare import MediaRequest, prepare

CALL = Path("clips") / "call_autorepairs_40.flac"
TURNS = Path(__file__).parent / "call_runs" / "call_autorepairs_40.csv"

console = Console(stderr=True)


def transcript_beside(media: Path) -> Path | None:
    """The transcript of a file in the folder ``transcripts`` beside it, if there is one."""
    found = media.parent / "transcripts" / f"{media.stem}.vtt"
    return found if found.is_file() else None


def print_turns(windows: Sequence[ScoredWindow], turns: Sequence[Turn]) -> None:
    """Print the answer to each turn, with the reader's label."""
    table = Table("turn", "speaker", "kind", "reader", "product", "|words|", box=None, header_style="bold")
    for turn in turns:
        answer = answer_to(turn, windows)
        given = ("no answer", "") if answer is None else (answer.label, f"{answer.text_contribution:.2f}")
        mark = "" if turn.kind in ROUTINE else " *"
        table.add_row(f"{turn.start_ms / 1000:.1f}-{turn.end_ms / 1000:.1f}", turn.speaker, turn.kind + mark, turn.label, *given)
    console.print(table)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = os.environ.get("SENTISTREAM_DATA")
    parser.add_argument("--file", type=Path, help=f"the recording, by default {CALL} in SENTISTREAM_DATA")
    parser.add_argument("--transcript", type=Path, help="its words, by default those in transcripts/ beside it, or recognised ones")
    parser.add_argument("--channels", default="agent,caller", help="names of the speakers on the channels, by default agent,caller")
    parser.add_argument("--turns", type=Path, help="labelled turns; by default those of the call of the corpora")
    options = parser.parse_args()
    if options.file is None and data is None:
        parser.error("name a recording with --file, or the folder of the corpora with SENTISTREAM_DATA")
    file = options.file or Path(data or "") / CALL
    table = options.turns or (TURNS if file.name == CALL.name else None)
    try:
        turns = read_turns(table) if table else []
        names = tuple(name.strip() for name in options.channels.split(","))
        request = MediaRequest(file, options.transcript or transcript_beside(file), channels=names)
        with console.status("reading the file") as status:
            session = prepare(request, on_step=status.update)
            status.update("the call goes through the product")
            windows = asyncio.run(windows_of(session))
    except (MediaError, OSError, ValueError) as error:
        sys.exit(f"call: {error}")
    for notice in session.notices:
        console.print(f"note: {notice}", highlight=False, markup=False)
    print_turns(windows, turns)
    print(json.dumps({"file": file.name, **measures(windows, turns), "machine": machine(), "versions": versions("onnxruntime", "numpy")}))


if __name__ == "__main__":
    main()
