"""The utterances of a session, found with all its chunks at hand.

A plain second implementation of what `stream.align.utterance` finds while the session goes on.
"""

from __future__ import annotations

from stream.align.utterance import UtteranceWindower
from stream.domain.features import LEAST_VOICE_MS
from stream.domain.modality import Modality
from tests.support.histories import Delivery, History

Spans = list[tuple[int, int]]


def utterances(history: History, track: str) -> Spans:
    """Start and end of a track's windows, given all of its chunks that count."""
    windower = history.policy.windower
    assert isinstance(windower, UtteranceWindower)
    chunks = [d for d in history.deliveries if d.track == track and d.copy == 0]
    faces = [span for d in chunks if d.modality is Modality.VIDEO for span in _spans(d)]
    words = [span for d in chunks if d.modality is Modality.TEXT for span in _spans(d)]
    voice = [span for d in chunks if d.modality is Modality.AUDIO for span in _spans(d)]
    finals = [max(end for _, end in _spans(d)) for d in chunks if d.ends_utterance and _spans(d)]
    found: Spans = []
    until = 0
    while (window := _next(windower, until, words, voice, faces, finals)) is not None:
        found.append(window)
        until = window[1]
    return found


def _next(windower: UtteranceWindower, until: int, words: Spans, voice: Spans, faces: Spans, finals: list[int]) -> tuple[int, int] | None:
    runs = _speech_runs(_after(until, words + voice), windower.pause_ms)
    speech = next((run for run in runs if _is_speech(run, _after(until, words))), None)
    starts = [start for start, _ in _after(until, faces)] + ([speech[0][0]] if speech else [])
    if not starts:
        return None
    start = until if min(starts) - until < windower.pause_ms else min(starts)
    longest_end = start + windower.longest_ms
    if speech is None:
        return start, longest_end
    if speech[0][0] - start >= windower.pause_ms:
        return start, min(longest_end, speech[0][0])
    return start, min([longest_end, max(end for _, end in speech), *(final for final in finals if final > start)])


def _spans(d: Delivery) -> Spans:
    spans = [(max(a, 0), min(b, d.duration_ms)) for a, b in d.spans or ()]
    if d.modality is Modality.AUDIO:
        spans = [(at, min(at + 100, d.duration_ms)) for at in range(0, d.duration_ms, 100) if any(a <= at < b for a, b in spans)]
    return [(d.start_ms + a, d.start_ms + b) for a, b in spans]


def _after(until: int, spans: Spans) -> Spans:
    return sorted((max(start, until), end) for start, end in spans if end > until)


def _speech_runs(speech: Spans, pause_ms: int) -> list[Spans]:
    """Speech grouped where its gaps are shorter than the pause."""
    runs: list[Spans] = []
    for span in speech:
        if runs and span[0] - max(end for _, end in runs[-1]) < pause_ms:
            runs[-1].append(span)
        else:
            runs.append([span])
    return runs


def _is_speech(run: Spans, words: Spans) -> bool:
    """Whether a run has a word or enough voice, and is no noise."""
    voiced_ms = {ms for start, end in run for ms in range(start, end)}
    return any(span in words for span in run) or len(voiced_ms) >= LEAST_VOICE_MS
