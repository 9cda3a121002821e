"""What a file holds and when: its streams, their clocks, and what it announces. The input is hostile: runs in the reader's child only."""

from __future__ import annotations

import contextlib
import os
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import av

from stream.domain.modality import Modality
from stream.domain.wording import printable
from stream.media import headers
from stream.media.container import only, open_media, packets
from stream.media.headerless import begins_like_media, is_open_playlist, is_raw
from stream.media.media_info import MAX_STREAMS, MAX_TEXT, MediaInfo, Problem, StreamInfo, UnreadableReason, UnusableStream
from stream.media.segments import Segment, SegmentFile, find_segments
from stream.media.timeline import PacketTimes, StreamTimes, TimelineBuilder
from stream.media.transport_stream import missing_packets

CLOCKLESS_FORMATS = frozenset({"mp3", "aac", "ac3", "eac3", "dts", "flac", "amr", "loas", "mlp", "truehd"})
"""Formats whose frames carry no times: FFmpeg counts, and miscounts where the sample rate changes."""

SAMPLE_COUNTS = frozenset({"wav", "w64", "aiff", "au", "caf", "flac", "mp3", "tta", "wv", "ape"})
FILE_LENGTHS = frozenset({"asf", "flv", "mxf", "matroska,webm"})
"""Formats whose header states the number of samples, or the length of the whole; MP4 states that of each track. The others state none: for
them, FFmpeg gives the time of the last packet or divides the size by the bit rate."""

TRACK_TAG = "DURATION"
"""Matroska files can state the end of each track in a tag."""

NEAR_END_MS = 2_000
"""Where only the length of the whole is stated, it counts for the streams that end within this time of the last of them."""

TEXT_AS_PICTURE = "tty"
"""FFmpeg draws any text file as the screen of a terminal."""

MAX_CHANNELS = 64
"""As many as FFmpeg resamples."""

MAX_LEARNING_PACKETS = 200
"""Packets that are decoded to learn the parameters of a stream."""

ENCRYPTED = "it is encrypted"
UNKNOWN_PARAMETERS = "its header does not state its sample rate or channels"
TOO_MANY_CHANNELS = f"it has more than {MAX_CHANNELS} channels"
_REASONS = {ENCRYPTED: UnreadableReason.ENCRYPTED, TOO_MANY_CHANNELS: UnreadableReason.TOO_MANY_CHANNELS}
_ENCRYPTED_TAGS = frozenset({"encv", "enca"})


class Unusable(Exception):
    """Nothing of the file can be used."""

    def __init__(self, reason: UnreadableReason) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class SegmentProbe:
    """What is known of one of the files that a file was joined of; of most there is one.

    Attributes:
        segment: Its bytes.
        indices: The number in it of each stream of the whole file.
        times: The clock of each stream of the whole file, on the line of media time of the whole file.
    """

    segment: Segment
    indices: Mapping[int, int]
    times: Mapping[int, StreamTimes]


@dataclass(frozen=True, slots=True)
class Probe:
    """What is known of a file before it is decoded.

    Attributes:
        info: Its content.
        segments: The files that it was joined of.
        length_ms: Media time at which it ends according to its header; None when the header does not say so, or when its clocks contradict.
        cut_off: Bytes are missing at an end.
    """

    info: MediaInfo
    segments: tuple[SegmentProbe, ...]
    length_ms: int | None
    cut_off: bool

    def times(self, index: int) -> StreamTimes:
        """The clock of a stream over all segments; its parts are those of the first."""
        found = [segment.times[index] for segment in self.segments if index in segment.times]
        if not found:
            return StreamTimes()
        problems = frozenset[Problem]().union(*(of_segment.problems for of_segment in found))
        if len(found) > 1:
            problems |= {Problem.CLOCK_RESTARTED}
        return replace(found[0], end_ms=found[-1].end_ms, problems=problems)


def probe(path: str, on_packet: Callable[[], None] | None = None) -> Probe:
    """Read all packets of a file, without decoding them.

    Args:
        path: The file.
        on_packet: Called for each packet.

    Raises:
        Unusable: The file holds no stream that can be decoded.
    """
    if not os.path.getsize(path):
        raise Unusable(UnreadableReason.EMPTY)
    if is_raw(Path(path)):
        raise Unusable(UnreadableReason.NO_HEADER)
    if is_open_playlist(Path(path)):
        raise Unusable(UnreadableReason.CUT_OFF)
    try:
        with open_media(path) as container:
            format_name = container.format.name
        if format_name == TEXT_AS_PICTURE:
            raise Unusable(UnreadableReason.NOT_MEDIA)
    except (av.FFmpegError, OSError, ValueError, EOFError):
        raise Unusable(UnreadableReason.CUT_OFF if begins_like_media(Path(path)) else UnreadableReason.NOT_MEDIA) from None
    segments = find_segments(path, format_name)
    probes, unreadable = _probes(path, segments, on_packet)
    if any(of_segment.late_stream for of_segment in probes):
        probes, unreadable = _probes(path, find_segments(path, format_name, additions=True), on_packet)
    return _joined(probes, unreadable=unreadable)


def _probes(path: str, segments: Sequence[Segment], on_packet: Callable[[], None] | None) -> tuple[list[_Found], int]:
    """What was found in each segment, and the number of segments that cannot be read."""
    found: list[_Found] = []
    unreadable = 0
    for segment in segments:
        try:
            found.append(_probe(path, segment, on_packet))
        except (av.FFmpegError, OSError, ValueError, EOFError):
            unreadable += 1
    return found, unreadable


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found in one segment, by the segment's own numbers of streams and its own time."""

    segment: Segment
    streams: tuple[StreamInfo, ...]
    unusable: tuple[UnusableStream, ...]
    times: Mapping[int, StreamTimes]
    length_ms: int | None
    cut_off: bool
    late_stream: bool
    """A stream begins where FFmpeg does not look for streams."""


def _joined(found: list[_Found], *, unreadable: int) -> Probe:
    """Put segments one after the other. The first, second … stream of a kind in each of them is one stream."""
    usable = [of_segment for of_segment in found if of_segment.streams]
    if not usable:
        unusable = [stream for of_segment in found for stream in of_segment.unusable]
        if not unusable:
            raise Unusable(UnreadableReason.NO_STREAMS if found else UnreadableReason.NOT_MEDIA)
        raise Unusable(_REASONS.get(unusable[0].reason, UnreadableReason.NO_DECODER))
    places = _places(usable)
    announced: dict[int, list[int | None]] = {place: [] for place in places}
    segments: list[SegmentProbe] = []
    offset_ms = 0
    for of_segment in usable:
        own = _numbered(of_segment.streams)
        indices = {place: own[key].index for place, (key, _) in places.items() if key in own}
        times = {place: of_segment.times[index].moved(offset_ms) for place, index in indices.items() if index in of_segment.times}
        segments.append(SegmentProbe(of_segment.segment, indices, times))
        for place, (key, _) in places.items():
            if key in own:
                announced[place].append(own[key].announced_ms)
        offset_ms = max([offset_ms, *(of_stream.end_ms for of_stream in times.values())])
    stated = {place: sum(filter(None, lengths)) for place, lengths in announced.items() if None not in lengths}
    streams = [replace(stream, index=place, announced_ms=stated.get(place)) for place, (_, stream) in places.items()]
    info = MediaInfo(
        offset_ms or None,
        tuple(stream for stream in streams if stream.modality is Modality.AUDIO),
        tuple(stream for stream in streams if stream.modality is Modality.VIDEO),
        usable[0].unusable,
    )
    cut_off = unreadable > 0 or any(of_segment.cut_off for of_segment in usable)
    return Probe(info, tuple(segments), usable[0].length_ms if len(usable) == 1 else None, cut_off)


_Key = tuple[Modality, int]
"""Kind of a stream, and its number among the streams of this kind."""


def _numbered(streams: tuple[StreamInfo, ...]) -> dict[_Key, StreamInfo]:
    counts: Counter[Modality] = Counter()
    numbered: dict[_Key, StreamInfo] = {}
    for stream in streams:
        numbered[stream.modality, counts[stream.modality]] = stream
        counts[stream.modality] += 1
    return numbered


def _places(segments: list[_Found]) -> dict[int, tuple[_Key, StreamInfo]]:
    """The streams of the whole file by their index: that of the first segment, or a new one for a stream that only a later one has."""
    places: dict[int, tuple[_Key, StreamInfo]] = {}
    known: set[_Key] = set()
    for of_segment in segments:
        for key, stream in _numbered(of_segment.streams).items():
            if key not in known and len(known) < MAX_STREAMS:
                known.add(key)
                places[stream.index if stream.index not in places else max(places) + 1] = key, stream
    return places


def _probe(path: str, segment: Segment, on_packet: Callable[[], None] | None) -> _Found:
    with open_media(path, segment) as container:
        streams, unusable = _streams(container)
        if any(stream.reason == UNKNOWN_PARAMETERS for stream in unusable):
            learned = [stream for refused in unusable if (stream := _learned(path, segment, refused)) is not None]
            streams = sorted([*streams, *learned], key=lambda stream: stream.index)
            known = {stream.index for stream in learned}
            unusable = tuple(stream for stream in unusable if stream.index not in known)
        name = container.format.name
        with SegmentFile(path, segment) as file:
            missing = missing_packets(file) if name == "mpegts" else {}
        losses = {stream.index: missing.get(container.streams[stream.index].id, []) for stream in streams}
        late_stream = False

        def on_late_stream() -> None:
            nonlocal late_stream
            late_stream = True

        times, encrypted = _stream_times(container, losses, on_packet, on_late_stream)
        unusable += tuple(UnusableStream(s.index, s.modality, s.codec, ENCRYPTED) for s in streams if s.index in encrypted)
        streams = [stream for stream in streams if stream.index not in encrypted]
        if name in CLOCKLESS_FORMATS:
            times = {index: replace(of_stream, problems=frozenset(), has_clock=False) for index, of_stream in times.items()}
        with SegmentFile(path, segment) as file:
            announced = _announced_ms(file, container, streams, times)
            cut_off = headers.is_cut_off(file, name)
        states_length = bool(announced) and container.duration is not None and container.duration > 0
        length_ms = round(container.duration / 1000) if states_length else None
    streams = [replace(stream, announced_ms=announced.get(stream.index)) for stream in streams]
    return _Found(segment, tuple(streams), unusable, times, length_ms, cut_off, late_stream)


def _learned(path: str, segment: Segment, refused: UnusableStream) -> StreamInfo | None:
    """A stream whose parameters FFmpeg did not find at the beginning of the file: a microphone may have been switched on later."""
    if refused.reason != UNKNOWN_PARAMETERS:
        return None
    with open_media(path, segment) as container:
        stream = container.streams[refused.index]
        only(container, frozenset({refused.index}))
        for packet in islice(packets(container), MAX_LEARNING_PACKETS):
            with contextlib.suppress(av.FFmpegError, ValueError, EOFError):
                if packet.decode():
                    return _stream_info(stream, refused.modality)
    return None


def _stream_times(
    container: Any, losses: Mapping[int, list[int]], on_packet: Callable[[], None] | None, on_late_stream: Callable[[], None]
) -> tuple[Mapping[int, StreamTimes], frozenset[int]]:
    """The clocks of streams, and the streams that are encrypted.

    Args:
        container: Open input.
        losses: The streams, with the positions before which the container misses packets.
        on_packet: Called for each packet.
        on_late_stream: Called where a stream begins that was not found when the file was opened.
    """
    builder = TimelineBuilder()
    position = 0
    positions = dict.fromkeys(losses, 0)
    encrypted: set[int] = set()
    # Fractions are exact, and a hundred times as slow.
    ticks_s = {index: float(container.streams[index].time_base) for index in losses}
    for packet in packets(container, on_packet, on_late_stream=on_late_stream):
        if packet.has_sidedata("encryption_info"):
            encrypted.add(packet.stream_index)
        # The packets of an Ogg page have the same position.
        skipped_bytes = max(0, packet.pos - position) if packet.pos is not None and position else 0
        position = max(position, packet.pos or 0) + packet.size
        if packet.stream_index in losses:
            own_losses, before = losses[packet.stream_index], positions[packet.stream_index]
            positions[packet.stream_index] = max(before, packet.pos or 0)
            corrupt = bisect_right(own_losses, before) < bisect_right(own_losses, positions[packet.stream_index])
            tick_s = ticks_s[packet.stream_index]
            time_s = _seconds(packet.dts if packet.dts is not None else packet.pts, tick_s)
            times = PacketTimes(time_s, _seconds(packet.duration, tick_s) or 0.0, _seconds(packet.pts, tick_s))
            builder.add(packet.stream_index, times, size=packet.size, skipped_bytes=skipped_bytes, corrupt=corrupt)
    return builder.build(origin_ms(container) / 1000), frozenset(encrypted)


def _seconds(ticks: int | None, tick_s: float) -> float | None:
    return None if ticks is None else ticks * tick_s


def _streams(container: Any) -> tuple[list[StreamInfo], tuple[UnusableStream, ...]]:
    usable: list[StreamInfo] = []
    unusable: list[UnusableStream] = []
    for stream in list(container.streams)[:MAX_STREAMS]:
        if stream.type not in (Modality.AUDIO, Modality.VIDEO) or _is_cover(stream):
            continue
        modality = Modality(stream.type)
        reason = _refusal(stream)
        if reason:
            unusable.append(UnusableStream(stream.index, modality, _codec(stream), reason))
        else:
            usable.append(_stream_info(stream, modality))
    return usable, tuple(unusable)


def _stream_info(stream: Any, modality: Modality) -> StreamInfo:
    context = stream.codec_context
    sound = modality is Modality.AUDIO
    return StreamInfo(
        index=stream.index,
        modality=modality,
        codec=_codec(stream),
        channels=context.channels if sound else 0,
        layout=_text(context.layout.name) if sound else "",
        title=_text(stream.metadata.get("title", "")),
        language=_text(stream.metadata.get("language", "")),
    )


def _refusal(stream: Any) -> str:
    """Why a stream cannot be decoded, or ""."""
    context = stream.codec_context
    if context is None:
        return "there is no decoder for its codec"
    if _codec_tag(context) in _ENCRYPTED_TAGS:
        return ENCRYPTED
    if stream.type == Modality.AUDIO and not (context.channels and context.sample_rate):
        return UNKNOWN_PARAMETERS
    if stream.type == Modality.AUDIO and context.channels > MAX_CHANNELS:
        return TOO_MANY_CHANNELS
    return ""


def _announced_ms(file: SegmentFile, container: Any, streams: list[StreamInfo], times: Mapping[int, StreamTimes]) -> dict[int, int]:
    """What the header states as the length of each stream, by its index. Empty when it states none or when the clocks contradict it."""
    name = container.format.name
    if any(of_stream.problems - {Problem.LONG_GAP} for of_stream in times.values()):
        return {}
    by_index = {stream.index: stream for stream in container.streams}
    if name.startswith(headers.MP4) or (name in SAMPLE_COUNTS and _counts(file, name)):
        lengths = {s.index: _duration_ms(by_index[s.index]) for s in streams}
        stated = headers.stated_bytes(file, name)
        if stated is not None and 0 < stated[1] < stated[0]:
            # FFmpeg corrects the length in some headers by the size of the file, but not in all.
            share = stated[0] / stated[1]
            lengths = {index: max(length, round(_length_ms(times, index) * share)) for index, length in lengths.items()}
    elif name == "avi":
        lengths = dict(enumerate(headers.avi_lengths_ms(file)))
    elif name in FILE_LENGTHS:
        lengths = _of_the_whole(file, container, by_index, times)
    else:
        lengths = {}
    return {stream.index: length for stream in streams if (length := lengths.get(stream.index))}


def _counts(file: SegmentFile, name: str) -> bool:
    """True when a header has its number of samples or frames."""
    if name == "mp3":
        return headers.mp3_counts_frames(file)
    if name == "flac":
        return headers.flac_counts_samples(file)
    return True


def _of_the_whole(file: SegmentFile, container: Any, by_index: Mapping[int, Any], times: Mapping[int, StreamTimes]) -> dict[int, int]:
    """The lengths of streams where the header states the length of the file."""
    whole_ms = headers.asf_length_ms(file) if container.format.name == "asf" else round((container.duration or 0) / 1000)
    last_ms = max((of_stream.end_ms for of_stream in times.values()), default=0)
    lengths: dict[int, int] = {}
    for index, stream in by_index.items():
        own_ms = _tag_ms(stream.metadata.get(TRACK_TAG, ""))
        of_stream = times.get(index, StreamTimes())
        if own_ms or (whole_ms and of_stream.end_ms > last_ms - NEAR_END_MS):
            lengths[index] = max(0, (own_ms or whole_ms) - origin_ms(container) - of_stream.start_ms)
    return lengths


def _tag_ms(tag: str) -> int:
    """``00:00:12.008000000`` → 12,008; 0 for anything else."""
    match = re.fullmatch(r"(\d{2,4}):(\d\d):(\d\d)(\.\d{1,9})?", tag)
    if match is None:
        return 0
    hours, minutes, seconds, fraction = match.groups(default="0")
    return round((int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(fraction)) * 1000)


def _length_ms(times: Mapping[int, StreamTimes], index: int) -> int:
    of_stream = times.get(index, StreamTimes())
    return of_stream.end_ms - of_stream.start_ms


def _duration_ms(stream: Any) -> int:
    return round(stream.duration * stream.time_base * 1000) if stream.duration and stream.duration > 0 else 0


def origin_ms(container: Any) -> int:
    """Container time that is media time 0. Many containers, MPEG-TS for one, do not start at 0."""
    return round((container.start_time or 0) / 1000)


def _codec_tag(context: Any) -> str:
    """The container's name of a codec; "" where it is a number that PyAV cannot read as text, such as 0x83 for G.729 in WAV."""
    try:
        return str(context.codec_tag)
    except UnicodeDecodeError:
        return ""


def _codec(stream: Any) -> str:
    return _text(stream.codec_context.name) if stream.codec_context is not None else "unknown"


def _text(text: str) -> str:
    """A tag of the file, fit for a terminal: one line, no control characters, of bounded length."""
    return printable(text)[:MAX_TEXT]


def _is_cover(stream: Any) -> bool:
    """True for the cover picture of a music file, which its container lists as a video stream."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)
