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
from pathlib import Path
from typing import Any

import av
import av.logging
import msgspec

from stream.domain.modality import Modality
from stream.media import messages
from stream.media.confine import confine
from stream.media.headerless import is_raw, open_headerless
from stream.media.media_info import MediaInfo, MediaReport, Selection, StreamInfo, Survey, UnreadableReason
from stream.media.pieces import Piece, audio_pieces, video_pieces
from stream.media.probe import Unusable, media_info
from stream.media.reading import StreamReading

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


def _open(path: str) -> Any:
    # Playlists and some containers name other inputs: with this they cannot make FFmpeg open network connections.
    options = {"protocol_whitelist": "file"}
    headerless = open_headerless(Path(path), options)
    return headerless if headerless is not None else av.open(path, mode="r", options=options)


def _probe(path: str) -> tuple[MediaInfo, float]:
    """The content of the file, and the container time that is media time 0. Raises `Unusable`."""
    if not os.path.getsize(path):
        raise Unusable(UnreadableReason.EMPTY)
    if is_raw(Path(path)):
        raise Unusable(UnreadableReason.NO_HEADER)
    with _open(path) as container:
        info = media_info(container)
        # Many containers, MPEG-TS for one, do not start at 0.
        origin_s = (container.start_time or 0) / av.time_base
    if not info.audio and not info.video:
        raise Unusable(UnreadableReason.NO_DECODER if info.unusable else UnreadableReason.NO_STREAMS)
    return info, origin_s


def _check(selection: Selection, info: MediaInfo) -> None:
    """Raise `Unusable` unless the file has every stream and channel of the selection."""
    channels = {stream.index: stream.channels for stream in info.audio}
    audio_exists = all((source.channel or 0) < channels.get(source.stream, 0) for source in selection.audio)
    video_exists = selection.video is None or any(stream.index == selection.video for stream in info.video)
    if not audio_exists or not video_exists:
        raise Unusable(UnreadableReason.BAD_SELECTION)


def _is_selected(stream: StreamInfo, selection: Selection) -> bool:
    return stream.index == selection.video or any(source.stream == stream.index for source in selection.audio)


def _survey(request: messages.SurveyMedia) -> None:
    info, _ = _probe(request.path)
    _send(messages.Surveyed(Survey(info)))


def _read(request: messages.OpenMedia) -> None:
    info, origin_s = _probe(request.path)
    selection = request.selection if request.selection is not None else info.first()
    _check(selection, info)
    _send(messages.Opened(info, selection))
    readings = [StreamReading(stream) for stream in (*info.audio, *info.video) if _is_selected(stream, selection)]
    pieces: list[Iterator[Piece]] = []
    # Each stream has its own handle on the file, so that pieces come in order of media time however the file interleaves its streams.
    # With one handle, a file that stores its sound after its picture would have to be held in memory.
    for reading in readings:
        container = _open(request.path)
        if reading.stream.modality is Modality.VIDEO:
            pieces.append(video_pieces(container, reading, origin_s))
        else:
            channels = {source.channel: place for place, source in enumerate(selection.audio) if source.stream == reading.stream.index}
            pieces.append(audio_pieces(container, reading, origin_s, length_ms=info.duration_ms, channels=channels))
    for piece in heapq.merge(*pieces, key=lambda piece: piece.start_ms + piece.duration_ms):
        _send(messages.PieceHeader(piece.modality, piece.source, piece.start_ms, piece.duration_ms), piece.payload)
    _send(messages.Finished(MediaReport(tuple(reading.report() for reading in readings))))


if __name__ == "__main__":
    main()
