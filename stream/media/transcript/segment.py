"""What every format is read into: segments of text whose times are known in whole or in part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of a segment's text.

    Attributes:
        text: The text, with the whitespace around it.
        start_ms: When it begins; None if the transcript does not say.
        end_ms: When it ends; None if the transcript does not say.
        confidence: Recogniser's probability, in [0, 1], or None.
    """

    text: str
    start_ms: float | None = None
    end_ms: float | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A cue of a subtitle file, or a phrase of a recogniser.

    Positions are indices into `text`.

    Attributes:
        stretches: The text in pieces with their times.
        start_ms: When the segment begins; None if only its words have times.
        end_ms: When the segment ends; None if only its words have times.
        speaker: Name of the speaker, or None.
        channel: Number of the audio channel, from 0, or None.
        voices: Positions from which another speaker (or, with None, nobody in particular) speaks, in order.
        highlights: Spans that the markup emphasises.
        formatting: Number of formatting marks that were removed.
    """

    stretches: tuple[Stretch, ...]
    start_ms: float | None = None
    end_ms: float | None = None
    speaker: str | None = None
    channel: int | None = None
    voices: tuple[tuple[int, str | None], ...] = ()
    highlights: tuple[tuple[int, int], ...] = ()
    formatting: int = 0

    @property
    def text(self) -> str:
        """The whole text; its lines end with a line feed."""
        return "".join(stretch.text for stretch in self.stretches)

    def blanked(self, spans: Iterable[tuple[int, int]]) -> Segment:
        """Return a copy in which these spans are blanks, so that all positions stay valid."""
        text = list(self.text)
        for begin, end in spans:
            text[begin:end] = " " * (min(end, len(text)) - begin)
        return self._with_text("".join(text))

    def rescaled(self, factor: float, shift_ms: float = 0.0) -> Segment:
        """Return a copy with all times multiplied by `factor` and moved by `shift_ms`."""

        def moved(time_ms: float | None) -> float | None:
            return None if time_ms is None else time_ms * factor + shift_ms

        stretches = tuple(replace(s, start_ms=moved(s.start_ms), end_ms=moved(s.end_ms)) for s in self.stretches)
        return replace(self, stretches=stretches, start_ms=moved(self.start_ms), end_ms=moved(self.end_ms))

    def times_ms(self) -> Iterable[float]:
        """All known times."""
        pairs = ((self.start_ms, self.end_ms), *((s.start_ms, s.end_ms) for s in self.stretches))
        return (time_ms for pair in pairs for time_ms in pair if time_ms is not None)

    def _with_text(self, text: str) -> Segment:
        stretches, position = [], 0
        for stretch in self.stretches:
            stretches.append(replace(stretch, text=text[position : position + len(stretch.text)]))
            position += len(stretch.text)
        return replace(self, stretches=tuple(stretches))
