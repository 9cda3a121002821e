"""Marks that nobody speaks: sounds in brackets, music, the tokens of models, and credits of tools."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from stream.media.transcript.segment import Segment

_NOTES = "♪♫♩♬🎵🎶"
_SONG = re.compile(rf"[{_NOTES}]+[^{_NOTES}]{{0,300}}[{_NOTES}]+|(?m:^)[ \t]*[{_NOTES}]+[^\n{_NOTES}]{{0,300}}|[{_NOTES}]+")
"""What is between two notes, what follows a note at the beginning of a line, and a note alone."""

_MODEL_TOKEN = re.compile(r"<\|[^<>|]{0,40}\|>|\[_[A-Z]{2,4}_\d*\]?\]?|<(?:unk|eps|sil|s|/s|noise|spoken_noise|laugh)>", re.IGNORECASE)
_BRACKETS = re.compile(r"\[[^\[\]]{0,80}\]|【[^【】]{0,80}】|\uff3b[^\uff3b\uff3d]{0,80}\uff3d")
_PARENTHESES = re.compile(r"\(([^()]{0,80})\)|\uff08([^\uff08\uff09]{0,80})\uff09")
_ASTERISKS = re.compile(r"\*{1,2}([^*\n]{1,60})\*{1,2}")
_CREDIT = re.compile(
    r"\W*(?:transcribed|transcription|subtitles|subtitled|captions|captioned|translated|synced|corrected)\b.{0,40}\bby\b"
    r".{0,60}\b[\w-]+\.(?:ai|com|org|io|net|tv|app|co)\b.{0,80}",
    re.IGNORECASE | re.DOTALL,
)
"""A whole cue such as "Transcribed by https://otter.ai"; a person may say "transcribed by", but not with a domain."""

_SOUND = re.compile(
    r"\b(?:music|musique|musik|música|musica|noises?|silence|silent|pause[sd]?|applause|applauds?|applauding|clapping|claps|laugh(?:s|ter|ing)?|"
    r"chuckl(?:e|es|ing)|giggl(?:e|es|ing)|sigh(?:s|ing)?|cough(?:s|ing)?|sneez(?:e|es|ing)|gasp(?:s|ing)?|sniff(?:s|les|ing)?|sob(?:s|bing)?|"
    r"crying|cries|scream(?:s|ing)?|breath(?:es|ing)|inhal(?:es|ing)|exhal(?:es|ing)|groan(?:s|ing)?|cheer(?:s|ing)|inaudible|foreign|"
    r"unintelligible|indistinct|indiscernible|crosstalk|cross talk|overlapping|background \w+|speaking \w+|blank[_ ]audio|no audio|"
    r"beep(?:s|ing)?|ring(?:s|ing)|ringtone|dial ?tone|on hold|typing|click(?:s|ing)|static|knock(?:s|ing)|footsteps|"
    r"door (?:opens|closes|slams)|"
    r"buzz(?:er|es|ing)|clears? throat|clearing throat|lip smack|whistl(?:es|ing)|humming|hums|singing|sings|speaker[_ ]turn|"
    r"whisper(?:s|ing)|shout(?:s|ing)|yell(?:s|ing)|mutter(?:s|ing)|mumbl(?:es|ing)|grunt(?:s|ing)|pant(?:s|ing)|gulp(?:s|ing)|chatter(?:ing)?|"
    r"moan(?:s|ing)|weep(?:s|ing)|gunshots?|explosion|thunder|sirens?|alarm|vacuum|clatter(?:ing)?|creak(?:s|ing)|thud(?:s|ding)?|"
    r"rires|gelächter|beifall|lachen|risas|aplausos|redacted|bleep|barks|barking)\b",
    re.IGNORECASE,
)
_PERSONAL = re.compile(
    r"\b(?:i|you|we|he|she|it|they|my|your|our|me|us|is|are|am|was|do|don|not|yes|no|so|please|thanks?)\b", re.IGNORECASE
)
"""A line in parentheses with one of these words is an aside that somebody says."""

_SPOKEN_SYMBOLS = frozenset("%&@#+=$€£¥°§")
_CLOSING = frozenset(".,!?…;:%)]}”\u2019\"'。、\uff0c\uff01\uff1f\uff1b\uff1a")


def without_marks(segments: Sequence[Segment]) -> tuple[list[Segment], Counter[str]]:
    """Segments without the marks that nobody speaks, and the number of marks of each kind."""
    counts: Counter[str] = Counter()
    kept = []
    for segment in segments:
        spans = list(_spans(segment.text))
        counts.update(kind for kind, _, _ in spans)
        counts["formatting"] += segment.formatting
        kept.append(segment.blanked([(begin, end) for _, begin, end in spans]) if spans else segment)
    return kept, +counts


def describe(counts: Counter[str]) -> str | None:
    """A sentence for the user about the marks that were left out."""
    if not counts:
        return None
    kinds = ", ".join(f"{counts[kind]} {kind}" for kind in ("sounds", "music", "model tokens", "credits", "formatting") if counts[kind])
    return f"marks that nobody speaks are left out: {kinds}"


def is_sound(text: str) -> bool:
    """Whether a text in brackets names a sound."""
    return bool(_SOUND.search(text)) or not any(c.isalpha() for c in text)


def is_spoken(token: str) -> bool:
    """Whether a token is more than punctuation. Signs that are read out and pictures of feelings count."""
    return any(c.isalnum() or c in _SPOKEN_SYMBOLS or (unicodedata.category(c) == "So" and c != "\ufffd") for c in token)


def closes_word(token: str) -> bool:
    """Whether a token of punctuation belongs to the word before it. A dash belongs to none."""
    return bool(token) and all(c in _CLOSING for c in token)


def _spans(text: str) -> Iterator[tuple[str, int, int]]:
    """Kind, begin and end of each mark."""
    if "." in text and _CREDIT.fullmatch(text.strip()):
        yield "credits", 0, len(text)
        return
    for kind, pattern in (("model tokens", _MODEL_TOKEN), ("music", _SONG), ("sounds", _BRACKETS)):
        yield from ((kind, found.start(), found.end()) for found in pattern.finditer(text))
        text = pattern.sub(lambda found: " " * len(found[0]), text)
    for found in _PARENTHESES.finditer(text):
        inside = found[1] or found[2] or ""
        if is_sound(inside) or (_fills_line(text, found) and not _PERSONAL.search(inside)):
            yield "sounds", found.start(), found.end()
    for found in _ASTERISKS.finditer(text):
        if is_sound(found[1]) or (_fills_line(text, found) and not _PERSONAL.search(found[1])):
            yield "sounds", found.start(), found.end()


def _fills_line(text: str, found: re.Match[str]) -> bool:
    begin, end = text.rfind("\n", 0, found.start()) + 1, text.find("\n", found.end())
    around = text[begin : found.start()] + text[found.end() : end if end >= 0 else len(text)]
    return not any(c.isalnum() for c in around)
