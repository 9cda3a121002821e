"""Reads the variables of a CTranslate2 model file (``model.bin``), version 6 of its format.

After the version, the name and the revision of the model's specification come the variables: name, shape, data type, number of bytes,
values. Integers are little-endian; a string has its length with the final zero before it.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FORMAT_VERSION = 6

_DTYPES: tuple[npt.DTypeLike, ...] = (np.float32, np.int8, np.int16, np.int32, np.float16)
"""By the number of a data type in the file."""


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._position = 0

    def integer(self, kind: str) -> int:
        (value,) = struct.unpack_from(f"<{kind}", self._content, self._position)
        self._position += struct.calcsize(f"<{kind}")
        return int(value)

    def raw(self, size: int) -> memoryview:
        start, self._position = self._position, self._position + size
        return memoryview(self._content)[start : self._position]

    def string(self) -> str:
        return bytes(self.raw(self.integer("H"))).rstrip(b"\0").decode()


def read_variables(file: Path, prefix: str = "") -> dict[str, npt.NDArray[Any]]:
    """The variables whose names begin with a prefix, by the rest of their names; the arrays are read-only.

    Raises:
        ValueError: The file has another version of the format.
        OSError: The file cannot be read.
    """
    reader = _Reader(file.read_bytes())
    version = reader.integer("I")
    if version != FORMAT_VERSION:
        raise ValueError(f"version {version} of CTranslate2's format, not {FORMAT_VERSION}")
    reader.string()
    reader.integer("I")
    variables = {}
    for _ in range(reader.integer("I")):
        name = reader.string()
        shape = tuple(reader.integer("I") for _ in range(reader.integer("B")))
        dtype = np.dtype(_DTYPES[reader.integer("B")])
        values = reader.raw(reader.integer("I"))
        if name.startswith(prefix):
            variables[name.removeprefix(prefix)] = np.frombuffer(values, dtype).reshape(shape)
    return variables
