"""Names of speakers at the beginning of cues: ``Anna:``, ``[Speaker 1]``, ``>> ANNA:``, and dashes of dialogue.

A text before a colon is often no name ("Note: this", "Remember: ..."), so the whole file decides; `_Evidence` has the rule.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

from stream.media.transcript.marks import is_sound
from stream.media.transcript.payload import speaker_name
from stream.media.transcript.segment import Segment

MAX_LABEL_WORDS = 5

_TURN = re.compile(
    r"(?m)^[ \t]*(?P<sign>(?:[-\u2010](?=[^\W\d_]|[ \t\[(>])|[\u2013—•](?=[ \t]))?[ \t]*(?P<arrows>>{2,3})?)[ \t]*|(?P<inner>>{2,3})[ \t]*"
)
"""The beginning of a line, or arrows within it, behind which a name may stand."""

_BRACKETED = re.compile(r"\[([^\[\]\n]{1,60})\][ \t]*(:?)|\(([^()\n]{1,60})\)[ \t]*(:)")
_ALONE = re.compile(r"((?:unknown )?speaker[ _#-]?(?:\d{1,3}|[A-Z]))[ \t]*$", re.IGNORECASE | re.MULTILINE)
"""A numbered speaker on a line of their own needs no colon."""

_PLAIN = re.compile(r"([^\s:\uff1a\[\]()<>\"“”?!;♪][^\n:\uff1a\[\]<>\"“”?!;♪]{0,60}?)[ \t]*(?:[:](?=\s|$)|\uff1a)", re.MULTILINE)
_AFFIX = re.compile(r"\s*\([^()]*\)")

_KNOWN = re.compile(
    r"(?:unknown |male |female |first |second |third )?"
    r"(?:speaker|spk|participant|person|channel|ch|voice|agent|customer|caller|client|operator|representative|advisor|adviser|interviewer"
    r"|interviewee|moderator|host|guest|narrator|announcer|reporter|presenter|doctor|patient|teacher|student|judge|witness|counsel|man|woman"
    r"|boy|girl|user|assistant|bot|ivr)s?(?:[ _#-]*(?:\d{1,3}|[a-z]))?",
    re.IGNORECASE,
)
"""Names of roles and numbers that tools and transcribers write; nobody begins a sentence with one of them and a colon."""

_HEADINGS = """
note notes nb n.b ps p.s remember warning caution attention important reminder question answer example tip tips hint update summary
conclusion correction edit translation subtitle subtitles caption captions title subject re fyi todo disclaimer spoiler today tomorrow
yesterday now first firstly second secondly third thirdly fourth next then finally also plus or and but so because yes no yeah okay ok
well look listen see think imagine consider fact result results problem solution reason goal source time date place location address
phone email price total language kind chapter step part section figure table slide page point option rule number day week item episode
season psalm verse key ingredients advantage disadvantage pro con pros cons quote meaning namely this that these those it here there
what why how who when where which i we you he she they breaking news http https
"""
_NO_NAMES = frozenset(_HEADINGS.split())
"""First words of headings and sentences, never of names."""

_SMALL_WORDS = "von van der den de di da del della la le du des dos bin ibn al el ben zu zur ter ten y e and"
_PARTICLES = frozenset(_SMALL_WORDS.split())


@dataclass(frozen=True, slots=True)
class _Label:
    """The beginning of a turn: a possible name at [begin, end) of a segment's text, behind the sign of a turn, which ends at `sign_end`."""

    begin: int
    sign_end: int
    end: int
    name: str | None
    bracketed: bool = False
    strong: bool = False

    @property
    def key(self) -> str:
        return (self.name or "").casefold()


def name_speakers(segments: Sequence[Segment], known: Collection[str]) -> list[Segment]:
    """Segments with the speakers that their text names, and without these names in the text.

    A segment without a name goes on with the speaker before it, until the sign of a turn. Segments whose markup names a speaker are left
    alone.

    Args:
        segments: In order of time.
        known: Names that are speakers for certain, in any case: the tracks of the session.
    """
    labels = [list(_labels(segment)) for segment in segments]
    evidence = _Evidence.of(labels, segments, {name.casefold() for name in known})
    named: list[Segment] = []
    speaker: str | None = None
    for segment, candidates in zip(segments, labels, strict=True):
        voices: list[tuple[int, str | None]] = []
        if segment.speaker is None and not segment.voices and speaker is not None:
            voices.append((0, speaker))
        spans = []
        for label in candidates:
            if label.name is not None and evidence.accepts(label):
                spans.append((label.begin, label.end))
                speaker = label.name
            elif label.sign_end > label.begin:
                spans.append((label.begin, label.sign_end))
                speaker = None
            voices.append((label.begin, speaker))
        if segment.voices:
            speaker, voices = None, list(segment.voices)
        named.append(replace(segment.blanked(spans), voices=tuple(voices)) if spans or voices else segment)
    return named


@dataclass(slots=True)
class _Evidence:
    """Decides over the whole file which labels name speakers.

    * Names of tracks, roles and numbered speakers do.
    * A capitalised name does if it begins two cues or more, and all such names together a twentieth of the cues.
    * If half of the cues begin with one of a few names, every capitalised name does, and if four fifths do, every name.
    * Words that begin headings and sentences, such as "Note", never do.
    """

    known: Collection[str]
    cues: Counter[str] = field(default_factory=Counter)
    total: int = 0
    labelled: int = 0
    repeated: int = 0

    @classmethod
    def of(cls, labels: Sequence[Sequence[_Label]], segments: Sequence[Segment], known: Collection[str]) -> _Evidence:
        evidence = cls(known)
        for candidates, segment in zip(labels, segments, strict=True):
            evidence.total += bool(segment.text.strip())
            evidence.cues.update({label.key for label in candidates if label.name and not _is_heading(label.name)})
        evidence.labelled = evidence.cues.total()
        evidence.repeated = sum(count for count in evidence.cues.values() if count >= 2)
        return evidence

    def accepts(self, label: _Label) -> bool:
        name = label.name or ""
        if label.key in self.known or _KNOWN.fullmatch(name):
            return True
        if _is_heading(name) or (label.bracketed and is_sound(name)):
            return False
        if label.strong and _is_capitalised(name):
            return True
        if label.bracketed and not _is_capitalised(name):
            return False
        few = len(self.cues) <= max(3, self.labelled / 2)
        if self.labelled >= 2 and few and 10 * self.labelled >= (5 if _is_capitalised(name) else 8) * self.total:
            return True
        return _is_capitalised(name) and self.cues[label.key] >= 2 and 20 * self.repeated >= self.total


def _labels(segment: Segment) -> Iterator[_Label]:
    """Signs of turns and possible names in a segment's text, in order."""
    if segment.speaker is not None:
        return
    text = segment.text
    for turn in _TURN.finditer(text):
        sign = turn["inner"] or turn["sign"].strip()
        glued = sign in ("-", "\u2010") and text[turn.end() - 1] == sign
        if glued and (segment.voices or len(text.split()) == 1 or text[turn.end() : turn.end() + 1].islower()):
            continue  # the second half of a word such as "high-end", which recognisers give a time of its own
        label = None if segment.voices else _bracketed_label(text, turn, sign) or _plain_label(text, turn, sign)
        if label is not None or sign:
            yield label or _Label(turn.start(), turn.end(), turn.end(), None)


def _bracketed_label(text: str, turn: re.Match[str], sign: str) -> _Label | None:
    found = _BRACKETED.match(text, turn.end())
    name = _clean(found[1] or found[3]) if found else None
    if found is None or name is None:
        return None
    # Only words behind it make a bracket a name: "[Anna]" alone may as well be a sound or a caption.
    alone = not text[found.end() : found.end() + 200].split("\n", 1)[0].strip()
    if alone and not _KNOWN.fullmatch(name):
        return None
    strong = bool(sign or found[2] or found[4])
    return _Label(turn.start(), turn.end() if sign else turn.start(), found.end(), name, bracketed=True, strong=strong)


def _plain_label(text: str, turn: re.Match[str], sign: str) -> _Label | None:
    found = _PLAIN.match(text, turn.end()) or _ALONE.match(text, turn.end())
    name = _clean(found[1]) if found else None
    if found is None or name is None:
        return None
    return _Label(turn.start(), turn.end() if sign else turn.start(), found.end(), name, strong=">" in sign)


def _clean(raw: str) -> str | None:
    """The name in a label, without additions such as "(Guest)"; None if it cannot be a name."""
    name = speaker_name(_AFFIX.sub("", raw).strip(" \t-\u2013—*_,|"))
    return name if name is not None and len(name.split()) <= MAX_LABEL_WORDS and any(c.isalpha() for c in name) else None


def _is_heading(name: str) -> bool:
    words = name.casefold().split()
    return words[0].strip(".,'\u2019") in _NO_NAMES if words else True


def _is_capitalised(name: str) -> bool:
    """Whether each word of a name begins with a capital, or with a letter of a script without them."""
    words = [word for word in name.split() if word not in _PARTICLES]
    letters = (next((c for c in word if c.isalnum()), "") for word in words)
    return bool(words) and all(not letter.islower() for letter in letters)
