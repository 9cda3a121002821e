"""Reads the chosen part of a file as pieces, and keeps account of it. The input is hostile: runs in the reader's child process only."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator

import av

from stream.domain.modality import Modality
from stream.media.film import film_pieces
from stream.media.frames import decoded
from stream.media.media_info import MediaInfo, MediaReport, Problem, Selection, StreamInfo, UnreadableReason
from stream.media.pieces import Piece, audio_pieces
from stream.media.probe import Unusable, probe
from stream.media.quality import VideoQuality
from stream.media.reading import StreamReading
from stream.media.samples import channel_levels


class FileReader:
    """Reads one file.

    Attributes:
        info: The content of the file.
        selection: What is read of it.
    """

    def __init__(self, path: str, selection: Selection | None, quality: VideoQuality, on_packet: Callable[[], None] | None = None) -> None:
        """Open the file and decode the beginning of what was chosen.

        Args:
            path: The file.
            selection: What to read; None for `MediaInfo.first`.
            quality: Size and rate of the pictures.
            on_packet: Called for each packet that is read.

        Raises:
            Unusable: Nothing of the selection can be decoded, or the file does not have all of it.
        """
        self._path = path
        self._quality = quality
        self._on_packet = on_packet
        self._probe = probe(path, on_packet)
        self.info = self._probe.info
        self.selection = selection if selection is not None else self.info.first()
        _check(self.selection, self.info)
        chosen = [stream for stream in (*self.info.audio, *self.info.video) if self._is_selected(stream)]
        self._readings = [StreamReading(stream, self._probe.times(stream.index), self._probe.cut_off) for stream in chosen]
        # Each stream has its own handle on the file, so that pieces come in order of media time however the file interleaves its streams.
        # With one handle, a file that stores its sound after its picture would have to be held in memory.
        self._pieces = [(next(pieces, None), pieces) for pieces in map(self._guarded, self._readings)]
        if all(first is None for first, _ in self._pieces):
            raise Unusable(UnreadableReason.NOTHING_DECODED)

    def pieces(self) -> Iterator[Piece]:
        """The pieces in order of their ends. Can be iterated once."""
        streams = [itertools.chain([first], rest) for first, rest in self._pieces if first is not None]
        return heapq.merge(*streams, key=lambda piece: piece.start_ms + piece.duration_ms)

    def report(self) -> MediaReport:
        """What came of each stream; final after the last piece."""
        return MediaReport(tuple(reading.report() for reading in self._readings))

    def _is_selected(self, stream: StreamInfo) -> bool:
        return stream.index == self.selection.video or any(source.stream == stream.index for source in self.selection.audio)

    def _guarded(self, reading: StreamReading) -> Iterator[Piece]:
        """The pieces of a stream; a fault in it does not end the reading of the others."""
        try:
            yield from self._pieces_of(reading)
        except (av.FFmpegError, OSError, ValueError, MemoryError):
            reading.note(Problem.DAMAGED)

    def _pieces_of(self, reading: StreamReading) -> Iterator[Piece]:
        stream, segments = reading.stream, self._probe.segments
        frames = decoded(self._path, segments, reading, self._on_packet)
        if stream.modality is Modality.VIDEO:
            return film_pieces(frames, reading, self._quality)
        sources = {source.channel: place for place, source in enumerate(self.selection.audio) if source.stream == stream.index}
        known = channel_levels(self._path, stream, segments) if None in sources and stream.channels > 1 else None
        return audio_pieces(frames, reading, sources, length_ms=self._probe.length_ms, known_levels=known)


def _check(selection: Selection, info: MediaInfo) -> None:
    """Raise `Unusable` unless the file has every stream and channel of the selection."""
    channels = {stream.index: stream.channels for stream in info.audio}
    audio_exists = all((source.channel or 0) < channels.get(source.stream, 0) for source in selection.audio)
    video_exists = selection.video is None or any(stream.index == selection.video for stream in info.video)
    if not audio_exists or not video_exists:
        raise Unusable(UnreadableReason.BAD_SELECTION)
