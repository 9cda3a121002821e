"""Whatever was said, nothing personal and no markup leaves through an explanation: in no field, however it is cut into windows."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from stream.domain.context import RedactedWord
from stream.domain.features import TextFeatures, Word
from stream.domain.result import ExplanationRecord, encode_record
from stream.domain.track_scores import ScoredWindow, TrackScores
from stream.domain.window import Window
from stream.explain.changes import compared
from stream.explain.records import Measured, final_records
from stream.explain.redaction.lists import NUMBERS, UNITS
from stream.explain.redaction.names import GIVEN_NAMES
from stream.explain.redaction.words import PLACEHOLDERS, joined_text, personal, redacted
from stream.explain.word_effects import PhraseEffect
from tests.fakes.windows import MODEL, WORD_NODES, make_inference, make_inputs, make_window

DIGIT_WORDS = {digit: word for word, digit in UNITS.items() if word not in ("nought", "naught", "nil")}
ORDINARY = (
    "well",
    "this",
    "was",
    "really",
    "slow",
    "and",
    "nobody",
    "cared",
    "at",
    "all",
    "so",
    "please",
    "make",
    "it",
    "right",
    "thank",
    "you",
)
FILLED = ("um", "and", "then", "uh")
MARKUP = ("<b>", "</script>", "<img/src=x>", "[bold]", "`rm`", "{{x}}", "&lt;", "**", "\x1b[m", "a\u202eb", "\u2066", "\u200f", "a\x00b")
SECRET_NAMES = sorted(name for name in GIVEN_NAMES if len(name) > 4)

digits = st.text("0123456789", min_size=8, max_size=16)


@st.composite
def spoken_numbers(draw: st.DrawFn) -> list[str]:
    """A long number: in figures, in groups, in words, with repeats and fillers, or with hidden characters between."""
    number = draw(digits)
    match draw(st.sampled_from(["figures", "groups", "words", "mixed", "hidden", "wide"])):
        case "figures":
            return [number]
        case "groups":
            return [number[at : at + 4] for at in range(0, len(number), 4)]
        case "hidden":
            return ["\u200b".join(number)]
        case "wide":
            return ["".join(chr(ord(d) - ord("0") + 0xFF10) for d in number)]
        case "mixed":
            return [d if draw(st.booleans()) else DIGIT_WORDS[d] for d in number]
        case _:
            said: list[str] = []
            at = 0
            while at < len(number):
                if draw(st.integers(0, 5)) == 0:
                    said.append(draw(st.sampled_from(FILLED)))
                if number[at : at + 2] == 2 * number[at] and draw(st.booleans()):
                    said += ["double", DIGIT_WORDS[number[at]]]
                    at += 2
                else:
                    said.append("oh" if number[at] == "0" and draw(st.booleans()) else DIGIT_WORDS[number[at]])
                    at += 1
            return said


@st.composite
def spelled_names(draw: st.DrawFn) -> list[str]:
    name = draw(st.sampled_from(SECRET_NAMES)).upper()
    return ["-".join(name)] if draw(st.booleans()) else list(name)


spoken_names = st.sampled_from(SECRET_NAMES).flatmap(
    lambda name: st.sampled_from([[name], [name.title()], ["my", "name", "is", name], ["hi", f"{name.title()},"], [f"{name}'s"]])
)
emails = st.sampled_from(SECRET_NAMES).flatmap(
    lambda name: st.sampled_from([[f"{name}@mail.com"], [name, "at", "mail", "dot", "com"], [name, "dot", "secretive", "at", "mail.com"]])
)
ordinary = st.sampled_from(ORDINARY).map(lambda word: [word])
markup = st.sampled_from(MARKUP).map(lambda sign: [sign])
parts = st.one_of(spoken_numbers(), spelled_names(), spoken_names, emails, ordinary, ordinary, markup)
transcripts = st.lists(parts, min_size=1, max_size=6).map(lambda said: [word for part in said for word in part])


def explained(texts: Sequence[str]) -> ExplanationRecord:
    """The published explanation of a window of these words, every one of which is claimed and quoted in every way."""
    spoken = tuple(Word(text, 4000 + 100 * index, 4090 + 100 * index) for index, text in enumerate(texts))
    window: Window = structs.replace(make_window(["x"]), text=(TextFeatures(spoken),), end_ms=100_000, media_end_ms=100_000)
    kept = spoken[-WORD_NODES:]
    inputs = make_inputs(structs.replace(window, text=(TextFeatures(kept),)))
    relevance = [-1.0 - index for index in range(len(kept))]
    inference = make_inference([0.0, -2.0] * 4, words=relevance)
    phrases = [range(first, last + 1) for first in range(len(kept)) for last in range(first, len(kept))]
    measured = Measured(tuple(PhraseEffect(phrase, -1.5, "neutral") for phrase in phrases), tuple(phrases))
    score, explanation = final_records(window, inputs, inference, MODEL, 500, measured=measured)
    before = ScoredWindow(2000, 1.0, dict.fromkeys(explanation.contributions, 0.0), 0.0)
    return compared(score, explanation, TrackScores(0, before, before))


def texts_of(record: ExplanationRecord) -> list[str]:
    return [
        *(word.text for word in record.words),
        *(claim.text for claim in record.claims),
        *(record.counterfactual or ()),
        record.sentence,
    ]


def free_of_placeholders(text: str) -> str:
    for placeholder in PLACEHOLDERS:
        text = text.replace(placeholder, "")
    return text


def spoken_digits(text: str) -> int:
    """Number of digits that a reader of the text learns, in figures and in words."""
    words = [word for part in text.lower().split() for word in re.split(r"[^\w]+", unicodedata.normalize("NFKC", part)) if word]
    return sum(len(NUMBERS[word]) if word in NUMBERS else sum(c.isdigit() for c in word) for word in words)


@settings(max_examples=300, deadline=None)
@given(transcripts)
def test_nothing_personal_and_no_markup_leaves_through_an_explanation(texts: list[str]) -> None:
    record = explained(texts)
    secret_names = {name for name in SECRET_NAMES for text in texts if name in re.split(r"\W+", text.lower())}
    for text in texts_of(record):
        bare = free_of_placeholders(text)
        assert not set(bare) & set("<>[]{}`&*\\|=_#@")
        assert all(c.isprintable() for c in bare)
        assert not any(unicodedata.category(c) in ("Cf", "Cc") for c in bare)
        assert not secret_names & set(re.split(r"\W+", bare.lower()))
    for phrase in [*(record.counterfactual or ()), *(claim.text for claim in record.claims)]:
        assert spoken_digits(free_of_placeholders(phrase)) < 4
        assert not re.search(r"\b[b-hj-z] [b-hj-z] [b-hj-z]\b", phrase), "letters that spell something"
    assert encode_record(record) == encode_record(explained(texts))


invented = st.sampled_from(["zebulon", "quorra", "tilwen", "obrenna"]).flatmap(
    lambda name: st.sampled_from([["my", "name", "is", name], ["mr", name], ["call", "me", name]])
)
spoken = st.lists(st.one_of(spoken_numbers(), spoken_names, invented, ordinary, ordinary), min_size=3, max_size=10).map(
    lambda said: [word for part in said for word in part]
)


@settings(max_examples=200, deadline=None)
@given(spoken, st.integers(2, 5))
def test_nothing_personal_leaves_through_windows_that_overlap(texts: list[str], hop: int) -> None:
    words = [Word(text, 500 * index, 500 * index + 400) for index, text in enumerate(texts)]
    secrets = {name for name in [*SECRET_NAMES, "zebulon", "quorra", "tilwen", "obrenna"] for text in texts if name in text.lower()}
    hidden: tuple[RedactedWord, ...] = ()
    for start in range(0, len(words), hop):
        window = words[start : start + 2 * hop]
        shown = redacted(window, known=hidden)
        hidden = personal(window, known=hidden)
        text = free_of_placeholders(joined_text(shown, range(len(shown))))
        assert not secrets & set(re.split(r"\W+", text.lower()))
        assert spoken_digits(text) < 4
