"""Reads server-sent events from pieces of bytes, as the HTML standard describes them. Pure: the caller reads the connection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stream.client.errors import GatewayError

LARGEST_EVENT = 32 * 1024 * 1024
"""Bytes. A batch of 2,000 sessions has about 4 MB."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event.

    Attributes:
        name: Its kind; ``message`` if the server does not say.
        data: Its lines, joined.
        id: The last position that the server has named, with this event or before it; empty if none.
    """

    name: str
    data: bytes
    id: str


class EventParser:
    """Takes pieces of a stream and returns complete events.

    Attributes:
        retry_ms: Pause before a reconnection that the server asks for; None if it does not.
    """

    def __init__(self) -> None:
        self.retry_ms: int | None = None
        self._rest = bytearray()
        self._searched = 0
        self._first = True
        self._id = ""
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that end in this piece. Raises `GatewayError` for an event that is too large."""
        self._rest += piece
        for line in self._lines():
            if line:
                self._field(line)
            elif (event := self._finish()) is not None:
                yield event
        if self._size + len(self._rest) > LARGEST_EVENT:
            raise GatewayError(f"The gateway sends an event of more than {LARGEST_EVENT // 1024 // 1024} MB: is this address a gateway?")

    def _lines(self) -> Iterator[bytes]:
        """The complete lines; they end in CR, LF or both. A CR at the very end may be followed by an LF in the next piece."""
        if self._first and len(self._rest) >= 3:
            self._first = False
            if self._rest.startswith(b"\xef\xbb\xbf"):
                del self._rest[:3]
        start = 0
        while True:
            line_feed = self._rest.find(b"\n", max(start, self._searched))
            carriage = self._rest.find(b"\r", max(start, self._searched), line_feed if line_feed >= 0 else len(self._rest))
            end = carriage if carriage >= 0 else line_feed
            if end < 0 or (carriage >= 0 and carriage + 1 == len(self._rest)):
                break
            line = bytes(self._rest[start:end])
            start = end + (2 if carriage >= 0 and self._rest[end + 1] == 0x0A else 1)
            self._searched = start
            yield line
        del self._rest[:start]
        self._searched = max(0, len(self._rest) - 1)

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value)
        elif name == b"event":
            self._name = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) <= 9:
            self.retry_ms = int(value)

    def _finish(self) -> Event | None:
        """The event that an empty line ends; None if it has no data."""
        event = Event(self._name or "message", b"\n".join(self._data), self._id) if self._data else None
        self._name, self._data, self._size = "", [], 0
        return event
