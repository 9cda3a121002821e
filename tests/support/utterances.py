"""Where utterances lie, told in hindsight: a plain second way to what `stream.align.utterance` finds while a session goes on."""

from __future__ import annotations

from stream.align.utterance import LEAST_VOICE_MS, UtteranceRule
from stream.domain.modality import Modality
from tests.support.histories import Delivery, History

Spans = list[tuple[int, int]]


def utterances(history: History, track: str) -> Spans:
    """Start and end of a track's windows, given all of its chunks that count."""
    rule = history.policy.rule
    assert isinstance(rule, UtteranceRule)
    chunks = [d for d in history.deliveries if d.track == track and d.copy == 0]
    faces = [span for d in chunks if d.modality is Modality.VIDEO for span in _spans(d)]
    words = [span for d in chunks if d.modality is Modality.TEXT for span in _spans(d)]
    voice = [span for d in chunks if d.modality is Modality.AUDIO for span in _spans(d)]
    finals = [max(end for _, end in _spans(d)) for d in chunks if d.final and _spans(d)]
    found: Spans = []
    until = 0
    while (window := _next(rule, until, words, voice, faces, finals)) is not None:
        found.append(window)
        until = window[1]
    return found


def _next(rule: UtteranceRule, until: int, words: Spans, voice: Spans, faces: Spans, finals: list[int]) -> tuple[int, int] | None:
    speech = next((run for run in _runs(_after(until, words + voice), rule.pause_ms) if _counts(run, _after(until, words))), None)
    signs = [start for start, _ in _after(until, faces)] + ([speech[0][0]] if speech else [])
    if not signs:
        return None
    start = until if min(signs) - until < rule.pause_ms else min(signs)
    longest = start + rule.longest_ms
    if speech is None:
        return start, longest
    if speech[0][0] - start >= rule.pause_ms:
        return start, min(longest, speech[0][0])
    return start, min([longest, max(end for _, end in speech), *(final for final in finals if final > start)])


def _spans(d: Delivery) -> Spans:
    cut = [(max(a, 0), min(b, d.duration_ms)) for a, b in d.spans or ()]
    if d.modality is Modality.AUDIO:
        cut = [(at, min(at + 100, d.duration_ms)) for at in range(0, d.duration_ms, 100) if any(a <= at < b for a, b in cut)]
    return [(d.start_ms + a, d.start_ms + b) for a, b in cut]


def _after(until: int, spans: Spans) -> Spans:
    return sorted((max(start, until), end) for start, end in spans if end > until)


def _runs(speech: Spans, pause_ms: int) -> list[Spans]:
    runs: list[Spans] = []
    for span in speech:
        if runs and span[0] - max(end for _, end in runs[-1]) < pause_ms:
            runs[-1].append(span)
        else:
            runs.append([span])
    return runs


def _counts(run: Spans, words: Spans) -> bool:
    heard = {ms for start, end in run for ms in range(start, end)}
    return any(span in words for span in run) or len(heard) >= LEAST_VOICE_MS
