"""Captions that repeat words: rolling lines, lines that grow while somebody speaks, and cues that highlight one word after the other.

Each word is kept once, in the cue in which it appears first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from stream.media.transcript.segment import Segment, Stretch

MAX_GAP_MS = 500
"""A line stays on the screen until the next cue; after a longer gap it was said again."""

MAX_REFRESH_MS = 50
"""Nobody says a line in so short a cue: it only shows again what is on the screen."""

MAX_LINES = 8
"""Captions have up to four lines on the screen."""

LEAST_WORDS = 3
"""In a file of a few cues, a repeated beginning of so many words is no coincidence."""


def without_repeats(segments: Iterable[Segment], *, refreshes: bool) -> list[Segment]:
    """Cues in order of their starts, without the words that a cue before them has shown already.

    A file rolls if at least two cues, and a third of those that follow another without a gap, begin with what the cue before them ends with
    and go on from there. In a file of a few cues one is enough, if it repeats `LEAST_WORDS`. A cue that merely says the same as the one
    before it is no sign: people say "No." twice.

    Args:
        segments: Cues of a subtitle file.
        refreshes: The file repeats cues at the borders of its pieces, so equal neighbours are one cue.
    """
    ordered = sorted(segments, key=lambda segment: segment.start_ms or 0)
    ordered = _without_copies(ordered)
    ordered = _highlighted_words(ordered)
    shown = [_Shown(segment) for segment in ordered]
    rolls = _rolls(shown)
    kept: list[Segment] = []
    screen: _Shown | None = None
    for current in shown:
        carried = 0
        if screen is not None and screen.touches(current):
            same = screen.text == current.text
            if rolls or (same and (refreshes or current.refreshes(screen))):
                carried = screen.carried_into(current)
        kept.append(current.segment.blanked([(0, current.end_of(carried))]) if carried else current.segment)
        if carried and _is_cut(current, carried):
            _take_back_last_word(kept, current, carried)
        screen = current
    return kept


class _Shown:
    """A cue as it is on the screen: its text with single blanks, and where each character comes from."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self._positions: list[int] = []
        characters: list[str] = []
        self.line_starts: list[int] = []
        raw = segment.text
        for line in re.finditer(r"[^\n]+", raw):
            words = list(re.finditer(r"\S+", line[0]))
            if not words:
                continue
            self.line_starts.append(len(characters) + bool(characters))
            for word in words:
                if characters:
                    characters.append(" ")
                    self._positions.append(line.start() + word.start())
                characters += word[0]
                self._positions += range(line.start() + word.start(), line.start() + word.end())
        self.text = "".join(characters)

    @property
    def is_short(self) -> bool:
        return (self.segment.end_ms or 0) - (self.segment.start_ms or 0) <= MAX_REFRESH_MS

    def refreshes(self, before: _Shown) -> bool:
        """Whether one of two cues with the same words is too short to say them. A single word may be as short as that."""
        return (self.is_short or before.is_short) and self.text.count(" ") + 1 >= LEAST_WORDS

    def touches(self, following: _Shown) -> bool:
        return (following.segment.start_ms or 0) - (self.segment.end_ms or 0) <= MAX_GAP_MS

    def carried_into(self, following: _Shown) -> int:
        """Number of characters at the beginning of the following cue that this one ends with, from the beginning of a line on."""
        for start in self.line_starts[-MAX_LINES:]:
            tail = self.text[start:]
            if following.text.startswith(tail):
                return len(tail)
        return 0

    def end_of(self, characters: int) -> int:
        """Position in the segment's text behind the first characters of the shown text."""
        return self._positions[characters - 1] + 1

    def start_of_word(self, characters: int) -> int:
        """Position in the segment's text of the word in which the first characters of the shown text end."""
        return self._positions[self.text.rfind(" ", 0, characters) + 1]


def _rolls(shown: Sequence[_Shown]) -> bool:
    neighbours = strong = long = 0
    for before, current in pairwise(shown):
        if not before.text or not current.text or not before.touches(current):
            continue
        neighbours += 1
        carried = before.carried_into(current)
        if 0 < carried < len(current.text) or (carried and current.refreshes(before)):
            strong += 1
            long += current.text.count(" ", 0, carried) + 1 >= LEAST_WORDS
    few = long >= 1 and 2 * long >= neighbours
    return few or (strong >= 2 and 3 * strong >= neighbours)


def _is_cut(current: _Shown, carried: int) -> bool:
    """Whether the carried text ends within a word: live captions appear a few letters at a time."""
    return carried < len(current.text) and current.text[carried] != " "


def _take_back_last_word(kept: list[Segment], current: _Shown, carried: int) -> None:
    """Give a word whose beginning was shown by an earlier cue to the cue that completes it."""
    kept[-1] = current.segment.blanked([(0, current.start_of_word(carried))])
    for index in range(len(kept) - 2, -1, -1):
        words = list(re.finditer(r"\S+", kept[index].text))
        if words:
            kept[index] = kept[index].blanked([words[-1].span()])
            return


def _without_copies(segments: Iterable[Segment]) -> list[Segment]:
    """Leave out cues of which another has the same times and the same text."""
    seen: set[tuple[float | None, float | None, str]] = set()
    kept = []
    for segment in segments:
        key = (segment.start_ms, segment.end_ms, segment.text)
        # Recognisers give no length to some words, so two of them may be equal.
        if key not in seen or segment.start_ms == segment.end_ms:
            seen.add(key)
            kept.append(segment)
    return kept


def _highlighted_words(segments: Sequence[Segment]) -> list[Segment]:
    """Join runs of cues with one text, in each of which another word is highlighted, into one cue with word times."""
    joined: list[Segment] = []
    run: list[Segment] = []
    for segment in segments:
        if run and not (_same_words(run[-1], segment) and _last_highlight(run) <= _last_highlight([segment], default=_last_highlight(run))):
            joined += _joined(run)
            run = []
        run.append(segment)
    return joined + _joined(run)


def _same_words(before: Segment, current: Segment) -> bool:
    gap_ms = (current.start_ms or 0) - (before.end_ms or 0)
    return gap_ms <= MAX_GAP_MS and before.text == current.text


def _last_highlight(run: Sequence[Segment], default: int = -1) -> int:
    return max((begin for segment in run for begin, _ in segment.highlights), default=default)


def _joined(run: list[Segment]) -> list[Segment]:
    places = {segment.highlights for segment in run if segment.highlights}
    if len(places) < 2 or any(len(highlights) > 1 for highlights in places):
        return run
    text = run[0].text
    stretches: list[Stretch] = []
    position = 0
    for segment in run:
        for begin, end in segment.highlights:
            if begin >= position:
                stretches += [Stretch(text[position:begin]), Stretch(text[begin:end], segment.start_ms, segment.end_ms)]
                position = end
    stretches.append(Stretch(text[position:]))
    first = run[0]
    ends_ms = [segment.end_ms for segment in run if segment.end_ms is not None]
    whole = replace(first, stretches=tuple(s for s in stretches if s.text), end_ms=max(ends_ms, default=first.end_ms), highlights=())
    return [replace(whole, formatting=sum(segment.formatting for segment in run))]
