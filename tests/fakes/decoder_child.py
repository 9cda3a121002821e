"""A decoder process that misbehaves on request: ``python -m tests.fakes.decoder_child MEMORY_MB PARENT_PID``."""

from __future__ import annotations

import os
import sys
import time

from stream.media import messages


def main() -> None:
    """Say that the decoder is ready, then misbehave as the body of each request asks."""
    out = sys.stdout.buffer
    out.write(messages.pack(messages.Ready()))
    out.flush()
    while (message := messages.read_message(sys.stdin.buffer)) is not None:
        _, body = message
        if body == b"hang":
            time.sleep(3600)
        if body == b"crash":
            os.abort()
        out.write(_answer(body))
        out.flush()


def _answer(body: bytes) -> bytes:
    """The reply that a taken-over child might send; for any other body a good reply that repeats the body twice."""
    replies = {
        b"lengths": messages.LENGTHS.pack(2**31, 2**31),
        b"garbage": messages.LENGTHS.pack(4, 0) + b"\xc1\xc1\xc1\xc1",
        b"pickle": messages.LENGTHS.pack(5, 0) + b"\x80\x04N.\x00",
        b"odd": messages.pack(messages.Samples16k(), b"abc"),
        b"box": messages.pack(messages.FacesFound((messages.FrameBoxes(0, ((0.0, 0.0, 9.0, 1.0),)),)), bytes(48 * 48)),
        b"crop": messages.pack(messages.FacesFound((messages.FrameBoxes(0, ((0.0, 0.0, 1.0, 1.0),)),)), b"few"),
        b"reason": messages.LENGTHS.pack(28, 0) + b"\x82\xa4type\xa7refused\xa6reason\xa6secret\x00"[:28],
        b"pid": messages.pack(messages.Samples16k(), os.getpid().to_bytes(8, "little")),
    }
    return replies.get(body) or messages.pack(messages.Samples16k(), body * 2)


if __name__ == "__main__":
    main()
