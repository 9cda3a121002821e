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

from tests.support.media import picture

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
        for number in range(round(seconds * film.fps)):
            pixels = film.picture if film.picture is not None else picture(film.width, film.height, number % 7)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = round(start_s * film.fps) + number, Fraction(1, film.fps)
            yield from out.encode(frame)
    yield from out.encode(None)


def join(path: Path, *files: Path) -> Path:
    """The bytes of files one after the other."""
    path.write_bytes(b"".join(file.read_bytes() for file in files))
    return path


def cut(path: Path, whole: Path, share: float) -> Path:
    """The beginning of a file."""
    path.write_bytes(whole.read_bytes()[: round(whole.stat().st_size * share)])
    return path
