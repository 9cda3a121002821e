"""Azure AI Speech: batch transcription, fast transcription, and the detailed results of its SDK."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stream.media.transcript.recognisers.entries import (
    Entry,
    Json,
    channel,
    confidence,
    dicts,
    end_ms_of,
    first_dict,
    phrase,
    punctuated,
    segment_of_words,
    speaker,
    string,
    without_lone_channel,
)
from stream.media.transcript.segment import Segment
from stream.media.transcript.times import milliseconds, seconds_ms, ticks_ms


def batch(documents: Sequence[Json]) -> list[Segment] | None:
    """``recognizedPhrases``, whose times are ticks of 100 ns and ISO 8601 durations."""
    found = [document for document in documents if isinstance(document.get("recognizedPhrases"), list)]
    if not found:
        return None
    phrases = [_lower(p) for document in found for p in dicts(document["recognizedPhrases"])]
    return without_lone_channel([segment for p in phrases if (segment := _recognised(p)) is not None])


def detailed(documents: Sequence[Json]) -> list[Segment] | None:
    """Results of the SDK and of the REST service: ``NBest``, or ``DisplayText`` alone, with ticks."""
    lowered = [_lower(document) for document in documents]
    found = [d for d in lowered if "nbest" in d or ("recognitionstatus" in d and "offset" in d) or ("displaytext" in d and "offset" in d)]
    if not found:
        return None
    return without_lone_channel([segment for result in found if (segment := _recognised(result)) is not None])


def fast(documents: Sequence[Json]) -> list[Segment] | None:
    """``phrases`` with ``offsetMilliseconds``."""
    found = [d for d in documents if isinstance(d.get("phrases"), list) and ("combinedPhrases" in d or "durationMilliseconds" in d)]
    if not found:
        return None
    return without_lone_channel([_fast_phrase(p) for document in found for p in dicts(document["phrases"])])


def _recognised(result: Json) -> Segment | None:
    if string(result.get("recognitionstatus")) not in ("", "Success", "0"):
        return None
    best = _lower(first_dict(result.get("nbest")))
    name = speaker(result.get("speaker", result.get("speakerid")))
    whole = Entry(
        string(best.get("display") or result.get("displaytext") or best.get("lexical")),
        *_ticks(result),
        confidence(best.get("confidence")),
        name,
        channel(result.get("channel")),
    )
    words = _words(best.get("displaywords")) or _words(best.get("words"))
    if any(word.start_ms is not None for word in words):
        return segment_of_words(punctuated(words, whole.text), whole, glued=False)
    return phrase(whole) if whole.text.strip() else None


def _words(values: object) -> list[Entry]:
    words = [_lower(value) for value in dicts(values)]
    return [Entry(string(w.get("word") or w.get("displaytext")), *_ticks(w), confidence(w.get("confidence"))) for w in words]


def _ticks(entry: Json) -> tuple[float | None, float | None]:
    start_ms = ticks_ms(entry.get("offsetinticks", entry.get("offset")))
    duration_ms = ticks_ms(entry.get("durationinticks", entry.get("duration")))
    # In a batch, "offset" is a duration such as PT1.3S.
    start_ms = seconds_ms(entry.get("offset")) if start_ms is None else start_ms
    duration_ms = seconds_ms(entry.get("duration")) if duration_ms is None else duration_ms
    return start_ms, end_ms_of(start_ms, duration_ms)


def _fast_phrase(value: Json) -> Segment:
    whole = Entry(
        string(value.get("text")),
        *_milliseconds(value),
        confidence(value.get("confidence")),
        speaker(value.get("speaker")),
        channel(value.get("channel")),
    )
    words = [Entry(string(w.get("text")), *_milliseconds(w)) for w in dicts(value.get("words"))]
    return segment_of_words(punctuated(words, whole.text), whole, glued=False) if words else phrase(whole)


def _milliseconds(entry: Json) -> tuple[float | None, float | None]:
    start_ms, duration_ms = milliseconds(entry.get("offsetMilliseconds")), milliseconds(entry.get("durationMilliseconds"))
    return start_ms, end_ms_of(start_ms, duration_ms)


def _lower(entry: dict[str, Any]) -> Json:
    """An object with lower-case keys: the SDK and the service differ in case alone."""
    return {key.lower(): value for key, value in entry.items()}
