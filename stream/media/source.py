"""Reads a user's media file as pieces that are ready to be sent: the parent side, synchronous."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import msgspec
import numpy as np

from stream.domain.media_format import MAX_CHUNK_MS
from stream.domain.modality import Modality
from stream.media import messages
from stream.media.confine import child_environment
from stream.media.errors import SourceError
from stream.media.file_problem import file_problem
from stream.media.media_info import UNREADABLE, AudioSource, MediaInfo, MediaReport, Problem, Selection, StreamReport, Survey
from stream.media.pcm import Samples
from stream.media.quality import VideoQuality

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
        source: What it is the sound of, or None for video.
        start_ms: Media time of its first sample.
        duration_ms: 1 to 1,000.
        payload: The bytes.
    """

    modality: Modality
    source: AudioSource | None
    start_ms: int
    duration_ms: int
    payload: bytes = field(repr=False)

    @property
    def end_ms(self) -> int:
        """Media time after its last sample."""
        return self.start_ms + self.duration_ms


class _Reader:
    """A child process that reads one file, and the messages to and from it."""

    def __init__(self, path: Path, command: Sequence[str]) -> None:
        problem = file_problem(path)
        if problem is not None:
            raise SourceError(f"{path}: {problem}")
        self._path = path
        self.process = subprocess.Popen(
            [*command, str(MEMORY_MB)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child_environment(),
            # A session of its own: Ctrl-C in a terminal goes to the parent only, which ends the session properly.
            start_new_session=True,
        )

    def ask(self, request: messages.ReaderRequest) -> messages.ReaderReply:
        """Send the request and return the first reply. Raises `SourceError` when nothing of the file can be used."""
        if self.process.stdin is None:
            raise SourceError("the reader process has no input")
        # A child that died already is noticed by the next read, which names the file.
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(messages.pack(request))
            self.process.stdin.flush()
        reply, _ = self.next()
        if isinstance(reply, messages.Unreadable):
            raise SourceError(f"{self._path}: {UNREADABLE[reply.reason]}")
        return reply

    def next(self) -> tuple[messages.ReaderReply, bytes]:
        """The child's next message with content. Raises `SourceError` when there is none.

        Reading a pipe has no time-out: a timer kills the child after `STALL_S`, which ends the read.
        """
        while isinstance((message := self._next())[0], messages.Working):
            pass
        return message

    def _next(self) -> tuple[messages.ReaderReply, bytes]:
        if self.process.stdout is None:
            raise SourceError("the reader process has no output")
        alarm = threading.Timer(STALL_S, self.process.kill)
        alarm.start()
        try:
            message = messages.read_message(self.process.stdout)
            if message is None:
                raise SourceError(f"{self._path}: reading ended early; the file may be damaged")
            return _REPLY.decode(message[0]), message[1]
        except (messages.ProtocolError, msgspec.DecodeError):
            raise SourceError(f"{self._path}: reading failed; the file may be damaged") from None
        finally:
            alarm.cancel()

    def close(self) -> None:
        """End the child."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self.process.wait()


class MediaFile:
    """A media file that is read in a child process; a context manager.

    Attributes:
        info: The content of the file.
        selection: What is read of it.
    """

    info: MediaInfo
    selection: Selection

    def __init__(
        self,
        path: Path,
        selection: Selection | None = None,
        quality: VideoQuality = VideoQuality.MODEL,
        *,
        command: Sequence[str] = READER,
    ) -> None:
        """Open the file.

        Args:
            path: Any video or audio file that FFmpeg reads.
            selection: The sounds and the picture to read; None for `MediaInfo.first`.
            quality: Size and rate of the pictures.
            command: Program of the child; the memory limit is appended.

        Raises:
            SourceError: The file is missing, or nothing of it can be used; the message says why.
        """
        self._reader = _Reader(path, command)
        try:
            reply = self._reader.ask(messages.OpenMedia(os.fsencode(path.resolve()), selection, quality))
            if not isinstance(reply, messages.Opened):
                raise SourceError(f"{path}: reading failed; the file may be damaged")
        except BaseException:
            self.close()
            raise
        self.info, self.selection = reply.info, reply.selection
        self._sent_ms: dict[int, int] = defaultdict(int)
        # Several channels of a stream are one stream: the first of them counts.
        self._counted = {source.stream: source for source in reversed(self.selection.audio)}
        self._final: MediaReport | None = None

    @property
    def report(self) -> MediaReport:
        """What came of each stream so far; final after the last piece."""
        return self._final or self._partial_report(())

    def pieces(self) -> Iterator[SourcePiece]:
        """The file's pieces in order of their ends. Can be iterated once. They end early when the reader process does (see `report`)."""
        try:
            while isinstance((message := self._reader.next())[0], messages.PieceHeader):
                yield self._piece(*message)
        except SourceError:
            self._final = self._partial_report((Problem.DAMAGED,))
            return
        if isinstance(message[0], messages.Finished):
            self._final = message[0].report
        else:
            self._final = self._partial_report((Problem.DAMAGED,))

    def close(self) -> None:
        """End the child."""
        self._reader.close()

    def __enter__(self) -> MediaFile:
        """The open file."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close."""
        self.close()

    def _piece(self, header: messages.ReaderReply, body: bytes) -> SourcePiece:
        if not isinstance(header, messages.PieceHeader) or not (header.start_ms >= 0 and 0 < header.duration_ms <= MAX_CHUNK_MS):
            raise SourceError("the reader process sent a piece that cannot be")
        source: AudioSource | None = None
        if header.source is not None:
            if header.source >= len(self.selection.audio):
                raise SourceError("the reader process sent a piece that was not asked for")
            source = self.selection.audio[header.source]
        stream = source.stream if source is not None else self.selection.video
        if stream is not None and (source is None or self._counted[stream] == source):
            self._sent_ms[stream] += header.duration_ms
        return SourcePiece(Modality(header.modality), source, header.start_ms, header.duration_ms, body)

    def _partial_report(self, problems: tuple[Problem, ...]) -> MediaReport:
        """What is known when the reading has not reached its end."""
        chosen = {source.stream for source in self.selection.audio} | {self.selection.video}
        streams = (stream for stream in (*self.info.audio, *self.info.video) if stream.index in chosen)
        reports = (StreamReport(stream, stream.announced_ms, self._sent_ms[stream.index], problems=problems) for stream in streams)
        return MediaReport(tuple(reports))


def survey(path: Path, *, command: Sequence[str] = READER) -> Survey:
    """Take samples of every stream of a file, to find those with a voice or a face.

    Args:
        path: Any video or audio file that FFmpeg reads.
        command: Program of the child; the memory limit is appended.

    Raises:
        SourceError: The file is missing, or nothing of it can be used; the message says why.
    """
    reader = _Reader(path, command)
    try:
        reply = reader.ask(messages.SurveyMedia(os.fsencode(path.resolve())))
    finally:
        reader.close()
    if not isinstance(reply, messages.Surveyed):
        raise SourceError(f"{path}: reading failed; the file may be damaged")
    return reply.survey


@dataclass(frozen=True, slots=True)
class AudioRun:
    """Sound without a gap.

    Attributes:
        start_ms: Media time of its first sample.
        samples: (n,) int16, 16 kHz mono.
    """

    start_ms: int
    samples: Samples


def read_audio(path: Path, sources: Sequence[AudioSource]) -> list[tuple[AudioRun, ...]]:
    """All of a file's sound: the runs of each source, in order. Long gaps of its clock, such as a hold, divide runs.

    Args:
        path: The file.
        sources: The sounds to read.

    Raises:
        SourceError: Nothing of the file can be used.
    """
    payloads: dict[AudioSource, list[SourcePiece]] = {source: [] for source in sources}
    with MediaFile(path, Selection(tuple(sources))) as media:
        for piece in media.pieces():
            if piece.source is not None:
                payloads[piece.source].append(piece)
    return [tuple(_runs(payloads[source])) for source in sources]


def _runs(pieces: Sequence[SourcePiece]) -> Iterator[AudioRun]:
    start = 0
    for index in range(1, len(pieces) + 1):
        if index == len(pieces) or pieces[index].start_ms > pieces[index - 1].end_ms:
            payload = b"".join(piece.payload for piece in pieces[start:index])
            yield AudioRun(pieces[start].start_ms, np.frombuffer(payload, "<i2").astype(np.int16, copy=False))
            start = index
