"""JSON of a user's file, as recognisers write it: one document, several in a row, or one for each line."""

from __future__ import annotations

import json
import re
from typing import Any

from stream.media.errors import TranscriptError

_BLANK = re.compile(r"[\s,\x1e]*")


def parse_json(text: str) -> Any:
    """The document; a list of them if there are several. NaN and Infinity are None: some tools write them for what they do not know.

    Raises:
        TranscriptError: The text is not JSON, names a key twice in one object, or is nested too deeply. The message does not quote it.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=lambda _: None)
    documents = []
    position = _skip(text, 0)
    try:
        while position < len(text):
            document, position = decoder.raw_decode(text, position)
            documents.append(document)
            position = _skip(text, position)
    except json.JSONDecodeError as error:
        raise TranscriptError("the file is not valid JSON", error.lineno) from None
    except RecursionError:
        raise TranscriptError("the file is nested too deeply") from None
    except ValueError:
        # Python refuses to read a whole number of thousands of digits.
        raise TranscriptError("a number in the file is too large") from None
    if not documents:
        raise TranscriptError("the file is empty")
    return documents[0] if len(documents) == 1 else documents


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object. Of two values under one key, each reader takes another: no words may go missing by that."""
    values = dict(pairs)
    if len(values) < len(pairs):
        raise TranscriptError("an object in the file names a key twice")
    return values


def _skip(text: str, position: int) -> int:
    found = _BLANK.match(text, position)
    return found.end() if found else position
