"""The text of a cue with its markup: WebVTT's tags, the HTML and ASS marks that subtitles carry, and entities."""

from __future__ import annotations

import html
import re

from stream.domain.kafka_records import MAX_SPEAKER_CHARACTERS
from stream.domain.wording import printable
from stream.media.transcript.segment import Segment, Stretch
from stream.media.transcript.times import CLOCK, clock_ms

_TAG = re.compile(r"<(/?[A-Za-z][^<>]*|/|[\d][\d:.,]*|\|[^<>|]*\|)>")
"""A tag begins with a letter, a digit (a time) or a bar (a model's own token). Anything else after ``<`` is text, such as ``5 < 6``."""

_TAG_NAME = re.compile(r"/?([A-Za-z]+)")
_VOICE = re.compile(r"v(?:\.[^\s>]+)*\s+(.+)", re.DOTALL | re.IGNORECASE)
_RUBY = re.compile(r"<rt>[^<]*</rt>", re.IGNORECASE)
_ASS_OVERRIDE = re.compile(r"\{(?:\\[^{}]*|[a-zA-Z]:[^{}]*|/?[biu])\}")
"""Formatting such as ``{\\an8}``, ``{y:i}`` or ``{b}``, which .srt files inherit from ASS and MicroDVD."""

_ASS_BREAK = re.compile(r"\\[Nnh]")
_ESCAPED_TAG = re.compile(r"</?(?:i|b|u|s|c|v|font|span|em|strong)\b[^<>]*>", re.IGNORECASE)
_BLOCKS = frozenset(("br", "p", "div", "li"))
_FORMATTING = frozenset(("i", "b", "u", "s", "em", "strong", "font", "span"))


def parse_payload(payload: str, start_ms: float | None, end_ms: float | None, *, markup: bool = True) -> Segment:
    """Read the text of a cue.

    Args:
        payload: The lines of the cue.
        start_ms: Start of the cue.
        end_ms: End of the cue.
        markup: Whether tags are markup. The text of recognisers has entities alone.

    Returns:
        The segment. Each inline timestamp begins a stretch; timestamps that run backwards or past the cue's end are pulled into the cue.
    """
    if not markup:
        return Segment((Stretch(unescaped(payload)),), start_ms, end_ms)
    builder = _Builder(start_ms, end_ms)
    text, overrides = _ASS_OVERRIDE.subn("", _RUBY.sub("", payload))
    builder.formatting = overrides
    # Splitting at a pattern with a group puts texts at even indices and the content of tags at odd ones.
    for index, part in enumerate(_TAG.split(_ASS_BREAK.sub("\n", text))):
        if index % 2 == 0:
            builder.add_text(part)
        else:
            builder.add_tag(part)
    return builder.segment()


def unescaped(text: str) -> str:
    """Text without entities. Some tools escape twice."""
    return html.unescape(html.unescape(text)) if "&" in text else text


def speaker_name(text: str) -> str | None:
    """A name as it is shown: on one line, printable and short; None if nothing is left of it."""
    name = " ".join(printable(" ".join(unescaped(text).split())).split())
    return name[:MAX_SPEAKER_CHARACTERS] or None


class _Builder:
    def __init__(self, start_ms: float | None, end_ms: float | None) -> None:
        self.formatting = 0
        self._start_ms, self._end_ms = start_ms, end_ms
        self._latest_ms = start_ms or 0.0
        self._stretches = [Stretch("")]
        self._length = 0
        self._voices: list[tuple[int, str | None]] = []
        self._highlights: list[tuple[int, int]] = []
        self._highlighted_from: int | None = None

    def add_text(self, raw: str) -> None:
        text, escaped = _ESCAPED_TAG.subn("", unescaped(raw))
        self.formatting += escaped
        last = self._stretches[-1]
        self._stretches[-1] = Stretch(last.text + text, last.start_ms)
        self._length += len(text)

    def add_tag(self, tag: str) -> None:
        if tag[0].isdigit():
            if (clock := CLOCK.fullmatch(tag)) and self._start_ms is not None and self._end_ms is not None:
                self._latest_ms = min(max(clock_ms(clock), self._latest_ms), max(self._end_ms, self._start_ms))
                self._stretches.append(Stretch("", self._latest_ms))
            return
        name = found[1].lower() if (found := _TAG_NAME.match(tag)) else ""
        if name == "v":
            voice = _VOICE.fullmatch(tag)
            self.add_text(" ")  # nobody begins a word that another speaker ends
            self._voices.append((self._length, speaker_name(voice[1]) if voice else None))
        elif name in _BLOCKS:
            self.add_text("\n")
        elif name in _FORMATTING:
            self.formatting += 1
            self._highlight(opens=not tag.startswith("/"))

    def segment(self) -> Segment:
        self._highlight(opens=False)
        return Segment(
            tuple(self._stretches),
            self._start_ms,
            self._end_ms,
            voices=tuple(self._voices),
            highlights=tuple(self._highlights),
            formatting=self.formatting,
        )

    def _highlight(self, *, opens: bool) -> None:
        if opens and self._highlighted_from is None:
            self._highlighted_from = self._length
        elif not opens and self._highlighted_from is not None:
            self._highlights.append((self._highlighted_from, self._length))
            self._highlighted_from = None
