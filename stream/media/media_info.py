"""What a media file holds, which part of it is read, and what came of it: values without I/O, for the reader and its child process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

import msgspec

from stream.domain.modality import Modality

MAX_STREAMS = 64
"""Streams of a file that are looked at. A file with more is hostile or a playlist of renditions."""

MAX_TEXT = 120
"""Characters of a title, layout or codec name that the child may send."""

Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0)]
StreamIndex = Annotated[int, msgspec.Meta(ge=0)]

LOSS_TOLERANCE_MS = 250
"""A smaller difference between what a stream announces and what came out is no loss: containers round, and codecs pad and prime."""


class Problem(StrEnum):
    """Something about a file that its owner should know. `PROBLEMS` has a sentence for each."""

    CUT_OFF = "cut_off"
    DAMAGED = "damaged"
    CLOCK_RESTARTED = "clock_restarted"
    CLOCK_JUMPED = "clock_jumped"
    CLOCK_STOPPED = "clock_stopped"
    LONG_GAP = "long_gap"
    PARAMETERS_CHANGED = "parameters_changed"
    CHANNELS_INVERTED = "channels_inverted"
    DEAD_CHANNEL = "dead_channel"
    TOO_MANY_CHANNELS = "too_many_channels"
    CHANNEL_ENDED = "channel_ended"
    NOTHING_DECODED = "nothing_decoded"


PROBLEMS: Mapping[Problem, str] = {
    Problem.CUT_OFF: "the file ends before the end that it announces",
    Problem.DAMAGED: "some of it could not be decoded",
    Problem.CLOCK_RESTARTED: "its clock starts again on the way: what follows was sent without a gap",
    Problem.CLOCK_JUMPED: "its clock jumps further than a pause can last: what follows was sent without a gap",
    Problem.CLOCK_STOPPED: "its clock stands still: its parts were sent one after the other",
    Problem.LONG_GAP: "its clock runs on for more than a minute without any media: nothing is sent for this time",
    Problem.PARAMETERS_CHANGED: "its sample rate, channels or picture size change on the way: all of it was read",
    Problem.CHANNELS_INVERTED: "two channels are the same sound with opposite sign: one was turned over, so that they do not cancel out",
    Problem.DEAD_CHANNEL: "some of its channels are silent: the mix was made of the others",
    Problem.TOO_MANY_CHANNELS: "it has more channels than a known layout: the mix was made of all of them alike",
    Problem.CHANNEL_ENDED: "a channel that was asked for is missing in a part of the stream",
    Problem.NOTHING_DECODED: "nothing of it could be decoded",
}
"""A plain sentence for each problem; "it" is the stream."""

_LOSSES = frozenset({Problem.CUT_OFF, Problem.DAMAGED, Problem.CHANNEL_ENDED, Problem.NOTHING_DECODED})


class UnreadableReason(StrEnum):
    """Why nothing of a file can be used. `UNREADABLE` has a sentence for each."""

    EMPTY = "empty"
    NO_HEADER = "no_header"
    NOT_MEDIA = "not_media"
    CUT_OFF = "cut_off"
    NO_STREAMS = "no_streams"
    NO_DECODER = "no_decoder"
    ENCRYPTED = "encrypted"
    TOO_MANY_CHANNELS = "too_many_channels"
    NOTHING_DECODED = "nothing_decoded"
    BAD_SELECTION = "bad_selection"


UNREADABLE: Mapping[UnreadableReason, str] = {
    UnreadableReason.EMPTY: "the file is empty",
    UnreadableReason.NO_HEADER: "these are samples without a header, which does not say their rate: convert them to WAV, for example with "
    "ffmpeg -f s16le -ar 8000 -ac 1 -i FILE call.wav",
    UnreadableReason.NOT_MEDIA: "this is not a video or audio file that can be read, nor does its name end like that of a transcript "
    "(.vtt, .srt, .json and others)",
    UnreadableReason.CUT_OFF: "the file is cut off before the index or header without which it cannot be read: the recording was not "
    "finished, or not copied whole",
    UnreadableReason.NO_STREAMS: "the file holds neither sound nor pictures",
    UnreadableReason.NO_DECODER: "there is no decoder for what the file holds; convert it, for example to WAV or MP4",
    UnreadableReason.ENCRYPTED: "the file is encrypted; decrypt it first",
    UnreadableReason.TOO_MANY_CHANNELS: "the sound has more than 64 channels",
    UnreadableReason.NOTHING_DECODED: "nothing in this file can be decoded: it holds a header without usable media",
    UnreadableReason.BAD_SELECTION: "the file does not have the stream or channel that was asked for",
}
"""A plain sentence for each reason."""


class Content(StrEnum):
    """What was found in the samples that a survey took of a stream."""

    VOICE = "voice"
    SOUND = "sound"
    SILENT = "silent"
    FACE = "face"
    PICTURE = "picture"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """A stream that can be decoded.

    Attributes:
        index: Its number in the file, from 0, counted over streams of every kind.
        modality: Audio or video.
        codec: FFmpeg's name of its codec, such as ``aac``.
        channels: Audio channels; 0 for video.
        layout: FFmpeg's name of the channel layout, such as ``stereo`` or ``5.1``; "" for video.
        title: The title in its tags, or "".
        language: The language in its tags, or "".
        announced_ms: Its length as the container states it, or None.
    """

    index: StreamIndex
    modality: Modality
    codec: Text
    channels: Annotated[int, msgspec.Meta(ge=0, le=1024)] = 0
    layout: Text = ""
    title: Text = ""
    language: Text = ""
    announced_ms: Milliseconds | None = None


@dataclass(frozen=True, slots=True)
class UnusableStream:
    """An audio or video stream that cannot be decoded, and why."""

    index: StreamIndex
    modality: Modality
    codec: Text
    reason: Text


@dataclass(frozen=True, slots=True)
class AudioSource:
    """Sound to read: one channel of a stream, or the mix of all its channels.

    Attributes:
        stream: `StreamInfo.index`.
        channel: Number of the channel from 0, or None for the mix.
    """

    stream: StreamIndex
    channel: Annotated[int, msgspec.Meta(ge=0)] | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """The part of a file to read. The sources come out as pieces of their own: one mix, channels apart, or streams apart.

    Attributes:
        audio: Sounds.
        video: `StreamInfo.index` of the video stream, or None for no picture.
    """

    audio: Annotated[tuple[AudioSource, ...], msgspec.Meta(max_length=MAX_STREAMS)] = ()
    video: StreamIndex | None = None


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """The content of a file.

    Attributes:
        duration_ms: Length as far as it is known before reading, or None.
        audio: Audio streams in the order of the file.
        video: Video streams in the order of the file, without cover pictures.
        unusable: Audio and video streams that cannot be decoded.
    """

    duration_ms: Milliseconds | None
    audio: Annotated[tuple[StreamInfo, ...], msgspec.Meta(max_length=MAX_STREAMS)] = ()
    video: Annotated[tuple[StreamInfo, ...], msgspec.Meta(max_length=MAX_STREAMS)] = ()
    unusable: Annotated[tuple[UnusableStream, ...], msgspec.Meta(max_length=MAX_STREAMS)] = ()

    def first(self) -> Selection:
        """The mix of the first audio stream, and the first video stream."""
        return Selection(tuple(AudioSource(stream.index) for stream in self.audio[:1]), self.video[0].index if self.video else None)


@dataclass(frozen=True, slots=True)
class Survey:
    """What a file holds, and what samples of its streams show.

    Attributes:
        info: The content of the file.
        contents: What was found in each stream, by `StreamInfo.index`. Of very many streams, the last may be missing.
    """

    info: MediaInfo
    contents: Mapping[int, Content] = field(default_factory=dict)

    def best_audio(self) -> StreamInfo | None:
        """The first audio stream with a voice; else the first that is not silent; else the first."""
        return self._best(self.info.audio, (Content.VOICE, Content.SOUND, Content.SILENT))

    def best_video(self) -> StreamInfo | None:
        """The first video stream that shows a face; else the first that shows anything."""
        return self._best(self.info.video, (Content.FACE, Content.PICTURE))

    def _best(self, streams: tuple[StreamInfo, ...], order: tuple[Content, ...]) -> StreamInfo | None:
        for content in order:
            for stream in streams:
                if self.contents.get(stream.index) is content:
                    return stream
        return streams[0] if streams else None


@dataclass(frozen=True, slots=True)
class StreamReport:
    """What came of one stream.

    Attributes:
        stream: The stream.
        announced_ms: Media time that it announces: its length in the container's header where that is stated, else the end of its last
            packet; None when neither is known.
        sent_ms: Media that came out as pieces, and for video the time in between in which the picture before is shown. Several channels of
            a stream count once.
        gap_ms: Time in which its clock runs on without any packet, such as a hold. It is no loss.
        lost_ms: `announced_ms` without `sent_ms` and `gap_ms`, or 0 below `LOSS_TOLERANCE_MS`.
        problems: What its owner should know, each once, in the order of `Problem`.
    """

    stream: StreamInfo
    announced_ms: Milliseconds | None
    sent_ms: Milliseconds
    gap_ms: Milliseconds = 0
    lost_ms: Milliseconds = 0
    problems: Annotated[tuple[Problem, ...], msgspec.Meta(max_length=len(Problem))] = ()

    @property
    def damaged(self) -> bool:
        """Some of it is missing in what was sent."""
        return self.lost_ms > 0 or not _LOSSES.isdisjoint(self.problems)

    def sentences(self) -> Iterator[str]:
        """What to tell the user: one plain sentence for each problem."""
        for problem in self.problems:
            yield PROBLEMS[problem]


@dataclass(frozen=True, slots=True)
class MediaReport:
    """What came of every stream that was read.

    Attributes:
        streams: One report for each stream that was read, audio first.
    """

    streams: Annotated[tuple[StreamReport, ...], msgspec.Meta(max_length=MAX_STREAMS + 1)] = ()

    @property
    def damaged(self) -> bool:
        """Some of the file is missing in what was sent."""
        return any(report.damaged for report in self.streams)
