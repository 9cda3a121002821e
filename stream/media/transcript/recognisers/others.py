"""AssemblyAI, Vosk, Speechmatics, Rev AI, ElevenLabs, Gladia, YouTube, and lists of entries of any tool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stream.media.transcript.recognisers.entries import (
    Entry,
    Json,
    channel,
    confidence,
    dicts,
    first_dict,
    phrase,
    read_entries,
    read_entry,
    segment_of_words,
    segments_of_entries,
    speaker,
    string,
)
from stream.media.transcript.recognisers.whisper import read_parts
from stream.media.transcript.segment import Segment
from stream.media.transcript.times import as_number, milliseconds, seconds_ms

_ENTRY_TEXTS = ("text", "w", "word", "transcript", "content", "sentence", "body")
_ENTRY_TIMES = ("start_ms", "startMs", "s", "start", "start_time", "startTime", "begin", "from", "ts", "timestamp")
_ENTRY_LISTS = (
    *("utterances", "sentences", "captions", "cues", "items", "transcript"),
    *("transcription", "results", "entries", "lines", "data"),
)
_ASSEMBLY_KEYS = ("audio_duration", "acoustic_model", "language_model", "speech_model", "audio_url", "utterances", "webhook_url")


def assemblyai(documents: Sequence[Json]) -> list[Segment] | None:
    """AssemblyAI: ``words`` with ``text`` and times in whole milliseconds, or the messages of a stream."""
    turns = _assembly_turns(documents)
    if turns is not None:
        return [segment for turn in turns for segment in _assembly_words(turn)]
    found = [d for d in documents if _is_assembly(d)]
    if not found:
        return None
    read = []
    for document in found:
        segments = _assembly_words(document) or [s for u in dicts(document.get("utterances")) for s in _assembly_words(u)]
        if not segments and string(document.get("text")).strip():
            segments = [phrase(Entry(string(document["text"])))]
        read += segments
    return read


def _is_assembly(document: Json) -> bool:
    words = dicts(document.get("words"))
    if not ("words" in document or "utterances" in document) or not any(key in document for key in _ASSEMBLY_KEYS):
        return False
    listed = words or dicts(document.get("utterances"))
    return all("text" in w and isinstance(w.get("start"), int) and isinstance(w.get("end"), int) for w in listed)


def _assembly_turns(documents: Sequence[Json]) -> list[Json] | None:
    """Final messages of a stream, in the old protocol or in the new one, which sends a turn again when it is formatted."""
    old = [d for d in documents if d.get("message_type") in ("FinalTranscript", "PartialTranscript")]
    new = [d for d in documents if d.get("type") == "Turn" and "turn_order" in d]
    if not old and not new:
        return None
    turns = {string(d["turn_order"]): d for d in new if d.get("end_of_turn")}
    return [d for d in old if d["message_type"] == "FinalTranscript"] + list(turns.values())


def _assembly_words(turn: Json) -> list[Segment]:
    """Segments of a transcript, an utterance or a turn, one for each channel. Channels count from 1."""
    times = milliseconds(turn.get("start", turn.get("audio_start"))), milliseconds(turn.get("end", turn.get("audio_end")))
    whole = Entry(string(turn.get("text")), *times, confidence(turn.get("confidence")), speaker(turn.get("speaker")))
    by_channel: dict[int | None, list[Entry]] = {}
    for word in read_entries(dicts(turn.get("words")), "$.words", milliseconds):
        by_channel.setdefault(word.channel, []).append(word)
    if by_channel:
        bounds = Entry("", whole.start_ms, whole.end_ms, None, whole.speaker)
        return [
            segment_of_words(listed, replace(bounds, channel=number - 1 if number else None), glued=False)
            for number, listed in by_channel.items()
        ]
    return [phrase(whole)] if whole.text.strip() and whole.start_ms is not None else []


def vosk(documents: Sequence[Json]) -> list[Segment] | None:
    """Vosk and Kaldi: one object for each final result, with ``result``; partial results are left out."""
    fields = {"text", "partial", "result", "partial_result", "spk", "spk_frames", "alternatives"}
    finals = [best for d in documents for best in [d, *dicts(d.get("alternatives"))[:1]] if _is_vosk(best)]
    if not finals and not (documents and all(d and set(d) <= fields and ("text" in d or "partial" in d) for d in documents)):
        return None
    read = []
    for final in finals:
        read.append(segment_of_words(read_entries(dicts(final["result"]), "$.result"), Entry(""), glued=False))
    untimed = [] if finals else [phrase(Entry(string(d["text"]))) for d in documents if string(d.get("text")).strip()]
    return read + untimed


def _is_vosk(document: Json) -> bool:
    return any("word" in word and "start" in word for word in dicts(document.get("result")))


def speechmatics(documents: Sequence[Json]) -> list[Segment] | None:
    """Speechmatics: ``results`` of words and punctuation, each with its times and ``alternatives``."""
    lists = [dicts(d.get("results")) for d in documents if d.get("message") != "AddPartialTranscript"]
    items = [item for results in lists for item in results if "start_time" in item and _is_content(item)]
    if not items:
        return None
    by_channel: dict[str, list[Entry]] = {}
    for item in items:
        best = first_dict(item.get("alternatives"))
        name = best.get("speaker", item.get("speaker"))
        times = seconds_ms(item.get("start_time")), seconds_ms(item.get("end_time"))
        voice = speaker(item.get("channel")) or (None if name == "UU" else speaker(name))
        word = Entry(string(best.get("content")), *times, confidence(best.get("confidence")), voice)
        by_channel.setdefault(string(item.get("channel")), []).append(word)
    return [segment_of_words(words, Entry(""), glued=False) for words in by_channel.values()]


def _is_content(item: Json) -> bool:
    return any("content" in best for best in dicts(item.get("alternatives")))


def rev(documents: Sequence[Json]) -> list[Segment] | None:
    """Rev AI: ``monologues`` of ``elements``; blanks and punctuation are elements without times."""
    found = [document for document in documents if isinstance(document.get("monologues"), list)]
    if not found:
        return None
    read = []
    for monologue in (m for document in found for m in dicts(document["monologues"])):
        words = [
            Entry(string(e.get("value")), seconds_ms(e.get("ts")), seconds_ms(e.get("end_ts")), confidence(e.get("confidence")))
            for e in dicts(monologue.get("elements"))
        ]
        read.append(segment_of_words(words, Entry("", speaker=speaker(monologue.get("speaker"))), glued=False))
    return read


def elevenlabs(documents: Sequence[Json]) -> list[Segment] | None:
    """ElevenLabs: ``words`` of the types word, spacing and audio_event, also one list for each channel."""
    lists = [d for one in documents for d in [one, *dicts(one.get("transcripts"))]]
    found = [d for d in lists if any(w.get("type") in ("word", "spacing", "audio_event") for w in dicts(d.get("words")))]
    if not found:
        return None
    read = []
    for document in found:
        words = []
        for number, value in enumerate(dicts(document["words"]), start=1):
            word = read_entry(value, number, "$.words")
            if word is not None and value.get("type") != "spacing":
                text = f"[{word.text.strip('()[]')}]" if value.get("type") == "audio_event" else word.text
                words.append(Entry(text, word.start_ms, word.end_ms, word.confidence, word.speaker))
        read.append(segment_of_words(words, Entry("", channel=channel(document.get("channel_index"))), glued=False))
    return read


def youtube(documents: Sequence[Json]) -> list[Segment] | None:
    """YouTube's ``json3``: ``events`` with ``segs``, whose times are offsets in milliseconds."""
    events = [e for d in documents for e in dicts(d.get("events")) if "tStartMs" in e]
    if not events:
        return None
    spoken = [event for event in events if any(string(part.get("utf8")).strip() for part in dicts(event.get("segs")))]
    read = []
    for index, event in enumerate(spoken):
        start_ms = milliseconds(event.get("tStartMs")) or 0.0
        end_ms = start_ms + (milliseconds(event.get("dDurationMs")) or 0.0)
        following_ms = milliseconds(spoken[index + 1].get("tStartMs")) if index + 1 < len(spoken) else None
        # A line stays on the screen while the next one is spoken.
        end_ms = end_ms if following_ms is None or following_ms < start_ms else min(end_ms, following_ms)
        parts = dicts(event.get("segs"))
        words = [Entry(string(s.get("utf8")), start_ms + (as_number(s.get("tOffsetMs")) or 0.0)) for s in parts]
        if any("tOffsetMs" in part for part in parts):
            read.append(segment_of_words([w for w in words if w.text.strip()], Entry("", start_ms, end_ms), glued=True))
        else:
            read.append(phrase(Entry("".join(word.text for word in words), start_ms, end_ms)))
    return read


def entries(documents: Sequence[Json]) -> list[Segment] | None:
    """Entries in a list of any of the usual names (Gladia: ``utterances``), or a plain list of them: our own form."""
    for key in _ENTRY_LISTS:
        parts = [part for document in documents for part in dicts(document.get(key))]
        if _are_entries(parts):
            return _with_words(parts, f"$.{key}")
    return _with_words(list(documents), "$") if _are_entries(documents) else None


def _are_entries(parts: Sequence[Json]) -> bool:
    return any(_is_entry(part) for part in parts)


def _is_entry(part: Json) -> bool:
    return any(key in part for key in _ENTRY_TEXTS) and any(key in part for key in _ENTRY_TIMES)


def _with_words(parts: Sequence[Json], path: str) -> list[Segment]:
    if any(isinstance(part.get("words"), list) for part in parts):
        return read_parts(parts, path)
    return segments_of_entries(read_entries(parts, path))
