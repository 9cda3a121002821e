"""The table of JSON shapes: a file is recognised by its content, not by its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from stream.media.errors import TranscriptError
from stream.media.transcript.recognisers import amazon, deepgram, google, microsoft, others, whisper
from stream.media.transcript.recognisers.entries import Json, dicts
from stream.media.transcript.segment import Segment

Reader = Callable[[Sequence[Json]], list[Segment] | None]

SHAPES: tuple[tuple[str, Reader], ...] = (
    ("whisper.cpp", whisper.whisper_cpp),
    ("Amazon Transcribe", amazon.transcribe),
    ("Amazon Transcribe streaming", amazon.streaming),
    ("Amazon Contact Lens", amazon.contact_lens),
    ("Deepgram", deepgram.recording),
    ("Deepgram live", deepgram.live),
    ("Speechmatics", others.speechmatics),
    ("IBM Watson", google.watson),
    ("Google Speech-to-Text", google.google),
    ("Azure batch transcription", microsoft.batch),
    ("Azure Speech SDK", microsoft.detailed),
    ("Azure fast transcription", microsoft.fast),
    ("AssemblyAI", others.assemblyai),
    ("ElevenLabs", others.elevenlabs),
    ("Rev AI", others.rev),
    ("YouTube json3", others.youtube),
    ("Vosk", others.vosk),
    ("NVIDIA NeMo", whisper.nemo),
    ("Hugging Face", whisper.chunks),
    ("Whisper (openai-whisper, faster-whisper, whisperX)", whisper.segments),
    ("a list of entries with text, start_ms and end_ms", others.entries),
)
"""Name and reader of each shape, the most special first. A reader returns None for documents of another shape."""

_WRAPPERS = ("output", "result", "data", "response", "transcript", "transcription", "prediction", "payload", "body")
"""Keys under which services put a recogniser's document."""

MAX_WRAPPERS = 4


def read_document(document: Any) -> list[Segment]:
    """Segments of a JSON document.

    Args:
        document: The parsed file; a list of documents if it holds several.

    Raises:
        TranscriptError: The shape is not known, and the message names those that are; or a value has the wrong type.
    """
    segments = _read(document, MAX_WRAPPERS)
    if segments is None:
        *known, last = (name for name, _ in SHAPES)
        raise TranscriptError(f"the JSON has no shape that is known: {', '.join(known)}, or {last}")
    return segments


def _read(document: Any, wrappers: int) -> list[Segment] | None:
    listed = document if isinstance(document, list) else [document]
    documents = dicts(listed)
    for _, reader in SHAPES if documents else ():
        segments = reader(documents)
        if segments is not None:
            return segments
    if (segments := whisper.tuples(document)) is not None:
        return segments
    if isinstance(document, list) and not document:
        return []
    if wrappers and len(documents) == 1:
        for key in _WRAPPERS:
            if isinstance(inner := documents[0].get(key), dict | list) and (segments := _read(inner, wrappers - 1)) is not None:
                return segments
    return None
