"""Recordings as people send them: several streams, parts with clocks and channels of their own, cuts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from tests.support.media import film_frames

Planes = npt.NDArray[np.float32]
TONE_DB = -20.0


def tone(seconds: float, rate: int = 48_000, hertz: float = 440.0, level_db: float = TONE_DB) -> Planes:
    """(1, n) a sine of a level in dBFS."""
    amplitude = 10 ** (level_db / 20) * np.sqrt(2)
    wave = np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate) * amplitude
    return np.asarray(wave, np.float32).reshape(1, -1)


def noise(seconds: float, rate: int = 48_000, seed: int = 1, level_db: float = TONE_DB) -> Planes:
    """(1, n) noise of a level in dBFS."""
    samples = np.random.default_rng(seed).normal(0, 10 ** (level_db / 20), round(seconds * rate))
    return samples.astype(np.float32).reshape(1, -1)


def channels(count: int, **used: Planes) -> Planes:
    """(count, n) channels that are silent but for some: ``channels(6, c2=speech)``."""
    planes = np.zeros((count, next(iter(used.values())).shape[1]), np.float32)
    for name, samples in used.items():
        planes[int(name[1:])] = samples
    return planes


@dataclass
class Sound:
    """An audio stream.

    Attributes:
        parts: Container time at which each part begins, in seconds, and its (channels, n) samples.
        codec: FFmpeg's encoder.
        layout: FFmpeg's layout.
        rate: Samples a second.
        tags: Tags of the stream.
    """

    parts: Sequence[tuple[float, Planes]]
    codec: str = "pcm_s16le"
    layout: str = "mono"
    rate: int = 48_000
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Film:
    """A video stream.

    Attributes:
        parts: Container time at which each part begins, and its length, both in seconds.
        fps: Frames a second.
        width: Pixels.
        height: Pixels.
        codec: FFmpeg's encoder.
        picture: (h, w, 3) picture to show; None for noise.
    """

    parts: Sequence[tuple[float, float]]
    fps: int = 25
    width: int = 160
    height: int = 120
    codec: str = "libx264"
    picture: npt.NDArray[np.uint8] | None = None


def write(path: Path, container: str, *streams: Sound | Film, options: dict[str, str] | None = None) -> Path:
    """Write a recording.

    Args:
        path: The file.
        container: FFmpeg's muxer.
        streams: Its streams in order.
        options: Of the muxer.
    """
    with av.open(str(path), "w", format=container, options=options or {}) as output:
        outputs = [_add(output, stream) for stream in streams]
        packets = [packet for stream, out in zip(streams, outputs, strict=True) for packet in _packets(out, stream)]
        output.mux(sorted(packets, key=_decoding_time))
    return path


def _decoding_time(packet: Any) -> Fraction:
    return Fraction(packet.dts * packet.time_base)


def _add(output: Any, stream: Sound | Film) -> Any:
    if isinstance(stream, Film):
        film = output.add_stream(stream.codec, rate=stream.fps, options={"preset": "ultrafast", "g": "25", "bf": "0"})
        film.width, film.height, film.pix_fmt = stream.width, stream.height, "yuv420p"
        return film
    sound = output.add_stream(stream.codec, rate=stream.rate, layout=stream.layout)
    if stream.codec in ("vorbis", "opus", "dca"):
        sound.codec_context.options = {"strict": "experimental"}
    sound.metadata.update(stream.tags)
    return sound


def _packets(out: Any, stream: Sound | Film) -> Iterator[Any]:
    if isinstance(stream, Film):
        yield from _film_packets(out, stream)
        return
    context = out.codec_context
    context.open(strict=False)
    size = context.frame_size or 1024
    for start_s, planes in stream.parts:
        resampler = av.AudioResampler(format=context.format.name, layout=stream.layout, rate=stream.rate, frame_size=size)
        # Interleaved, as PyAV has no more than eight planes.
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(planes.T.reshape(1, -1)), format="flt", layout=stream.layout)
        frame.sample_rate, frame.pts, frame.time_base = stream.rate, 0, Fraction(1, stream.rate)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            piece.pts, piece.time_base = (piece.pts or 0) + round(start_s * stream.rate), Fraction(1, stream.rate)
            yield from out.encode(piece)
    yield from out.encode(None)


def _film_packets(out: Any, film: Film) -> Iterator[Any]:
    for start_s, seconds in film.parts:
        first = round(start_s * film.fps)
        for frame in film_frames(round(seconds * film.fps), film.fps, film.width, film.height, first=first, pixels=film.picture):
            yield from out.encode(frame)
    yield from out.encode(None)


def write_two_descriptions(path: Path, first: Sound, second: Sound) -> Path:
    """An MP4 file with one track whose samples have two descriptions: those of two sounds of equal codec, one after the other."""
    length_s = first.parts[0][1].shape[1] / first.rate
    other = path.with_suffix(".other")
    with av.open(str(path), "w", format="mp4") as output, av.open(str(other), "w", format="mp4") as scratch:
        track, source = _add(output, first), _add(scratch, second)
        packets, later = list(_packets(track, first)), list(_packets(source, second))
        for packet in packets:
            output.mux(packet)
        for packet in later:
            copy = av.Packet(bytes(packet))
            copy.pts = copy.dts = round((length_s + packet.pts * packet.time_base) * first.rate)
            copy.duration, copy.time_base = round(packet.duration * packet.time_base * first.rate), Fraction(1, first.rate)
            copy.is_keyframe, copy.stream = True, track
            output.mux(copy)
        scratch.mux(later)
    content = bytearray(path.read_bytes())
    sizes = np.frombuffer(_box(content, b"stsz")[12:], ">u4")
    begin = int.from_bytes(_box(content, b"stco")[8:12], "big")
    _replace_box(content, b"stco", np.array([0, 2, begin, begin + sizes[: len(packets)].sum()], ">u4").tobytes())
    _replace_box(content, b"stsc", np.array([0, 2, 1, len(packets), 1, 2, len(later), 2], ">u4").tobytes())
    descriptions = _box(content, b"stsd")[8:] + _box(bytearray(other.read_bytes()), b"stsd")[8:]
    _replace_box(content, b"stsd", np.array([0, 2], ">u4").tobytes() + descriptions)
    path.write_bytes(content)
    return path


def _box(content: bytearray, name: bytes) -> bytes:
    at = content.rindex(name)
    return bytes(content[at + 4 : at - 4 + int.from_bytes(content[at - 4 : at], "big")])


def _replace_box(content: bytearray, name: bytes, payload: bytes) -> None:
    """Replace the content of a box of the only track, whose index stands at the end of the file."""
    grown = len(payload) - len(_box(content, name))
    at = content.rindex(name)
    content[at + 4 : at + 4 + len(payload) - grown] = payload
    for box in (name, b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        at = content.rindex(box)
        content[at - 4 : at] = (int.from_bytes(content[at - 4 : at], "big") + grown).to_bytes(4, "big")


def join(path: Path, *files: Path) -> Path:
    """The bytes of files one after the other."""
    path.write_bytes(b"".join(file.read_bytes() for file in files))
    return path


def cut(path: Path, whole: Path, share: float) -> Path:
    """The beginning of a file."""
    path.write_bytes(whole.read_bytes()[: round(whole.stat().st_size * share)])
    return path
