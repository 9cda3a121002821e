"""The sentence names the causes of a score, and nothing in it can be mistaken for markup."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from stream.domain.inference import CONTEXT_BIT
from stream.domain.modality import Modality
from stream.explain.records import final_records
from stream.explain.sentence import clock, quote, sentence_for_nothing, signed
from tests.fakes.windows import MODEL, make_inference, make_inputs, make_window

SCORES = [0.1, -1.5, 0.4, -1.2, 0.1, -1.6, 0.3, -1.3]
VOICE_ALONE = (0.1, 0.2, 0.7)
"""Probabilities of the labels by the voice alone: it disagrees with the words."""


def sentence_of(words: Sequence[str], relevance: Sequence[float], *, segments: int = 4, frames: int = 2, faces: int = 1) -> str:
    window = make_window(words, segments, frames, faces=faces)
    inference = make_inference(SCORES, words=relevance, audio=[0.1, 0.2, -0.1, 0.0][:segments], video=[-0.05, 0.0][:frames])
    inference.probabilities[Modality.AUDIO.bit | CONTEXT_BIT] = VOICE_ALONE
    return final_records(window, make_inputs(window), inference, MODEL, 500)[1].sentence


def test_the_sentence_gives_label_time_causes_and_alternative() -> None:
    text = sentence_of(["really", "terrible", "nice"], [-0.2, -1.2, 0.4], faces=2)
    assert text == (
        "The customer comes across as negative (-1.30, 80% sure) between 0:04 and 0:05, "
        "mainly because the words (above all “terrible” and “really”) lowered the score by 1.62, "
        "while the voice (above all from 0:04 to 0:04.2) raised it by 0.28; "
        "without the words it would be neutral (+0.30); "
        "note that the modalities disagree and several faces were seen (the largest was followed)."
    )


def test_the_sentence_says_that_sound_and_picture_are_out_of_step() -> None:
    window = make_window(["terrible"], 4, 2, warnings=("sync_suspect",))
    inference = make_inference(SCORES, words=[-1.2], audio=[0.1] * 4, video=[0.0] * 2)
    assert "sound and picture may be out of step" in final_records(window, make_inputs(window), inference, MODEL, 500)[1].sentence


def test_a_sentence_about_words_alone_names_no_alternative() -> None:
    text = sentence_of(["terrible"], [-1.2], segments=0, frames=0)
    assert "note that sound and a face were missing" in text
    assert "without" not in text


def test_words_with_the_opposite_effect_are_not_quoted() -> None:
    assert "nice" not in sentence_of(["terrible", "nice"], [-1.2, 0.4])


@pytest.mark.parametrize(
    "hostile", ["[bold]x[/bold]", "<script>alert(1)</script>", "`rm`", "**a**", "\x1b[31mred", "a\u202eb", "{{x}}", "&lt;b", "a\nb"]
)
def test_hostile_words_lose_their_markup(hostile: str) -> None:
    text = sentence_of([hostile], [-1.2])
    assert not set(text) & set("[]<>`*{}&\x1b\n\u202e\\|=_#")


@given(st.text(max_size=200))
def test_a_quotation_is_short_and_plain(text: str) -> None:
    quoted = quote(text)
    assert len(quoted) <= 26
    assert not quoted or (quoted[0], quoted[-1]) == ("“", "”")
    assert all(c.isprintable() for c in quoted)
    assert not set(quoted) & set('[]<>`*{}&\\|=_#"')


def test_other_scripts_and_apostrophes_survive() -> None:
    assert quote("don't,") == "“don't”"
    assert quote("schön!") == "“schön”"
    assert quote("素晴らしい") == "“素晴らしい”"
    assert quote("...") == ""


@pytest.mark.parametrize(("ms", "text"), [(0, "0:00"), (4000, "0:04"), (64_300, "1:04.3"), (3_600_000, "60:00")])
def test_clock_shows_tenths_only_if_they_are_not_zero(ms: int, text: str) -> None:
    assert clock(ms) == text


@pytest.mark.parametrize(
    ("segments", "frames", "missing"), [(0, 2, "sound was missing"), (4, 0, "a face was missing"), (0, 0, "sound and a face were missing")]
)
def test_missing_modalities_are_named(segments: int, frames: int, missing: str) -> None:
    assert f"note that {missing}" in sentence_of(["terrible"], [-1.2], segments=segments, frames=frames)
    assert "words were missing" in sentence_of([], [], segments=4, frames=2)


@pytest.mark.parametrize(
    ("expected", "note"),
    [((Modality.TEXT, Modality.AUDIO), None), ((Modality.TEXT, Modality.AUDIO, Modality.VIDEO), "note that a face was missing")],
)
def test_a_call_misses_no_face(expected: tuple[Modality, ...], note: str | None) -> None:
    window = structs.replace(make_window(["terrible"], segments=4), modalities_expected=expected)
    inference = make_inference(SCORES, words=[-1.2], audio=[0.1, 0.2, -0.1, 0.0])
    text = final_records(window, make_inputs(window), inference, MODEL, 500)[1].sentence
    assert "missing" not in text if note is None else note in text


def test_the_sentence_about_nothing_has_no_number() -> None:
    assert sentence_of([], [], segments=0, frames=0) == "Nothing was said by the customer between 0:04 and 0:05."


def test_two_modalities_against_the_first_are_joined_by_and() -> None:
    window = make_window(["terrible"], 1, 1)
    scores = [sum(moved for bit, moved in enumerate((-1.0, 0.4, 0.3)) if coalition >> bit & 1) for coalition in range(8)]
    text = final_records(window, make_inputs(window), make_inference(scores), MODEL, 500)[1].sentence
    assert "lowered the score by 1.00, while the voice raised it by 0.40, and the face raised it by 0.30" in text


@pytest.mark.parametrize(
    ("role", "named"), [("customer", "the customer"), ("team_lead", "the team lead"), ("speaker-2", "speaker-2"), ("Anna", "Anna")]
)
def test_a_name_has_no_article(role: str, named: str) -> None:
    assert sentence_for_nothing(role, 4000, 5000) == f"Nothing was said by {named} between 0:04 and 0:05."


def test_a_score_that_rounds_to_zero_has_no_minus() -> None:
    assert (signed(-0.001), signed(-0.5)) == ("+0.00", "-0.50")


def test_the_sentence_says_that_nothing_moved_the_score() -> None:
    window = make_window(["well"], 1, 1)
    text = final_records(window, make_inputs(window), make_inference([0.2] * 8), MODEL, 500)[1].sentence
    assert "nothing in particular moved the score" in text
    assert "no single modality decides it" in text
    assert Modality.TEXT in window.present()
