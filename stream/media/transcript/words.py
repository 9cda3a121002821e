"""Segments to words with times: what has no time of its own shares what is free, in proportion to its characters."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from stream.domain.features import Word
from stream.domain.kafka_records import MAX_WORD_CHARACTERS
from stream.domain.wording import printable
from stream.media.transcript.marks import closes_word, is_spoken
from stream.media.transcript.segment import Segment

MS_PER_CHARACTER = 70.0
"""About 14 characters a second: how fast people speak, for words of which nothing else is known."""


@dataclass(slots=True)
class _Token:
    """A word of a segment, with the first and last of the stretches that it is in."""

    text: str
    first: int
    last: int
    confidence: float | None
    speaker: str | None


@dataclass(slots=True)
class _Run:
    """Neighbouring tokens that share one span of time, either end of which may be unknown."""

    tokens: list[_Token]
    start_ms: float | None
    end_ms: float | None

    @property
    def characters(self) -> int:
        return sum(len(token.text) for token in self.tokens)


def timed_words(segments: Iterable[Segment]) -> Iterator[Word]:
    """Words of segments, in the order of the segments. Times are whole milliseconds, from 0, and no word ends before it starts."""
    previous_end_ms = 0.0
    for segment in segments:
        for word in _segment_words(segment, previous_end_ms):
            previous_end_ms = word.end_ms
            yield word


def with_bounds(segments: Sequence[Segment]) -> list[Segment]:
    """Give segments without any time what is free between their neighbours."""
    bounded: list[Segment] = []
    latest_ms = 0.0
    for segment in segments:
        times = list(segment.times_ms())
        bounded.append(segment if times else replace(segment, start_ms=latest_ms))
        latest_ms = max(times, default=latest_ms)
    following_ms: float | None = None
    for index in range(len(bounded) - 1, -1, -1):
        times = list(segments[index].times_ms())
        if not times:
            bounded[index] = replace(bounded[index], end_ms=following_ms)
        following_ms = min(times, default=following_ms)
    return bounded


def _segment_words(segment: Segment, previous_end_ms: float) -> Iterator[Word]:
    runs = list(_runs(segment))
    earliest_ms = segment.start_ms
    for index, run in enumerate(runs):
        following = runs[index + 1].start_ms if index + 1 < len(runs) else segment.end_ms
        needed_ms = MS_PER_CHARACTER * run.characters
        start_ms = run.start_ms
        if start_ms is None:
            start_ms = earliest_ms if earliest_ms is not None else _start_before(run.end_ms or following, needed_ms, previous_end_ms)
        end_ms = run.end_ms if run.end_ms is not None else following
        if end_ms is None:
            end_ms = start_ms + needed_ms
        end_ms = max(end_ms, start_ms)
        yield from _spread(run.tokens, start_ms, end_ms)
        earliest_ms = end_ms


def _start_before(end_ms: float | None, needed_ms: float, previous_end_ms: float) -> float:
    return previous_end_ms if end_ms is None else min(max(end_ms - needed_ms, previous_end_ms), end_ms)


def _spread(tokens: Sequence[_Token], start_ms: float, end_ms: float) -> Iterator[Word]:
    first_ms, length_ms = max(0, round(start_ms)), max(0, round(end_ms)) - max(0, round(start_ms))
    total = sum(len(token.text) for token in tokens)
    before = 0
    for token in tokens:
        word_start_ms = first_ms + length_ms * before // total
        before += len(token.text)
        confidence = 1.0 if token.confidence is None else token.confidence
        yield Word(token.text, word_start_ms, first_ms + length_ms * before // total, confidence, token.speaker)


def _runs(segment: Segment) -> Iterator[_Run]:
    stretches = segment.stretches
    run: _Run | None = None
    place: tuple[int, int] | None = None
    for token in _tokens(segment):
        start_ms, end_ms = stretches[token.first].start_ms, stretches[token.last].end_ms
        same = place == (token.first, token.last) or (
            run is not None and (run.start_ms, run.end_ms, start_ms, end_ms) == (None, None, None, None)
        )
        if run is not None and same:
            run.tokens.append(token)
        else:
            if run is not None:
                yield run
            run = _Run([token], start_ms, end_ms)
        place = (token.first, token.last)
    if run is not None:
        yield run


def _tokens(segment: Segment) -> Iterator[_Token]:
    """Words of a segment. Punctuation alone joins the word before it."""
    held: _Token | None = None
    begins = [begin for begin, _ in segment.voices]
    for text, first, last, position in _pieces(segment):
        if not is_spoken(text):
            if held is not None and closes_word(text):
                held.text = (held.text + text)[:MAX_WORD_CHARACTERS]
            continue
        if held is not None:
            yield held
        known = [s.confidence for s in segment.stretches[first : last + 1] if s.confidence is not None]
        voice = bisect_right(begins, position)
        held = _Token(text, first, last, min(known, default=None), segment.voices[voice - 1][1] if voice else segment.speaker)
    if held is not None:
        yield held


def _pieces(segment: Segment) -> Iterator[tuple[str, int, int, int]]:
    """Text, first stretch, last stretch and position of each token."""
    text = segment.text
    borders = list(accumulate(len(stretch.text) for stretch in segment.stretches))
    first = 0
    for found in re.finditer(r"\S+", text):
        begin = found.start()
        for end in [*_cuts(text, found, borders, first), found.end()]:
            while borders[first] <= begin:
                first += 1
            last = first
            while borders[last] < end:
                last += 1
            printed = printable(text[begin:end])
            for at in range(0, len(printed), MAX_WORD_CHARACTERS):
                yield printed[at : at + MAX_WORD_CHARACTERS], first, last, begin
            begin = end


def _cuts(text: str, found: re.Match[str], borders: Sequence[int], first: int) -> Iterator[int]:
    """Borders of stretches within a token at which it is cut: in scripts that write no blanks between words."""
    for index in range(first, len(borders)):
        border = borders[index]
        if border >= found.end():
            return
        if border > found.start() and _is_wide(text[border - 1]) and _is_wide(text[border]):
            yield border


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF" or "\u0e00" <= character <= "\u0eff" or "\u1000" <= character <= "\u109f"
