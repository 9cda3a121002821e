"""Raw media of the load, made once from the packaged sample: a list of seconds for each kind, through which every session goes in a circle.

The producer makes them, except for pictures of other sizes, rates and formats: these are scaled from the sample's 360 x 288 pixels at 25
frames a second.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np

from stream.domain.chunk import ContentType
from stream.domain.features import Word
from stream.domain.kafka_records import decode_text, encode_words
from stream.domain.media_format import SAMPLE_RATE
from stream.domain.modality import MODALITIES, Modality
from stream.produce.prepare import PreparedSession
from stream.produce.sample import FACES, sample_sessions
from stream.produce.session import PlannedChunk, plan_records

SECOND_MS = 1000
JPEG_QUALITY = 4
"""FFmpeg's scale for MJPEG, 2 (best) to 31."""

OPUS_BIT_RATE = 24_000
"""What browsers send for speech."""

CAMERA: Mapping[str, str] = {"preset": "veryfast", "tune": "zerolatency", "crf": "23"}
"""x264 with CABAC and the loop filter, as the films of others have them."""

CONTENT_TYPES = {Modality.TEXT: ContentType.WORDS, Modality.AUDIO: ContentType.PCM, Modality.VIDEO: ContentType.VIDEO_MP4}
"""Of what the producer sends."""


class Piece(msgspec.Struct, frozen=True):
    """A chunk's media, placed in its second.

    Attributes:
        modality: Text, audio or video.
        start_ms: Time from the second's start.
        duration_ms: Its length.
        content_type: Its media type.
        payload: The bytes; the times of words count from the second's start.
    """

    modality: Modality
    start_ms: int
    duration_ms: int
    content_type: str
    payload: bytes

    @property
    def end_ms(self) -> int:
        """Time of its end from the second's start."""
        return self.start_ms + self.duration_ms


Clip = list[list[Piece]]
"""The pieces of each second."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of raw media.

    Attributes:
        title: What a table calls it.
        produced: What the producer makes of it, second by second.
        video: Makes the video pieces of a second from its frames, where the producer makes none.
        fps: Frames of a second, for `video`.
        width: Their width.
        opus: The sound is Opus instead of PCM.
    """

    title: str
    produced: tuple[Modality, ...] = (Modality.TEXT, Modality.AUDIO)
    video: Callable[[Sequence[Any]], Iterator[Piece]] | None = None
    fps: int = 0
    width: int = 0
    opus: bool = False


def _film(frames: Sequence[Any]) -> Iterator[Piece]:
    yield Piece(Modality.VIDEO, 0, SECOND_MS, ContentType.VIDEO_MP4, encoded_film(frames))


def _jpegs(frames: Sequence[Any]) -> Iterator[Piece]:
    length_ms = SECOND_MS // len(frames)
    for number, frame in enumerate(frames):
        yield Piece(Modality.VIDEO, number * length_ms, length_ms, ContentType.JPEG, encoded_jpeg(frame))


KINDS: Mapping[str, Kind] = {
    "320@5": Kind("H.264, 320 wide, 5 frames a second; PCM; words", MODALITIES),
    "640@30": Kind("H.264, 640 wide, 30 frames a second; PCM; words", video=_film, fps=30, width=640),
    "jpeg": Kind("5 JPEGs a second, 640 wide; PCM; words", video=_jpegs, fps=5, width=640),
    "opus": Kind("H.264, 320 wide, 5 frames a second; Opus; words", MODALITIES, opus=True),
    "audio": Kind("PCM and words, no video"),
}


def clip(name: str) -> Clip:
    """The seconds of a kind of media. A kind without video also has the call of the sample, once for each speaker."""
    kind, (call, faces) = KINDS[name], sample_sessions()
    seconds = _produced(faces, kind.produced)
    if kind.opus:
        seconds = [_with_opus(pieces) for pieces in seconds]
    if kind.video is not None:
        frames = _frames(kind.fps, kind.width)
        return [[*pieces, *kind.video(frames[number])] for number, pieces in enumerate(seconds) if number in frames]
    return seconds if Modality.VIDEO in kind.produced else [*seconds, *_produced(call, kind.produced)]


def _produced(session: PreparedSession, modalities: Sequence[Modality]) -> Clip:
    """What the producer sends of a recording's full seconds, one speaker after the other."""
    by_second: dict[tuple[str, int], list[Piece]] = {}
    with session.pieces() as pieces:
        for chunk in plan_records(session.plan, pieces):
            if isinstance(chunk, PlannedChunk) and chunk.duration_ms == SECOND_MS and chunk.modality in modalities:
                payload = moved_words(chunk.payload, -chunk.start_ms) if chunk.modality is Modality.TEXT else chunk.payload
                piece = Piece(chunk.modality, 0, SECOND_MS, CONTENT_TYPES[chunk.modality], payload)
                by_second.setdefault((chunk.track.track, chunk.start_ms), []).append(piece)
    return [by_second[place] for place in sorted(by_second) if len(by_second[place]) == len(modalities)]


def moved_words(payload: bytes, by_ms: int) -> bytes:
    """Words at other times, none of which begins before time 0."""
    text = decode_text(payload)
    moved = (Word(word.text, max(0, word.start_ms + by_ms), word.end_ms + by_ms, word.confidence) for word in text.words)
    return encode_words(moved, final=text.ends_utterance)


def _frames(fps: int, width: int) -> dict[int, list[Any]]:
    """The sample's pictures at another rate and width, by second: at each time the picture that is shown then."""
    found: dict[int, list[Any]] = {}
    with av.open(str(FACES)) as container:
        shown = [(frame.time, frame) for frame in container.decode(video=0)]
    number = 0
    for place in range(round(shown[-1][0] * fps)):
        while number + 1 < len(shown) and shown[number + 1][0] <= place / fps:
            number += 1
        frame = shown[number][1]
        height = round(frame.height * width / frame.width / 2) * 2
        found.setdefault(place // fps, []).append(frame.reformat(width=width, height=height, format="yuv420p"))
    return {second: frames for second, frames in found.items() if len(frames) == fps}


def encoded_film(frames: Sequence[Any]) -> bytes:
    """A second of H.264 in fragmented MP4 that decodes by itself: one group of pictures at an even rate."""
    buffer = io.BytesIO()
    with av.open(buffer, mode="w", format="mp4", options={"movflags": "frag_keyframe+empty_moov+default_base_moof"}) as output:
        stream: Any = output.add_stream("libx264", rate=len(frames))
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
        stream.codec_context.gop_size = len(frames) + 1
        stream.codec_context.thread_count = 1
        stream.options = dict(CAMERA)
        _mux(output, stream, frames)
    return buffer.getvalue()


def encoded_jpeg(frame: Any) -> bytes:
    """A frame as JPEG."""
    context: Any = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt = frame.width, frame.height, "yuvj420p"
    context.time_base = Fraction(1, 5)
    context.qmin = context.qmax = JPEG_QUALITY
    picture = frame.reformat(format="yuvj420p")
    picture.pts, picture.time_base, picture.pict_type = 0, context.time_base, av.video.frame.PictureType.NONE
    return b"".join(bytes(packet) for packet in [*context.encode(picture), *context.encode(None)])


def _with_opus(pieces: Iterable[Piece]) -> list[Piece]:
    return [
        msgspec.structs.replace(piece, content_type=ContentType.OGG_OPUS, payload=encoded_opus(piece.payload))
        if piece.modality is Modality.AUDIO
        else piece
        for piece in pieces
    ]


def encoded_opus(pcm: bytes) -> bytes:
    """A second of PCM as Opus in Ogg."""
    buffer = io.BytesIO()
    with av.open(buffer, mode="w", format="ogg") as output:
        stream: Any = output.add_stream("libopus", rate=SAMPLE_RATE)
        stream.layout, stream.bit_rate = "mono", OPUS_BIT_RATE
        frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2").reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def _mux(output: Any, stream: Any, frames: Sequence[Any]) -> None:
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base = number, Fraction(1, len(frames))
        # A decoded frame carries its source's picture type, which x264 would take as an order.
        frame.pict_type = av.video.frame.PictureType.NONE
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def write_clip(name: str, directory: Path) -> Path:
    """Write the seconds of a kind into a file of the directory, unless it is there; returns the file."""
    file = directory / f"{name}.msgpack"
    if not file.exists():
        file.write_bytes(msgspec.msgpack.encode(clip(name)))
    return file


def read_clip(file: Path) -> Clip:
    """Read what `write_clip` has written."""
    return msgspec.msgpack.decode(file.read_bytes(), type=Clip)


def kb_per_minute(seconds: Clip) -> float:
    """Kilobytes that a minute of the media has."""
    return sum(len(piece.payload) for pieces in seconds for piece in pieces) / len(seconds) * 60 / 1000
