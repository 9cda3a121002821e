"""A final window as the local store keeps it: what scored it, as bytes. Pure."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, fields, replace

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from stream.domain.context import RedactedWord
from stream.domain.features import Halves, Word
from stream.domain.inference import WindowInputs
from stream.domain.result import ExplanationRecord, ScoreRecord
from stream.domain.window import Window

TENSORS = tuple(field.name for field in fields(WindowInputs) if field.name not in {"word_nodes", "audio_spans_ms", "video_spans_ms"})
"""Fields of `WindowInputs` that are stored as tensors; the count of dropped words is one of them."""

_LEVEL = 1
"""Of compression. Most bytes are zeros of the padding; a higher level takes longer and saves nothing."""


@dataclass(frozen=True, slots=True)
class StoredWindow:
    """A final window with everything that is needed to score it again.

    Attributes:
        score: Its score as published, but without ``run``. It names the window and the version of the model.
        explanation: Its explanation, but without ``change``, and without what the summary says of it: the publisher adds both later.
        inputs: The tensors that the model saw.
        words: All words of the window in order of time, as they were sent: the words are not redacted.
        words_before: Words of earlier windows with which its first sentence began, encoded together with `words`.
        redacted: The words that no explanation may show.
        words_encoded: Whether the worker encoded the words. Words whose states came from their producer cannot be encoded again.
        log_mel: (n, 80, 100) float16, the sound of each second that touches the window; None if sound is not kept.
        log_mel_ms: Media time at which each of these seconds begins.
    """

    score: ScoreRecord
    explanation: ExplanationRecord
    inputs: WindowInputs
    words: tuple[Word, ...]
    words_before: tuple[str, ...] = ()
    redacted: tuple[RedactedWord, ...] = ()
    words_encoded: bool = True
    log_mel: Halves | None = None
    log_mel_ms: tuple[int, ...] = ()


def stored_window(
    window: Window,
    inputs: WindowInputs,
    records: tuple[ScoreRecord, ExplanationRecord],
    words_before: tuple[str, ...],
    redacted: tuple[RedactedWord, ...],
) -> StoredWindow:
    """What is kept of a window that has just been scored; see `StoredWindow` for the arguments."""
    heard = [(int(chunk.spans_ms[0, 0]), chunk.log_mel) for chunk in window.audio if chunk.log_mel is not None]
    return StoredWindow(
        *records,
        inputs=inputs,
        words=window.words(),
        words_before=words_before,
        redacted=redacted,
        words_encoded=window.word_states() is None,
        log_mel=np.stack([log_mel for _, log_mel in heard]) if heard else None,
        log_mel_ms=tuple(start_ms for start_ms, _ in heard),
    )


class Texts(msgspec.Struct, frozen=True):
    """The part of a stored window that is no tensor."""

    words: tuple[Word, ...]
    words_before: tuple[str, ...]
    redacted: tuple[RedactedWord, ...]
    words_encoded: bool
    audio_spans_ms: tuple[tuple[int, int], ...]
    video_spans_ms: tuple[tuple[int, int], ...]
    log_mel_ms: tuple[int, ...]


class StoredWindowError(ValueError):
    """The bytes are not a stored window of this release."""


def texts_of(window: StoredWindow) -> bytes:
    """JSON of what is no tensor."""
    inputs = window.inputs
    return msgspec.json.encode(
        Texts(
            words=window.words,
            words_before=window.words_before,
            redacted=window.redacted,
            words_encoded=window.words_encoded,
            audio_spans_ms=inputs.audio_spans_ms,
            video_spans_ms=inputs.video_spans_ms,
            log_mel_ms=window.log_mel_ms,
        )
    )


def tensors_of(window: StoredWindow) -> bytes:
    """Safetensors file of the tensors, compressed with zlib. The same window always gives the same bytes."""
    tensors = {name: np.asarray(value) for name in TENSORS if (value := getattr(window.inputs, name)) is not None}
    if window.log_mel is not None:
        tensors["log_mel"] = window.log_mel
    return zlib.compress(save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}), _LEVEL)


def restored(score: ScoreRecord, explanation: ExplanationRecord, texts: bytes, tensors: bytes) -> StoredWindow:
    """Inverse of `texts_of` and `tensors_of`. Raises `StoredWindowError`."""
    try:
        text = msgspec.json.decode(texts, type=Texts)
        arrays = load(zlib.decompress(tensors))
        dropped: int = arrays.pop("words_dropped").item()
        log_mel = arrays.pop("log_mel", None)
        inputs = WindowInputs(
            **arrays,
            word_nodes=text.words[dropped:],
            audio_spans_ms=text.audio_spans_ms,
            video_spans_ms=text.video_spans_ms,
            words_dropped=dropped,
        )
    except (msgspec.MsgspecError, SafetensorError, zlib.error, KeyError, TypeError) as error:
        raise StoredWindowError(f"the stored window is of another release, or damaged ({type(error).__name__})") from None
    return replace(
        StoredWindow(score, explanation, inputs, text.words),
        words_before=text.words_before,
        redacted=text.redacted,
        words_encoded=text.words_encoded,
        log_mel=log_mel,
        log_mel_ms=text.log_mel_ms,
    )
