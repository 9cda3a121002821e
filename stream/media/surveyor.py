"""Looks at samples of every stream of a file: is there a voice, is there a face? The input is hostile: runs in the reader's child only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import takewhile

import av
import numpy as np

from stream.domain.media_format import FULL_SCALE, SAMPLE_RATE
from stream.domain.modality import Modality
from stream.media.downmix import LIVE_LEVEL
from stream.media.face_detector import FaceDetector
from stream.media.media_info import Content, StreamInfo, Survey, UnreadableReason
from stream.media.pcm import Samples
from stream.media.picture import upright
from stream.media.probe import Probe, Unusable, probe
from stream.media.samples import sampled_frames
from stream.media.sound import Converter, sound_parameters
from stream.media.voice import confirmed_segments

MAX_STREAM_S = 4.0
MAX_SURVEY_S = 12.0
"""Processor time for one stream, and for all of them. What was found until then counts; a stream that was not looked at has no entry."""

MIN_VOICED_SEGMENTS = 3
"""100 ms segments in which somebody certainly speaks, from which a stream has a voice: one "yes" is longer."""

MIN_FACE_SHARE = 0.15
"""Share of the pictures with a face from which a stream shows a face: slides may hold a photograph."""

WHOLE_FILM_MS = 2_000
"""A film of up to this length is looked at frame by frame."""


def survey_file(path: str, on_packet: Callable[[], None] | None = None) -> Survey:
    """Look at samples of every stream.

    Args:
        path: The file.
        on_packet: Called for each packet that is read, and for each sample.

    Raises:
        Unusable: Nothing of the file can be decoded.
    """
    probed = probe(path, on_packet)
    contents: dict[int, Content] = {}
    until_s = time.process_time() + MAX_SURVEY_S
    detector = FaceDetector() if probed.info.video else None
    for stream in (*probed.info.audio, *probed.info.video):
        if time.process_time() > until_s:
            break
        if stream.modality is Modality.AUDIO:
            contents[stream.index] = _sound(path, stream, probed, on_packet)
        elif detector is not None:
            contents[stream.index] = _picture(path, stream, probed, detector, on_packet)
    if contents and all(content is Content.UNREADABLE for content in contents.values()):
        raise Unusable(UnreadableReason.NOTHING_DECODED)
    return Survey(probed.info, contents)


def _in_time(on_sample: Callable[[], None] | None) -> Callable[[object], bool]:
    """True until the processor time of a stream is used up."""
    until_s = time.process_time() + MAX_STREAM_S

    def check(_: object) -> bool:
        if on_sample is not None:
            on_sample()
        return time.process_time() < until_s

    return check


def _sound(path: str, stream: StreamInfo, probed: Probe, on_sample: Callable[[], None] | None) -> Content:
    content = Content.UNREADABLE
    voiced = 0
    for block in takewhile(_in_time(on_sample), _blocks(path, stream, probed)):
        if content is Content.UNREADABLE:
            content = Content.SILENT
        if np.sqrt(np.mean(np.square(block / FULL_SCALE))) < LIVE_LEVEL:
            continue
        content = Content.SOUND
        voiced += int(confirmed_segments(block).sum())
        if voiced >= MIN_VOICED_SEGMENTS:
            return Content.VOICE
    return content


def _blocks(path: str, stream: StreamInfo, probed: Probe) -> Iterator[Samples]:
    """Seconds of the mix of a stream's channels, from places spread over the file."""
    converter: Converter | None = None
    pending = np.empty(0, np.int16)
    for frame in sampled_frames(path, stream, probed.segments):
        if converter is None or converter.parameters != sound_parameters(frame):
            converter = Converter(sound_parameters(frame), (None,))
        try:
            pending = np.concatenate([pending, converter.convert(frame)[0]])
        except (av.FFmpegError, ValueError):
            continue
        while pending.size >= SAMPLE_RATE:
            yield pending[:SAMPLE_RATE]
            pending = pending[SAMPLE_RATE:]
    if pending.size:
        yield pending


def _picture(path: str, stream: StreamInfo, probed: Probe, detector: FaceDetector, on_sample: Callable[[], None] | None) -> Content:
    frames = faces = 0
    pictures = sampled_frames(path, stream, probed.segments, whole_ms=WHOLE_FILM_MS, place_s=0.0)
    for frame in takewhile(_in_time(on_sample), pictures):
        try:
            picture = upright(frame.to_ndarray(format="gray"), frame.rotation)
        except (av.FFmpegError, ValueError):
            continue
        frames += 1
        faces += bool(detector.faces(picture))
    if not frames:
        return Content.UNREADABLE
    return Content.FACE if faces >= max(1, MIN_FACE_SHARE * frames) else Content.PICTURE
