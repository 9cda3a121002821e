"""Names of headers that are not UTF-8, as clients send them that do not check names."""

from __future__ import annotations


class NotUtf8(str):
    """A name that kafka-python writes as bytes that are not UTF-8."""

    __slots__ = ()

    def encode(self, _encoding: str = "utf-8", _errors: str = "strict") -> bytes:
        return b"\xff\xfe" + super().encode("ascii")
