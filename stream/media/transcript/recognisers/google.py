"""Google Speech-to-Text (v1, v2, streams) and IBM Watson, whose ``results`` hold ``alternatives`` with a ``transcript``."""

from __future__ import annotations

from collections.abc import Sequence

from stream.media.transcript.recognisers.entries import (
    Entry,
    Json,
    channel,
    child,
    confidence,
    dicts,
    first_dict,
    phrase,
    punctuated,
    read_entry,
    rows_of,
    segment_of_words,
    speaker,
    string,
    without_lone_channel,
)
from stream.media.transcript.segment import Segment
from stream.media.transcript.times import as_number, seconds_ms


def google(documents: Sequence[Json]) -> list[Segment] | None:
    """Results of `recognize`, `longrunningrecognize`, `batchRecognize` and of streams."""
    results = [result for document in documents for result in _results(document) if _is_result(result)]
    if not results:
        return None
    # Streams send each result several times until it is final.
    finals = [result for result in results if result.get("isFinal", result.get("is_final"))]
    results = finals or [result for result in results if result.get("isFinal", result.get("is_final")) is None]
    words = [_words(result) for result in results]
    tagged = [any(word.speaker for word in listed) for listed in words]
    if len(words) > 1 and tagged[-1] and not any(tagged[:-1]) and len(words[-1]) >= sum(map(len, words[:-1])):
        # With diarisation, the last result repeats all words and adds their speakers.
        results, words = results[-1:], words[-1:]
    read: list[Segment] = []
    ends_ms: dict[int | None, float] = {}
    for result, listed in zip(results, words, strict=True):
        number = channel(result.get("channelTag", result.get("channel_tag")), first=1)
        best = first_dict(result.get("alternatives"))
        end_ms = seconds_ms(next((result[k] for k in ("resultEndTime", "resultEndOffset", "result_end_time") if k in result), None))
        whole = Entry(string(best.get("transcript")), ends_ms.get(number, 0.0), end_ms, confidence(best.get("confidence")), channel=number)
        ends_ms[number] = ends_ms.get(number, 0.0) if end_ms is None else end_ms
        if any(word.start_ms is not None or word.end_ms is not None for word in listed):
            whole = Entry("", confidence=whole.confidence or None, channel=number)
            read.append(segment_of_words(listed, whole, glued=False))
        else:
            read.append(phrase(whole if end_ms is not None else Entry(whole.text, channel=number)))
    return without_lone_channel(read)


def _results(document: Json) -> list[Json]:
    for results in (document.get("results"), child(document, "response", "results")):
        if isinstance(results, list):
            return dicts(results)
        if isinstance(results, dict):
            files = [child(r, "transcript", "results") or child(r, "inlineResult", "transcript", "results") for r in results.values()]
            return [result for file in files for result in dicts(file)]
    return []


def _is_result(result: Json) -> bool:
    return any("transcript" in best or "words" in best for best in dicts(result.get("alternatives")))


def _words(result: Json) -> list[Entry]:
    best = first_dict(result.get("alternatives"))
    words = []
    for number, value in enumerate(dicts(best.get("words")), start=1):
        # Protobuf leaves out what is zero: a word without a start begins with the recording, and tag 0 is no speaker.
        has_end = any(key in value for key in ("endTime", "endOffset", "end_time", "end_offset"))
        has_start = any(key in value for key in ("startTime", "startOffset", "start_time", "start_offset"))
        known = {k: v for k, v in value.items() if not (k in ("speakerTag", "speaker_tag", "confidence") and v == 0)}
        word = read_entry(known if has_start or not has_end else {"startOffset": "0s", **_offsets(known)}, number, "$.words")
        words += [word] if word is not None else []
    return punctuated(words, string(best.get("transcript")))


def _offsets(value: Json) -> Json:
    names = {"endTime": "endOffset", "end_time": "endOffset", "end_offset": "endOffset"}
    return {names.get(key, key): item for key, item in value.items()}


def watson(documents: Sequence[Json]) -> list[Segment] | None:
    """IBM Watson: ``timestamps`` and ``word_confidence`` as lists, and ``speaker_labels`` beside the results."""
    results = [result for document in documents for result in dicts(document.get("results"))]
    bests = [first_dict(result.get("alternatives")) for result in results if result.get("final") is not False]
    if not any("timestamps" in best for best in bests):
        return None
    speakers = {
        as_number(label.get("from")): speaker(label.get("speaker"))
        for document in documents
        for label in dicts(document.get("speaker_labels"))
    }
    read = []
    for best in bests:
        stamps = rows_of(best.get("timestamps"), 3)
        sure = [row[1] for row in rows_of(best.get("word_confidence"), 2)]
        sure = sure if len(sure) == len(stamps) else [best.get("confidence")] * len(stamps)
        words = [
            Entry(string(row[0]), seconds_ms(row[1]), seconds_ms(row[2]), confidence(p), speakers.get(as_number(row[1])))
            for row, p in zip(stamps, sure, strict=True)
        ]
        if words:
            read.append(segment_of_words(words, Entry(""), glued=False))
    return read
