"""Builds the packaged sample from the corpora in ``$SENTISTREAM_DATA``: ``python -m stream.produce.sample.build``.

The result is committed; this module documents how it was made. The call's words are machine-made; the words of the faces are known from
the file names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from stream.produce.sample import CALL, FACES

CLIPS = Path(os.environ.get("SENTISTREAM_DATA", "")) / "clips"

CALL_SPAN_S = (213.0, 237.9)
"""In these 25 s both sides speak."""

CALL_SPEAKERS = {"agent": "agent", "caller": "customer"}
MAX_WORD_S = 0.7
"""The recogniser stretches the last word before a pause to the pause's end: longer words are cut to this."""

GRID_CLIPS = ("bbaf2n", "lbax4n", "lbbc2a", "lrwp9a", "sbwe5n", "swiz3n", "swwp2s")
GRID_ALIGNED = "swwp2s"
"""The clip whose words have times in a file of their own; for the others they are estimated."""

GRID_SECONDS = 3
GRID_FPS = 25
GRID_RATE = 44_100
GRID_ALIGN_RATE = 25_000
"""Ticks a second of the corpus's alignment files."""

GRID_CODE: tuple[dict[str, str], ...] = (
    {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"},
    {},
    {"z": "zero", **dict(zip("123456789", ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"], strict=True))},
    {"a": "again", "n": "now", "p": "please", "s": "soon"},
)
"""What the characters of a clip's name mean: command, colour, preposition, letter, digit, adverb (Cooke et al., "An audio-visual corpus
for speech perception", JASA 2006)."""

CALL_NOTE = (
    "Machine-made (Whisper tiny.en), not corrected by hand: expect wrong words; times are good to about 0.2 s. "
    "Words longer than 0.7 s were cut to that."
)
FACES_NOTE = (
    "Known words: the corpus names its files after them. Times of the last six words are the corpus's own alignment; "
    "those of the others are the stretch in which the clip is loud, spread over its words in proportion to their length."
)
TimedWord = tuple[float, float, str, str | None]
"""Start and end in seconds, the word, and its speaker."""


def main() -> None:
    """Write the four files."""
    if not CLIPS.is_dir():
        raise SystemExit(f"{CLIPS} is not a folder: set SENTISTREAM_DATA to the folder that contains it")
    _build_call()
    _build_faces()


def _build_call() -> None:
    start_s, end_s = CALL_SPAN_S
    with av.open(str(CLIPS / "call_autorepairs_40.flac")) as source:
        rate = source.streams.audio[0].rate
        samples = np.concatenate([_planar(frame) for frame in source.decode(audio=0)], axis=1)
    excerpt = np.ascontiguousarray(samples[:, round(start_s * rate) : round(end_s * rate)])
    with av.open(str(CALL), "w") as output:
        stream = output.add_stream("flac", rate=rate, layout="stereo", options={"compression_level": "12"})
        for packet in _encoded_audio(stream, excerpt, "stereo", rate):
            output.mux(packet)
    recognised = json.loads((CLIPS / "transcripts" / "call_autorepairs_40.json").read_text(encoding="utf-8"))["words"]
    words = [
        (word["s"] - start_s, min(word["e"], word["s"] + MAX_WORD_S) - start_s, word["w"].strip(), CALL_SPEAKERS[word["speaker"]])
        for word in recognised
        if start_s <= word["s"] and min(word["e"], word["s"] + MAX_WORD_S) <= end_s
    ]
    _write_vtt(CALL.with_suffix(".vtt"), CALL_NOTE, words)


def _planar(frame: Any) -> npt.NDArray[np.int16]:
    """(channels, n) samples of a frame."""
    array: npt.NDArray[np.int16] = frame.to_ndarray()
    return array if frame.format.is_planar else array.reshape(-1, frame.layout.nb_channels).T


def _encoded_audio(stream: Any, samples: npt.NDArray[np.int16], layout: str, rate: int) -> Iterator[Any]:
    interleaved = np.ascontiguousarray(samples.T).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(interleaved, format="s16", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    resampler = av.AudioResampler(format=stream.format.name, layout=layout, rate=rate, frame_size=stream.codec_context.frame_size or 4096)
    # The resampler only cuts the samples into frames of the size that the codec requires.
    for codec_frame in [*resampler.resample(frame), *resampler.resample(None)]:
        yield from stream.encode(codec_frame)
    yield from stream.encode(None)


def _build_faces() -> None:
    sound = np.concatenate([_grid_sound(code) for code in GRID_CLIPS])
    with av.open(str(FACES), "w", options={"movflags": "faststart"}) as output:
        video: Any = output.add_stream("libx264", rate=GRID_FPS)
        video.width, video.height, video.pix_fmt = 360, 288, "yuv420p"
        video.options = {"preset": "veryslow", "crf": "25", "g": str(2 * GRID_FPS)}
        audio: Any = output.add_stream("aac", rate=GRID_RATE, layout="mono")
        audio.bit_rate = 64_000
        for number, frame in enumerate(frame for code in GRID_CLIPS for frame in _grid_frames(code)):
            # A decoded frame carries its source's picture type, which x264 would take as an order.
            frame.pts, frame.time_base, frame.pict_type = number, Fraction(1, GRID_FPS), av.video.frame.PictureType.NONE
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        for packet in _encoded_audio(audio, sound[np.newaxis], "mono", GRID_RATE):
            output.mux(packet)
    words = [
        (start_s + GRID_SECONDS * number, end_s + GRID_SECONDS * number, word, None)
        for number, code in enumerate(GRID_CLIPS)
        for start_s, end_s, word in _grid_words(code)
    ]
    _write_vtt(FACES.with_suffix(".vtt"), FACES_NOTE, words)


def _grid_clip(code: str) -> Any:
    return av.open(str(CLIPS / f"grid_{code}.mpg"))


def _grid_frames(code: str) -> Iterator[Any]:
    with _grid_clip(code) as clip:
        frames = list(clip.decode(video=0))[: GRID_SECONDS * GRID_FPS]
    if len(frames) != GRID_SECONDS * GRID_FPS:
        raise ValueError(f"grid_{code}: {len(frames)} frames instead of {GRID_SECONDS * GRID_FPS}")
    yield from frames


def _grid_sound(code: str) -> npt.NDArray[np.int16]:
    """Exactly 3 s of mono at 44.1 kHz, so that sound and picture stay together across the joins."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=GRID_RATE)
    with _grid_clip(code) as clip:
        resampled = [part.to_ndarray().reshape(-1) for frame in clip.decode(audio=0) for part in resampler.resample(frame)]
    sound = np.concatenate(resampled)[: GRID_SECONDS * GRID_RATE].astype(np.int16)
    return np.pad(sound, (0, GRID_SECONDS * GRID_RATE - len(sound)))


def _grid_words(code: str) -> Iterable[tuple[float, float, str]]:
    """Start and end in seconds, and the word, for each word of a clip."""
    if code == GRID_ALIGNED:
        rows = (line.split() for line in (CLIPS / f"grid_{code}.align").read_text(encoding="ascii").splitlines())
        return [(int(start) / GRID_ALIGN_RATE, int(end) / GRID_ALIGN_RATE, word) for start, end, word in rows if word != "sil"]
    words = [meaning.get(character, character) for character, meaning in zip(code, GRID_CODE, strict=True)]
    start_s, end_s = _loud_span(_grid_sound(code))
    # Two more for each word: short words take longer than their letters suggest.
    weights = np.cumsum([0.0] + [len(word) + 2.0 for word in words])
    edges = start_s + (end_s - start_s) * weights / weights[-1]
    return [(float(start), float(end), word) for start, end, word in zip(edges, edges[1:], words, strict=False)]


def _loud_span(sound: npt.NDArray[np.int16], below_peak_db: float = 20.0) -> tuple[float, float]:
    """Start and end, in seconds, of the stretch whose first and last 20 ms are at most `below_peak_db` below the loudest 20 ms."""
    step = GRID_RATE // 50
    levels = np.sqrt(np.mean(np.square(sound[: len(sound) // step * step].reshape(-1, step).astype(np.float64)), axis=1))
    loud = np.flatnonzero(levels > levels.max() * 10 ** (-below_peak_db / 20))
    return float(loud[0]) / 50, float(loud[-1] + 1) / 50


def _write_vtt(path: Path, note: str, words: Sequence[TimedWord]) -> None:
    cues = (
        f"{_clock(start_s)} --> {_clock(end_s)}\n{f'<v {speaker}>' if speaker else ''}{word}\n"
        for start_s, end_s, word, speaker in sorted(words, key=lambda timed_word: timed_word[:2])
    )
    path.write_text("\n".join(["WEBVTT\n", f"NOTE {note}\n", *cues]), encoding="utf-8")


def _clock(seconds: float) -> str:
    milliseconds = max(0, round(seconds * 1000))
    return f"00:{milliseconds // 60_000:02d}:{milliseconds // 1000 % 60:02d}.{milliseconds % 1000:03d}"


if __name__ == "__main__":
    main()
