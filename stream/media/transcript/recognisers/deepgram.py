"""Deepgram: recordings and live messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stream.media.transcript.recognisers.entries import (
    Entry,
    Json,
    channel,
    child,
    dicts,
    end_ms_of,
    first_dict,
    phrase,
    read_entries,
    segment_of_words,
    speaker,
    string,
    without_lone_channel,
)
from stream.media.transcript.segment import Segment
from stream.media.transcript.times import seconds_ms


def recording(documents: Sequence[Json]) -> list[Segment] | None:
    """``results.channels[].alternatives[].words``, or ``results.utterances`` where words are missing."""
    found = [r for d in documents if isinstance(r := d.get("results"), dict) and ("channels" in r or "utterances" in r)]
    if not found:
        return None
    read = []
    for results in found:
        channels = dicts(results.get("channels"))
        segments = [
            _words(first_dict(one.get("alternatives")), Entry("", channel=number if len(channels) > 1 else None))
            for number, one in enumerate(channels)
        ]
        spoken = [segment for segment in segments if segment is not None]
        read += spoken or without_lone_channel([_utterance(utterance) for utterance in dicts(results.get("utterances"))])
    return read


def live(documents: Sequence[Json]) -> list[Segment] | None:
    """Messages of a live connection. Interim results are left out, because a final one follows."""
    found = [d for d in documents if child(d, "channel", "alternatives") is not None or d.get("type") == "SpeechStarted"]
    if not found:
        return None
    read = []
    for message in found:
        if message.get("is_final") is False:
            continue
        numbers = message.get("channel_index")
        start_ms, duration_ms = seconds_ms(message.get("start")), seconds_ms(message.get("duration"))
        end_ms = end_ms_of(start_ms, duration_ms)
        # The second number is that of all channels.
        number = channel(numbers[0]) if isinstance(numbers, list) and len(numbers) == 2 and numbers[1] != 1 else None
        segment = _words(first_dict(child(message, "channel", "alternatives")), Entry("", start_ms, end_ms, channel=number))
        read += [segment] if segment is not None else []
    return read


def _words(best: Json, whole: Entry) -> Segment | None:
    words = read_entries(dicts(best.get("words")), "$.words")
    if words:
        return segment_of_words(words, whole, glued=False)
    text = string(best.get("transcript"))
    return phrase(replace(whole, text=text)) if text.strip() else None


def _utterance(utterance: Json) -> Segment:
    times = seconds_ms(utterance.get("start")), seconds_ms(utterance.get("end"))
    whole = Entry("", *times, speaker=speaker(utterance.get("speaker")), channel=channel(utterance.get("channel")))
    best = {"words": utterance.get("words"), "transcript": utterance.get("transcript")}
    segment = _words(best, whole)
    return segment if segment is not None else phrase(whole)
