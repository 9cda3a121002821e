"""Amazon Transcribe (files and streams) and Contact Lens."""

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
    segment_of_words,
    speaker,
    string,
    without_lone_channel,
)
from stream.media.transcript.segment import Segment
from stream.media.transcript.times import milliseconds, seconds_ms


def transcribe(documents: Sequence[Json]) -> list[Segment] | None:
    """A job's result: ``results.items``, with speakers or channels beside them."""
    found = [r for d in documents if isinstance(r := d.get("results"), dict) and ("items" in r or "transcripts" in r)]
    if not found:
        return None
    return [segment for results in found for segment in _job(results)]


def _job(results: Json) -> list[Segment]:
    speakers = {
        string(item.get("start_time")): item.get("speaker_label")
        for part in dicts(child(results, "speaker_labels", "segments"))
        for item in dicts(part.get("items"))
    }
    channels = dicts(child(results, "channel_labels", "channels"))
    several = len(channels) > 1
    lists = [(channel(c.get("channel_label")) if several else None, dicts(c.get("items"))) for c in channels] or [
        (None, dicts(results.get("items")))
    ]
    read = [
        segment_of_words([_item(item, speakers) for item in items], Entry("", channel=number), glued=False)
        for number, items in lists
        if items
    ]
    if read:
        return read
    return [phrase(Entry(string(t.get("transcript")))) for t in dicts(results.get("transcripts"))]


def _item(item: Json, speakers: dict[str, object]) -> Entry:
    best = first_dict(item.get("alternatives"))
    name = item.get("speaker_label") or speakers.get(string(item.get("start_time")))
    times = seconds_ms(item.get("start_time")), seconds_ms(item.get("end_time"))
    return Entry(string(best.get("content")), *times, confidence(best.get("confidence")), speaker(name))


def streaming(documents: Sequence[Json]) -> list[Segment] | None:
    """Events of a stream: ``Transcript.Results``. Partial results are left out, because a final one follows."""
    paths = (("Transcript", "Results"), ("TranscriptEvent", "Transcript", "Results"), ("Results",))
    lists = [next((found for path in paths if (found := child(d, *path)) is not None), None) for d in documents]
    if not any(isinstance(results, list) for results in lists):
        return None
    read = []
    for result in (result for results in lists for result in dicts(results)):
        best = first_dict(result.get("Alternatives"))
        if result.get("IsPartial") or not best:
            continue
        times = seconds_ms(result.get("StartTime")), seconds_ms(result.get("EndTime"))
        whole = Entry(string(best.get("Transcript")), *times, channel=channel(result.get("ChannelId")))
        words = [
            Entry(
                string(item.get("Content")),
                seconds_ms(item.get("StartTime")) if item.get("Type") != "punctuation" else None,
                seconds_ms(item.get("EndTime")) if item.get("Type") != "punctuation" else None,
                confidence(item.get("Confidence")),
                speaker(item.get("Speaker")),
            )
            for item in dicts(best.get("Items"))
        ]
        read.append(segment_of_words(words, whole, glued=False) if words else phrase(whole))
    return without_lone_channel(read)


def contact_lens(documents: Sequence[Json]) -> list[Segment] | None:
    """Contact Lens and Call Analytics: ``Transcript`` (after a call) or ``Segments`` (during it), with the participant of each turn."""
    turns: dict[str, Json] = {}
    known = False
    roles: dict[str, str] = {}
    for document in documents:
        roles |= {string(p.get("ParticipantId")): string(p.get("ParticipantRole")) for p in dicts(document.get("Participants"))}
        listed = document.get("Transcript")
        live = document.get("Segments")
        known |= (isinstance(listed, list) and "Participants" in document) or isinstance(live, list)
        found = [*dicts(listed), *(part["Transcript"] for part in dicts(live) if isinstance(part.get("Transcript"), dict))]
        for turn in found:
            if "BeginOffsetMillis" in turn or "Content" in turn:
                known = True
                # Pages and streams repeat a turn, with the same Id.
                turns[string(turn.get("Id")) or f"#{len(turns)}"] = turn
    return [_turn(turn, roles) for turn in turns.values()] if known else None


def _turn(turn: Json, roles: dict[str, str]) -> Segment:
    participant = string(turn.get("ParticipantId"))
    name = string(turn.get("ParticipantRole")) or roles.get(participant) or participant
    whole = Entry(string(turn.get("Content")), *_millis(turn), speaker=speaker(name or None))
    words = [Entry(string(item.get("Content")), *_millis(item), confidence(item.get("Confidence"))) for item in dicts(turn.get("Items"))]
    if any(word.start_ms is not None for word in words):
        return segment_of_words(punctuated(words, whole.text), whole, glued=False)
    return phrase(whole)


def _millis(entry: Json) -> tuple[float | None, float | None]:
    return milliseconds(entry.get("BeginOffsetMillis")), milliseconds(entry.get("EndOffsetMillis"))
