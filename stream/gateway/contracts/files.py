"""The files that hold the contracts: those under ``docs/contracts``, which the gateway serves, too."""

from __future__ import annotations

import json

from stream.gateway.contracts.asyncapi import asyncapi
from stream.gateway.contracts.catalogue import schemas


def contract_files() -> dict[str, bytes]:
    """The content of each file by its path. The same types give the same bytes."""
    documents = {f"schemas/{name}.json": schema for name, schema in schemas().items()} | {"asyncapi.json": asyncapi()}
    return {path: json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n" for path, document in documents.items()}
