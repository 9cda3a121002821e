"""The process that reads a user's media file: ``python -m stream.media.reader_child MEMORY_MB``.

A damaged file can crash a decoder and the interpreter with it. Here the crash costs this process only. The process reads one
`OpenMedia` or `SurveyMedia`, writes the file's pieces to standard output and ends when it is done or when the parent closes the pipe (see
`stream.media.messages`).
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable

import av
import av.logging
import msgspec

from stream.media import messages
from stream.media.confine import confine
from stream.media.media_info import UnreadableReason
from stream.media.probe import Unusable
from stream.media.reader import FileReader
from stream.media.surveyor import survey_file

KEEP_ALIVE_S = 5.0
"""The parent is told this often that packets are still read: hours of them may come before the next piece."""

_REQUEST: msgspec.msgpack.Decoder[messages.ReaderRequest] = msgspec.msgpack.Decoder(messages.ReaderRequest)


def main() -> None:
    """Confine the process, then read one file."""
    # No log lines of FFmpeg: they quote the media they are about.
    av.logging.set_level(None)
    # The kernel's signal for a dead parent would come as soon as the parent's *thread* ends, and producers open files in short-lived
    # threads. The end of standard input tells the same without that fault.
    confine(int(sys.argv[1]), parent_pid=None)
    message = messages.read_message(sys.stdin.buffer)
    if message is None:
        return
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    try:
        request = _REQUEST.decode(message[0])
        if isinstance(request, messages.SurveyMedia):
            _survey(request)
        else:
            _read(request)
    except Unusable as error:
        _send(messages.Unreadable(error.reason))
    except (av.FFmpegError, OSError, ValueError, EOFError):
        _send(messages.Unreadable(UnreadableReason.NOT_MEDIA))


def _exit_with_parent() -> None:
    # Reads the raw descriptor: a thread that waits inside sys.stdin would hold its lock when the interpreter ends.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)


def _send(header: msgspec.Struct, body: bytes = b"") -> None:
    sys.stdout.buffer.write(messages.pack(header, body))
    sys.stdout.buffer.flush()


def _read(request: messages.OpenMedia) -> None:
    reader = FileReader(os.fsdecode(request.path), request.selection, request.quality, _keep_alive())
    _send(messages.Opened(reader.info, reader.selection))
    for piece in reader.pieces():
        _send(messages.PieceHeader(piece.modality, piece.source, piece.start_ms, piece.duration_ms), piece.payload)
    _send(messages.Finished(reader.report()))


def _survey(request: messages.SurveyMedia) -> None:
    _send(messages.Surveyed(survey_file(os.fsdecode(request.path), _keep_alive())))


def _keep_alive() -> Callable[[], None]:
    """A function to call for each packet: it tells the parent now and then that the work goes on."""
    last_s = time.monotonic()

    def on_packet() -> None:
        nonlocal last_s
        if (now_s := time.monotonic()) - last_s > KEEP_ALIVE_S:
            last_s = now_s
            _send(messages.Working())

    return on_packet


if __name__ == "__main__":
    main()
