"""Whisper and its relatives: openai-whisper, faster-whisper, whisperX, whisper.cpp, Hugging Face, and NVIDIA NeMo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stream.media.transcript.payload import unescaped
from stream.media.transcript.recognisers.entries import (
    Entry,
    Json,
    child,
    confidence,
    dicts,
    entry_text,
    has_text,
    phrase,
    punctuated,
    read_entries,
    read_entry,
    segment_of_words,
    segments_of_entries,
    speaker,
    string,
    without_lone_channel,
)
from stream.media.transcript.segment import Segment
from stream.media.transcript.times import as_number, milliseconds

_LISTS = ("segments", "words", "word_segments")


def whisper_cpp(documents: Sequence[Json]) -> list[Segment] | None:
    """whisper.cpp's ``-oj`` and ``-ojf``: ``transcription`` with ``offsets`` in milliseconds, and perhaps ``tokens``."""
    phrases = [entry for document in documents for entry in dicts(document.get("transcription")) if "offsets" in entry]
    if not phrases and not any(isinstance(d.get("transcription"), list) and "systeminfo" in d for d in documents):
        return None
    read = [_cpp_phrase(entry) for entry in phrases]
    if all(len(segment.stretches) == 1 and len(segment.text.split()) <= 1 for segment in read):
        # With --max-len 1 each phrase is a token: a word, a part of one, or its punctuation.
        return segments_of_entries([Entry(string(entry.get("text")), *_offsets(entry)) for entry in phrases])
    return read


def _cpp_phrase(entry: Json) -> Segment:
    name = entry.get("speaker")
    whole = Entry(string(entry.get("text")), *_offsets(entry), speaker=None if name == "?" else speaker(name))
    tokens = [
        Entry(string(token.get("text")), *_offsets(token), confidence(token.get("p")))
        for token in dicts(entry.get("tokens"))
        if not string(token.get("text")).startswith(("[_", "<|"))
    ]
    # A character of several tokens is damaged in each of them: the text alone is right then.
    joined = unescaped("".join(token.text for token in tokens))
    if tokens and joined.split() == unescaped(whole.text).split():
        return segment_of_words(tokens, whole, glued=True)
    return phrase(whole)


def _offsets(entry: Json) -> tuple[float | None, float | None]:
    return milliseconds(child(entry, "offsets", "from")), milliseconds(child(entry, "offsets", "to"))


def segments(documents: Sequence[Json]) -> list[Segment] | None:
    """A list ``segments`` with or without ``words``, or a list ``words`` or ``word_segments`` alone, with times in seconds.

    openai-whisper, faster-whisper, whisperX, whisper-timestamped, stable-ts and OpenAI's API write this; our own form does, too.
    """
    found = [d for d in documents if any(isinstance(d.get(key), list) for key in _LISTS)]
    # A document with times of its own is a segment, one of a list.
    if not found or any("start" in d or "start_ms" in d or "s" in d for d in found):
        return None
    listed = [entry for d in found for key in _LISTS for entry in dicts(d.get(key))]
    if listed and not any(has_text(entry) or "words" in entry for entry in listed):
        # Segments of something else than text.
        return None
    return [segment for document in found for segment in _document_segments(document)]


def _document_segments(document: Json) -> list[Segment]:
    parts, words = dicts(document.get("segments")), dicts(document.get("words"))
    if words and not any(part.get("words") for part in parts):
        entries = read_entries(words, "$.words")
        text = " ".join(string(part.get("text")).strip() for part in parts) or string(document.get("text"))
        return segments_of_entries(punctuated(entries, text))
    if not parts:
        return segments_of_entries(read_entries(dicts(document.get("word_segments")), "$.word_segments"))
    return read_parts(parts, "$.segments")


def read_parts(parts: Sequence[Json], path: str) -> list[Segment]:
    """Segments of phrases that may have ``words``."""
    read = []
    for number, part in enumerate(parts, start=1):
        words = read_entries(dicts(part.get("words")), f"{path}[{number - 1}].words")
        whole = read_entry(part, number, f"{path}[{number - 1}]")
        if any(word.start_ms is not None for word in words):
            bounds = whole or Entry("")
            read.append(segment_of_words(punctuated(words, bounds.text), replace(bounds, text="", confidence=None)))
        elif whole is not None:
            read.append(phrase(whole))
    return without_lone_channel(read)


def chunks(documents: Sequence[Json]) -> list[Segment] | None:
    """Hugging Face's pipeline: ``chunks`` with ``timestamp`` pairs; insanely-fast-whisper adds ``speakers`` of the same form."""
    found = [document for document in documents if isinstance(document.get("chunks"), list)]
    if not found:
        return None
    lists = [dicts(document.get("speakers")) or dicts(document["chunks"]) for document in found]
    return segments_of_entries([entry for listed in lists for entry in read_entries(listed, "$.chunks")])


def nemo(documents: Sequence[Json]) -> list[Segment] | None:
    """NVIDIA NeMo and Parakeet: ``timestamp`` (or ``timestamps``) with lists ``word`` and ``segment``."""
    stamps = [child(d, "timestamp") or child(d, "timestamps") for d in documents]
    found = [stamp for stamp in stamps if isinstance(stamp, dict) and ("word" in stamp or "segment" in stamp)]
    if not found:
        return None
    entries = [entry for stamp in found for entry in read_entries(dicts(stamp.get("word")) or dicts(stamp.get("segment")), "$.timestamp")]
    return segments_of_entries(entries)


def tuples(document: object) -> list[Segment] | None:
    """faster-whisper's named tuples, which become lists in JSON: segments, or words (start, end, word, probability)."""
    if not isinstance(document, list):
        return None
    rows = [row for row in document if isinstance(row, list)]
    if rows and rows[0] and isinstance(rows[0][0], list | dict):
        # (segments, info), as `transcribe` returns them.
        return next((read for row in rows if (read := tuples(row)) is not None or (read := _dict_rows(row)) is not None), None)
    words = [word for row in rows if (word := _word_row(row)) is not None]
    if words and len(words) == len(rows):
        return [segment_of_words(words, Entry(""))]
    read = [segment for row in rows if (segment := _segment_row(row)) is not None]
    return read or None


def _dict_rows(rows: list[object]) -> list[Segment] | None:
    parts = [part for part in dicts(rows) if "start" in part and entry_text(part, "$[0]") is not None]
    return read_parts(parts, "$[0]") or None


def _word_row(row: Sequence[object]) -> Entry | None:
    if len(row) not in (3, 4) or not isinstance(row[2], str):
        return None
    start, end = as_number(row[0]), as_number(row[1])
    if start is None or end is None:
        return None
    return Entry(row[2], start * 1000, end * 1000, confidence(row[3]) if len(row) == 4 else None)


def _segment_row(row: Sequence[object]) -> Segment | None:
    """The two numbers before the text are its times; the words are a list of lists anywhere behind it."""
    place = next((index for index, value in enumerate(row) if isinstance(value, str)), None)
    if place is None or place < 2:
        return None
    start, end = as_number(row[place - 2]), as_number(row[place - 1])
    text = string(row[place])
    if start is None or end is None:
        return None
    for value in row[place + 1 :]:
        rows = [word for word in value if isinstance(word, list)] if isinstance(value, list) else []
        words = [word for item in rows if (word := _word_row(item)) is not None]
        words += [word for word in read_entries(dicts(value), "$.words") if word.start_ms is not None]
        if words:
            return segment_of_words(words, Entry("", start * 1000, end * 1000))
    return phrase(Entry(text, start * 1000, end * 1000))
