"""The process that decodes hostile media: ``python -m stream.media.decoder_child MEMORY_MB PARENT_PID``.

Reads requests from standard input and writes replies to standard output until the input ends (see `stream.media.messages`).
"""

from __future__ import annotations

import sys
from typing import BinaryIO

import av.logging
import msgspec

from stream.config.allocator import keep_freed_memory
from stream.media import messages
from stream.media.confine import confine
from stream.media.decode import decode_audio, sample_frames
from stream.media.errors import MediaError
from stream.media.face_detector import FaceDetector
from stream.media.face_search import FaceSearch

_REQUEST = msgspec.msgpack.Decoder(messages.DecoderRequest)


def main() -> None:
    """Confine the process, announce that it is ready, then answer until the parent closes the pipe."""
    keep_freed_memory()
    memory_mb, parent_pid = int(sys.argv[1]), int(sys.argv[2])
    # No log lines of FFmpeg: they quote the media they are about.
    av.logging.set_level(None)
    # The cascade is loaded before the limits apply: a confined process needs no further file.
    detector = FaceDetector()
    confine(memory_mb, parent_pid=parent_pid)
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    _send(replies, messages.pack(messages.Ready()))
    while (message := messages.read_message(requests)) is not None:
        header, body = message
        _send(replies, _answer(detector, _REQUEST.decode(header), body))


def _send(replies: BinaryIO, message: bytes) -> None:
    replies.write(message)
    replies.flush()


def _answer(detector: FaceDetector, request: messages.DecoderRequest, body: bytes) -> bytes:
    try:
        if isinstance(request, messages.DecodeAudio):
            return messages.pack(messages.Samples16k(), decode_audio(body, request.content_type).astype("<i2").tobytes())
        return _find_faces(detector, request, body)
    except MediaError as error:
        return messages.pack(messages.Refused(msgspec.convert(error.reason, messages.Reason)))
    except MemoryError:
        # The address-space limit refused an allocation: the chunk is too large, and the process is still sound.
        return messages.pack(messages.Refused("too_large"))


def _find_faces(detector: FaceDetector, request: messages.FindFaces, body: bytes) -> bytes:
    frames: list[messages.FrameBoxes] = []
    crops: list[bytes] = []
    search = FaceSearch(detector)
    for time_ms, picture in sample_frames(body, request.content_type, request.frames_per_second, request.max_pixels):
        faces = search.faces(picture)
        frames.append(messages.FrameBoxes(time_ms, tuple(face.box for face in faces)))
        crops += [face.crop.tobytes() for face in faces]
    return messages.pack(messages.FacesFound(tuple(frames)), b"".join(crops))


if __name__ == "__main__":
    main()
