"""Names, times and figures read well, a label is named only where it goes with its score, and quoted words cannot be taken for markup."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from stream.domain.inference import LABELS
from stream.explain.phrasing import QUOTED_CHARACTERS, clock, figure, goes_with, named, possessive, quote, second, signed, verdict
from tests.fakes.results import make_score


@pytest.mark.parametrize(
    "hostile", ["[bold]x[/bold]", "<script>alert(1)</script>", "`rm`", "**a**", "\x1b[31mred", "a\u202eb", "{{x}}", "&lt;b", "a\nb"]
)
def test_hostile_words_lose_their_markup(hostile: str) -> None:
    assert not set(quote(hostile)) & set("[]<>`*{}&\x1b\n\u202e\\|=_#")


@given(st.text(max_size=200))
def test_a_quotation_is_short_and_plain(text: str) -> None:
    quoted = quote(text)
    assert len(quoted) <= QUOTED_CHARACTERS + 2
    assert not quoted or (quoted[0], quoted[-1]) == ("“", "”")
    assert all(c.isprintable() for c in quoted)
    assert not set(quoted) & set('[]<>`*{}&\\|=_#"')


def test_other_scripts_apostrophes_and_phrases_survive() -> None:
    assert quote("don't, please") == "“don't please”"
    assert quote("schön!") == "“schön”"
    assert quote("素晴らしい") == "“素晴らしい”"
    assert quote("...") == quote("-") == quote("") == ""


@given(st.floats(-3, 3))
def test_no_two_labels_go_with_one_score(score: float) -> None:
    assert sum(goes_with(label, score) for label in LABELS) == 1


@pytest.mark.parametrize(
    ("label", "score", "expected"),
    [
        ("negative", -0.56, "negative"),
        ("negative", -0.54, "unclear"),
        ("negative", 1.0, "unclear"),
        ("neutral", -1.11, "unclear"),
        ("neutral", 0.54, "neutral"),
        ("positive", 0.6, "positive"),
    ],
)
def test_a_label_that_contradicts_its_score_is_unclear(label: str, score: float, expected: str) -> None:
    assert verdict(structs.replace(make_score(4000, score), label=label)) == expected


def test_a_window_to_review_is_unclear() -> None:
    sure = structs.replace(make_score(4000, -1.5), label="negative")
    assert verdict(sure) == "negative"
    assert verdict(structs.replace(sure, warnings=("to_review",))) == "unclear"


@pytest.mark.parametrize(("ms", "text"), [(0, "0:00"), (4000, "0:04"), (64_300, "1:04.3"), (3_600_000, "60:00")])
def test_clock_shows_tenths_only_if_they_are_not_zero(ms: int, text: str) -> None:
    assert clock(ms) == text


def test_a_second_has_no_tenths() -> None:
    assert (second(0), second(64_999), second(3_600_000)) == ("0:00", "1:04", "60:00")


@pytest.mark.parametrize(
    ("role", "name", "of"),
    [
        ("customer", "the customer", "the customer's"),
        ("team_lead", "the team lead", "the team lead's"),
        ("speaker-2", "speaker-2", "speaker-2's"),
        ("James", "James", "James'"),
    ],
)
def test_a_name_has_no_article(role: str, name: str, of: str) -> None:
    assert (named(role), possessive(named(role))) == (name, of)


def test_a_score_that_rounds_to_zero_has_no_minus() -> None:
    assert (signed(-0.001), signed(-0.5)) == ("+0.00", "-0.50")
    assert (figure(-0.04), figure(-0.05001), figure(1.26)) == ("0.0", "-0.1", "+1.3")
