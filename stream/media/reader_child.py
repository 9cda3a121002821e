"""The process that reads a user's media file: ``python -m stream.media.reader_child MEMORY_MB``.

A damaged file can crash a decoder and the interpreter with it. Here the crash costs this process only. The process reads one
`OpenMedia`, writes the file's pieces to standard output and ends when it is done or when the parent closes the pipe (see
`stream.media.messages`).
"""

from __future__ import annotations

import heapq
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import av
import av.logging
import msgspec

from stream.media import messages
from stream.media.confine import confine
from stream.media.pieces import Piece, audio_pieces, video_pieces

_REQUEST = msgspec.msgpack.Decoder(messages.OpenMedia)


class Damage:
    """Remembers whether part of the file could not be decoded."""

    def __init__(self) -> None:
        self.found = False

    def note(self) -> None:
        """Remember that part of the file could not be decoded."""
        self.found = True


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
        _read(_REQUEST.decode(message[0]))
    except (av.FFmpegError, OSError, ValueError, EOFError):
        _send(messages.Unreadable())


def _exit_with_parent() -> None:
    # Reads the raw descriptor: a thread that waits inside sys.stdin would hold its lock when the interpreter ends.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)


def _send(header: msgspec.Struct, body: bytes = b"") -> None:
    sys.stdout.buffer.write(messages.pack(header, body))
    sys.stdout.buffer.flush()


def _open(path: str) -> Any:
    # Playlists and some containers name other inputs: with this they cannot make FFmpeg open network connections.
    return av.open(path, mode="r", options={"protocol_whitelist": "file"})


def _read(request: messages.OpenMedia) -> None:
    with _open(request.path) as probe:
        audio = [stream for stream in probe.streams.audio if stream.codec_context is not None]
        video = [stream for stream in probe.streams.video if stream.codec_context is not None and not _is_cover(stream)]
        duration_ms = round(probe.duration / 1000) if probe.duration else None
        # Many containers, MPEG-TS for one, do not start at 0.
        origin_s = (probe.start_time or 0) / av.time_base
        channels = audio[0].codec_context.channels if audio else 0
        audio_index = audio[0].index if audio and request.audio else None
        video_index = video[0].index if video and request.video else None
    _send(messages.Opened(duration_ms, channels, bool(video)))
    damage = Damage()
    streams: list[Iterator[Piece]] = []
    if audio_index is not None:
        sound = _open(request.path)
        streams.append(
            audio_pieces(sound, audio_index, origin_s, length_ms=duration_ms, split=request.split_channels, on_damage=damage.note)
        )
    if video_index is not None:
        streams.append(video_pieces(_open(request.path), video_index, origin_s, damage.note))
    # Each stream has its own handle on the file, so that pieces come in order of media time however the file interleaves its streams.
    # With one handle, a file that stores its sound after its picture would have to be held in memory.
    for piece in heapq.merge(*streams, key=lambda piece: piece.start_ms + piece.duration_ms):
        _send(messages.PieceHeader(piece.modality, piece.channel, piece.start_ms, piece.duration_ms), piece.payload)
    _send(messages.Finished(damage.found))


def _is_cover(stream: Any) -> bool:
    """True for the cover picture of a music file, which its container lists as a video stream."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


if __name__ == "__main__":
    main()
