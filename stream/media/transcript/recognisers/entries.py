"""What the JSON of most recognisers is made of: entries with a text, two times, and perhaps a confidence and a speaker."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stream.media.errors import TranscriptError
from stream.media.transcript.marks import closes_word
from stream.media.transcript.payload import parse_payload, speaker_name, unescaped
from stream.media.transcript.segment import Segment, Stretch
from stream.media.transcript.times import as_number, milliseconds, seconds_ms

Json = dict[str, Any]
Unit = Callable[[object], float | None]

_TEXTS = ("punctuated_word", "text", "word", "w", "transcript", "content", "value", "sentence", "body", "segment", "char")
_SPANS: tuple[tuple[str, str, Unit | None], ...] = (
    ("start_ms", "end_ms", milliseconds),
    ("startMs", "endMs", milliseconds),
    ("s", "e", None),
    ("start", "end", None),
    ("start", "stop", None),
    ("start_time", "end_time", None),
    ("startTime", "endTime", None),
    ("startOffset", "endOffset", None),
    ("start_offset", "end_offset", None),
    ("begin", "end", None),
    ("from", "to", None),
    ("ts", "end_ts", None),
)
_OWN_KEYS = ("start_ms", "end_ms", "s", "e")
_CONFIDENCES = ("confidence", "p", "probability", "score", "conf", "prob")
_LOG_PROBABILITIES = ("logprob", "log_prob")
_SPEAKERS = ("speaker", "speaker_id", "speakerId", "speaker_label", "speakerLabel", "speakerTag", "speaker_tag", "speaker_name")
_GLUED_SHARE = 0.5
"""Where so many words begin with a blank, as Whisper's tokens do, one without it continues the word before it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A word or phrase. The fields are those of `Segment` and `Stretch`."""

    text: str
    start_ms: float | None = None
    end_ms: float | None = None
    confidence: float | None = None
    speaker: str | None = None
    channel: int | None = None


def dicts(value: object) -> list[Json]:
    """The objects of a list; none if it is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def first_dict(value: object) -> Json:
    """The first object of a list, as the best alternative is; an empty one if there is none."""
    return next(iter(dicts(value)), {})


def rows_of(value: object, length: int) -> list[list[Any]]:
    """The lists of this length in a list; none if it is no list."""
    return [row for row in value if isinstance(row, list) and len(row) == length] if isinstance(value, list) else []


def child(value: object, *keys: str) -> Any:
    """The value at the end of a path of keys; None if there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def string(value: object) -> str:
    """A text; a number as text, because some tools write the word "5" as a number; "" for anything else."""
    if isinstance(value, str):
        return value
    number = as_number(value)
    return "" if number is None or isinstance(value, dict) else f"{number:g}"


def confidence(value: object) -> float | None:
    """A probability, or None: a number that is none, such as a score of another kind, is left out."""
    number = as_number(value)
    return number if number is not None and 0 <= number <= 1 else None


def speaker(value: object) -> str | None:
    """The name of a speaker, or of an object with a ``name``; a number n is "Speaker n"."""
    if isinstance(value, dict):
        value = value.get("name")
    if isinstance(value, str):
        return speaker_name(f"Speaker {value}" if value.isdigit() else value)
    number = as_number(value)
    return None if number is None else f"Speaker {number:g}"


def channel(value: object, *, first: int = 0) -> int | None:
    """The number of a channel, from 0, of a number or of a label such as ``ch_1``; `first` is the tool's number of the first channel."""
    if isinstance(value, str):
        found = re.search(r"(\d{1,3})$", value.strip())
        value = int(found[1]) if found else None
    number = as_number(value)
    return int(number) - first if number is not None and first <= number < 1000 else None


def first_of(entry: Json, keys: Iterable[str]) -> Any:
    """The value of the first of these keys that has one."""
    return next((entry[key] for key in keys if entry.get(key) is not None), None)


def has_text(entry: Json) -> bool:
    """Whether an entry has a text under any of the usual keys."""
    return any(key in entry for key in _TEXTS)


def entry_text(entry: Json, path: str) -> str | None:
    """The text of an entry, or None. Raises `TranscriptError` with the path if it is of another type."""
    for key in _TEXTS:
        value = entry.get(key)
        if value is not None:
            if isinstance(value, dict | list | bool):
                raise TranscriptError(f"a value has the wrong type at {path}.{key}")
            return string(value)
    return None


def read_entry(entry: Json, number: int, path: str, unit: Unit = seconds_ms) -> Entry | None:
    """Read an entry.

    Args:
        entry: The object.
        number: Its number in its list, from 1, for messages.
        path: Where it is, for messages.
        unit: Of times whose key does not name a unit.

    Returns:
        The entry; None if it has no text.

    Raises:
        TranscriptError: A value has the wrong type; or an entry in our own form has a mistake.
    """
    text = entry_text(entry, path)
    start_ms, end_ms = entry_times(entry, unit)
    probability = confidence(first_of(entry, _CONFIDENCES))
    if any(key in entry for key in _OWN_KEYS):
        _check_own(number, text, start_ms, end_ms, first_of(entry, _CONFIDENCES))
    if text is None:
        return None
    log_probability = as_number(first_of(entry, _LOG_PROBABILITIES))
    if probability is None and log_probability is not None and log_probability <= 0:
        probability = math.exp(log_probability)
    return Entry(text, start_ms, end_ms, probability, speaker(first_of(entry, _SPEAKERS)), channel(entry.get("channel")))


def entry_times(entry: Json, unit: Unit) -> tuple[float | None, float | None]:
    """Start and end of an entry."""
    known = [span for span in _SPANS if entry.get(span[0]) is not None or entry.get(span[1]) is not None]
    whole = [span for span in known if entry.get(span[0]) is not None and entry.get(span[1]) is not None]
    for start_key, end_key, own_unit in (*whole, *known):
        start_ms, end_ms = (own_unit or unit)(entry.get(start_key)), (own_unit or unit)(entry.get(end_key))
        if end_ms is None and start_ms is not None and (duration_ms := unit(entry.get("duration"))) is not None:
            end_ms = start_ms + duration_ms
        return start_ms, end_ms
    pair = entry.get("timestamp")
    if isinstance(pair, list) and len(pair) == 2:
        return unit(pair[0]), unit(pair[1])
    return None, None


def _check_own(number: int, text: str | None, start_ms: float | None, end_ms: float | None, probability: object) -> None:
    if text is None or start_ms is None or end_ms is None:
        raise TranscriptError(f"entry {number} needs text, start_ms and end_ms (or w, s and e)")
    if not 0 <= start_ms <= end_ms:
        raise TranscriptError(f"entry {number} ends before it starts, or starts before 0")
    if probability is not None and confidence(probability) is None:
        raise TranscriptError(f"the confidence of entry {number} is not between 0 and 1")


def read_entries(values: Sequence[Json], path: str, unit: Unit = seconds_ms) -> list[Entry]:
    """The entries of a list that have a text. The arguments and errors are those of `read_entry`."""
    read = (read_entry(entry, number, f"{path}[{number - 1}]", unit) for number, entry in enumerate(values, start=1))
    return [entry for entry in read if entry is not None]


def end_ms_of(start_ms: float | None, duration_ms: float | None) -> float | None:
    """The end of what starts at a time and has a length; None if either is unknown."""
    return None if start_ms is None or duration_ms is None else start_ms + duration_ms


def segments_of_entries(entries: Sequence[Entry]) -> list[Segment]:
    """Segments of a list of words, or of a list of phrases."""
    if any(len(entry.text.split()) > 1 for entry in entries):
        return without_lone_channel([phrase(entry) for entry in entries])
    by_channel: dict[int | None, list[Entry]] = {}
    for entry in entries:
        by_channel.setdefault(entry.channel, []).append(entry)
    return without_lone_channel([segment_of_words(words, Entry("", channel=number)) for number, words in by_channel.items()])


def without_lone_channel(segments: Sequence[Segment]) -> list[Segment]:
    """The segments without their channel if all of them are of the first one: these tools give recordings of one channel its number."""
    lone = all(segment.channel in (None, 0) for segment in segments)
    return [replace(segment, channel=None) for segment in segments] if lone else list(segments)


def phrase(entry: Entry) -> Segment:
    """A segment of which only the whole has times."""
    segment = parse_payload(entry.text, entry.start_ms, entry.end_ms, markup=False)
    stretches = tuple(replace(stretch, confidence=entry.confidence) for stretch in segment.stretches)
    return replace(segment, stretches=stretches, speaker=entry.speaker, channel=entry.channel)


def segment_of_words(words: Sequence[Entry], whole: Entry, *, glued: bool | None = None) -> Segment:
    """A segment of words with their own times.

    Args:
        words: In order. A word without a speaker has that of the whole.
        whole: Times, speaker and channel of the segment; its text is not used.
        glued: A word without a blank before it continues the one before it; None decides by the words.
    """
    spoken = [word for word in words if word.text.strip()]
    if glued is None:
        glued = len(spoken) > 1 and sum(word.text[0].isspace() for word in spoken[1:]) >= _GLUED_SHARE * (len(spoken) - 1)
    stretches: list[Stretch] = []
    voices: list[tuple[int, str | None]] = []
    position = 0
    for word in spoken:
        text = unescaped(word.text) if glued else unescaped(word.text).strip()
        if stretches and closes_word(text.strip()):
            # Punctuation has no time, or one of its own, which is not that of the word.
            stretches[-1] = replace(stretches[-1], text=stretches[-1].text + text.strip())
            position += len(text.strip())
            continue
        text = text if glued or not stretches else f" {text}"
        name = word.speaker or whole.speaker
        if name != (voices[-1][1] if voices else whole.speaker):
            voices.append((position, name))
        end_ms = word.end_ms if word.start_ms is None or word.end_ms is None else max(word.start_ms, word.end_ms)
        stretches.append(Stretch(text, word.start_ms, end_ms, word.confidence if word.confidence is not None else whole.confidence))
        position += len(text)
    return Segment(tuple(stretches), whole.start_ms, whole.end_ms, whole.speaker, whole.channel, tuple(voices))


def punctuated(words: Sequence[Entry], text: str) -> list[Entry]:
    """Words as a text writes them, if it has the same words: some recognisers give times only to bare words."""
    written = text.split()
    if len(written) != len(words) or any(_bare(w) != _bare(word.text) for w, word in zip(written, words, strict=True)):
        return list(words)
    return [replace(word, text=w) for w, word in zip(written, words, strict=True)]


def _bare(word: str) -> str:
    return "".join(c for c in word.casefold() if c.isalnum())
