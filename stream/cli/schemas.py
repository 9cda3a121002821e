"""`sentistream schemas`: writes the contracts of all records as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream.cli.errors import CommandError, friendly_errors


@friendly_errors()
def schemas(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write to; it is created.")] = Path("docs/contracts"),
) -> None:
    """Write the JSON Schemas of all records and the AsyncAPI document.

    Use them to check what your own producer sends, or to make types in another language. The gateway serves the same files.

    Example: `sentistream schemas --out contracts`
    """
    from stream.gateway.contracts.files import contract_files  # noqa: PLC0415 - heavy imports stay out of --help

    files = contract_files()
    try:
        for name, content in files.items():
            file = out / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    except OSError as error:
        raise CommandError(f"{out}: cannot be written: {error.strerror}") from None
    typer.secho(f"Wrote {len(files)} files to {out}", fg="green", err=True)
