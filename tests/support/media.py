"""Media for tests: films, sounds and pictures without faces."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

FAST = {
    "libx264": {"preset": "ultrafast", "g": "25"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
}
"""Options of encoders: tests need no beauty."""


@lru_cache(maxsize=64)
def picture(width: int = 320, height: int = 240, seed: int = 0) -> npt.NDArray[np.uint8]:
    """A blurred random colour picture. It is made once, and cannot be written to."""
    noise = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    pixels = np.asarray(cv2.GaussianBlur(noise, (31, 31), 0), np.uint8)
    pixels.setflags(write=False)
    return pixels


def film_frames(
    count: int, fps: int = 25, width: int = 320, height: int = 240, *, first: int = 0, pixels: npt.NDArray[np.uint8] | None = None
) -> Iterator[Any]:
    """Frames of some random pictures in turn, or of one picture.

    Args:
        count: How many.
        fps: Frames a second.
        width: Pixels of a random picture.
        height: Pixels of a random picture.
        first: Number of the first frame on the clock of the film.
        pixels: (h, w, 3) picture to show instead.
    """
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(picture(width, height, number % 7) if pixels is None else pixels, format="rgb24")
        frame.pts, frame.time_base = first + number, Fraction(1, fps)
        yield frame


def jpeg(width: int = 320, height: int = 240) -> bytes:
    return bytes(cv2.imencode(".jpg", picture(width, height))[1])


def giant_jpeg(side: int) -> bytes:
    """A small JPEG whose header says that it is `side` pixels wide and high."""
    small = jpeg()
    frame_header = small.index(b"\xff\xc0")
    return small[: frame_header + 5] + struct.pack(">HH", side, side) + small[frame_header + 9 :]


def film(frames: int = 25, fps: int = 25, width: int = 320, height: int = 240, codec: str = "libx264") -> bytes:
    """Fragmented MP4, as a producer of another make might send it."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", options={"movflags": "frag_keyframe+empty_moov+default_base_moof"}) as output:
        stream: Any = output.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in film_frames(frames, fps, width, height):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def sound(container: str, codec: str, seconds: float = 1.0, rate: int = 48_000, layout: str = "mono", hertz: float = 440.0) -> bytes:
    """A sine in a container."""
    buffer = io.BytesIO()
    write_sound(buffer, container, codec, seconds, rate, layout, hertz)
    return buffer.getvalue()


def write_sound(
    target: Any,
    container: str,
    codec: str,
    seconds: float,
    rate: int,
    layout: str,
    hertz: float = 440.0,
    container_options: dict[str, str] | None = None,
) -> None:
    channels = av.AudioLayout(layout).nb_channels
    wave = (np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate) * 8000).astype(np.int16)
    fragmented = {"movflags": "frag_keyframe+empty_moov"} if container == "mp4" else {}
    options = fragmented if container_options is None else container_options
    with av.open(target, "w", format=container, options=options) as output:
        stream: Any = output.add_stream(codec, rate=rate, layout=layout)
        if codec == "wmav2":
            # It has no default.
            stream.bit_rate = 64_000
        frame = av.AudioFrame.from_ndarray(np.repeat(wave, channels).reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        size = stream.codec_context.frame_size or 1024
        resampler = av.AudioResampler(format=stream.format.name, layout=layout, rate=rate, frame_size=size)
        for codec_frame in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(stream.encode(codec_frame))
        output.mux(stream.encode(None))


def write_film(
    path: Path,
    seconds: float,
    fps: int = 25,
    width: int = 320,
    height: int = 240,
    container_options: dict[str, str] | None = None,
    codec: str = "libx264",
) -> None:
    """A film file without sound."""
    with av.open(str(path), "w", options=container_options or {}) as output:
        stream: Any = output.add_stream(codec, rate=fps, options=FAST.get(codec, {}))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for frame in film_frames(round(seconds * fps), fps, width, height):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def write_tracks(path: Path, source: Path) -> None:
    """Each channel of a recording as an audio track of its own."""
    with av.open(str(source)) as recording, av.open(str(path), "w") as output:
        channels = recording.streams.audio[0].codec_context.channels
        rate = recording.streams.audio[0].codec_context.sample_rate
        streams: list[Any] = [output.add_stream("flac", rate=rate, layout="mono") for _ in range(channels)]
        resampler = av.AudioResampler("s16p", recording.streams.audio[0].codec_context.layout, rate)
        for frame in recording.decode(audio=0):
            for planar in resampler.resample(frame):
                for stream, samples in zip(streams, planar.to_ndarray(), strict=True):
                    mono = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
                    mono.sample_rate, mono.pts, mono.time_base = rate, planar.pts, Fraction(1, rate)
                    output.mux(stream.encode(mono))
        for stream in streams:
            output.mux(stream.encode(None))


def write_film_with_broken_sound(path: Path) -> None:
    """Two seconds of film with an AAC track, of which no packet can be decoded."""
    silence = np.zeros((1, 1024), np.float32)
    with av.open(str(path), "w") as output:
        film: Any = output.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        film.width, film.height, film.pix_fmt = 320, 240, "yuv420p"
        sound: Any = output.add_stream("aac", rate=48_000, layout="mono")
        for frame in film_frames(50):
            output.mux(film.encode(frame))
        output.mux(film.encode(None))
        for number in range(94):
            samples = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
            samples.sample_rate, samples.pts, samples.time_base = 48_000, number * 1024, Fraction(1, 48_000)
            for packet in sound.encode(samples):
                broken = av.Packet(b"\x55" * 200)
                broken.stream, broken.pts, broken.dts = sound, packet.pts, packet.dts
                broken.duration, broken.time_base = packet.duration, packet.time_base
                output.mux(broken)
