"""Reads a user's media file as pieces that are ready to be sent: the parent side, synchronous."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import msgspec
import numpy as np

from stream.domain.modality import Modality
from stream.media import messages
from stream.media.confine import child_environment
from stream.media.errors import SourceError
from stream.media.pcm import Samples

READER = (sys.executable, "-m", "stream.media.reader_child")

MEMORY_MB = 3072
"""Address space of the reader: enough for two open files of 4K film, while a broken file cannot fill the machine's memory."""

STALL_S = 60.0
"""Longest wait for the next piece. A second of 4K film takes a slow machine some seconds; longer than this is a hang."""

_REPLY: msgspec.msgpack.Decoder[messages.ReaderReply] = msgspec.msgpack.Decoder(messages.ReaderReply)


@dataclass(frozen=True, slots=True)
class SourcePiece:
    """At most a second of one stream of the file: a chunk's payload.

    Attributes:
        modality: Audio (s16le PCM, 16 kHz mono) or video (H.264 in fragmented MP4).
        channel: Audio channel from 0, or None for video and for the mix of all channels.
        start_ms: Media time of its first sample.
        duration_ms: 1 to 1,000.
        payload: The bytes.
    """

    modality: Modality
    channel: int | None
    start_ms: int
    duration_ms: int
    payload: bytes = field(repr=False)

    @property
    def end_ms(self) -> int:
        """Media time after its last sample."""
        return self.start_ms + self.duration_ms


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """The content of a file; `duration_ms` is None when its container does not state a duration."""

    duration_ms: int | None
    audio_channels: int
    has_video: bool


class MediaFile:
    """A media file that is read in a child process; a context manager.

    Attributes:
        info: The content of the file.
        damaged: True as soon as part of the file could not be decoded; final after the last piece.
    """

    info: MediaInfo

    def __init__(
        self, path: Path, *, split_channels: bool = False, audio: bool = True, video: bool = True, command: Sequence[str] = READER
    ) -> None:
        """Open the file.

        Args:
            path: Any video or audio file that FFmpeg reads.
            split_channels: Yield each audio channel separately instead of their mix.
            audio: Read the first audio stream.
            video: Read the first video stream.
            command: Program of the child; the memory limit is appended.

        Raises:
            SourceError: The file is missing or is not a media file.
        """
        if not path.is_file():
            raise SourceError(f"{path}: there is no such file")
        self._path = path
        self.damaged = False
        self._process = subprocess.Popen(
            [*command, str(MEMORY_MB)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child_environment(),
            # A session of its own: Ctrl-C in a terminal goes to the parent only, which ends the session properly.
            start_new_session=True,
        )
        try:
            self._ask(messages.OpenMedia(str(path.resolve()), split_channels, video, audio))
            reply, _ = self._next()
            if not isinstance(reply, messages.Opened) or not (reply.audio_channels or reply.has_video):
                raise SourceError(f"{path}: this is not a video or audio file that can be read")
        except BaseException:
            self.close()
            raise
        self.info = MediaInfo(reply.duration_ms, reply.audio_channels, reply.has_video)

    def pieces(self) -> Iterator[SourcePiece]:
        """The file's pieces in order of their ends. Can be iterated once.

        Raises:
            SourceError: Nothing in the file can be decoded. When only its end cannot be decoded, the pieces end early (see `damaged`).
        """
        count = 0
        while True:
            try:
                reply, body = self._next()
            except SourceError:
                self.damaged = True
                break
            if not isinstance(reply, messages.PieceHeader):
                self.damaged |= not (isinstance(reply, messages.Finished) and not reply.damaged)
                break
            count += 1
            yield SourcePiece(Modality(reply.modality), reply.channel, reply.start_ms, reply.duration_ms, body)
        if not count:
            raise SourceError(f"{self._path}: nothing in this file can be decoded; it may be cut off")

    def close(self) -> None:
        """End the child."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.wait()

    def __enter__(self) -> MediaFile:
        """The open file."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close."""
        self.close()

    def _ask(self, request: messages.OpenMedia) -> None:
        if self._process.stdin is None:
            raise SourceError("the reader process has no input")
        # A child that died already is noticed by the next read, which names the file.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(messages.pack(request))
            self._process.stdin.flush()

    def _next(self) -> tuple[messages.ReaderReply, bytes]:
        """The child's next message.

        Reading a pipe has no time-out: a timer kills the child after `STALL_S`, which ends the read.
        """
        if self._process.stdout is None:
            raise SourceError("the reader process has no output")
        alarm = threading.Timer(STALL_S, self._process.kill)
        alarm.start()
        try:
            message = messages.read_message(self._process.stdout)
            if message is None:
                raise SourceError(f"{self._path}: reading ended early; the file may be damaged")
            return _REPLY.decode(message[0]), message[1]
        except (messages.ProtocolError, msgspec.DecodeError):
            raise SourceError(f"{self._path}: reading failed; the file may be damaged") from None
        finally:
            alarm.cancel()


def read_audio(path: Path, *, split_channels: bool = False) -> list[Samples]:
    """All of a file's audio as (n,) int16 arrays, 16 kHz: an array for each channel, or one for their mix. Raises `SourceError`."""
    payloads: dict[int, list[bytes]] = {}
    with MediaFile(path, split_channels=split_channels, video=False) as media:
        if not media.info.audio_channels:
            return []
        for piece in media.pieces():
            payloads.setdefault(piece.channel or 0, []).append(piece.payload)
    return [np.frombuffer(b"".join(payloads[channel]), "<i2").astype(np.int16, copy=False) for channel in sorted(payloads)]
