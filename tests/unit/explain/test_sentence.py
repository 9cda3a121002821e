"""The summary says what the records say: one thing a sentence, in at most thirty words."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from stream.domain.evidence import SpanEvidence, WordClaim
from stream.domain.inference import LABELS
from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import Change, Changes, ExplanationRecord, ScoreRecord
from stream.domain.warning_codes import WarningCode
from stream.explain.sentence import LONGEST, sentence
from tests.fakes.results import make_explanation, make_score

TEXT, AUDIO, VIDEO = MODALITIES
Without = Mapping[Modality, tuple[float, str]]


def records(
    score: float,
    label: str,
    contributions: Mapping[Modality, float],
    without: Without | None = None,
    *,
    earlier: tuple[float, float, str] | None = None,
    claims: tuple[WordClaim, ...] = (),
    warnings: tuple[str, ...] = (),
) -> tuple[ScoreRecord, ExplanationRecord]:
    """Records of a window with the modalities that contribute; `earlier` is the contribution of earlier windows, and what is without."""
    present = tuple(contributions)
    scored = make_score(4000, score, present=present, warnings=warnings)
    scored = structs.replace(scored, label=label, modalities_expected=present)
    known = dict.fromkeys(contributions, (score, label)) | dict(without or {})
    explained = structs.replace(
        make_explanation(scored),
        contributions=dict.fromkeys(MODALITIES, 0.0) | dict(contributions),
        score_without={m: points for m, (points, _) in known.items()},
        label_without={m: other for m, (_, other) in known.items()},
        claims=claims,
    )
    if earlier is not None:
        points, score_without, label_without = earlier
        explained = structs.replace(
            explained, earlier_windows=points, score_without_earlier=score_without, label_without_earlier=label_without
        )
    return scored, explained


def claim(text: str, effect: float, label_without: str = "negative") -> WordClaim:
    return WordClaim(text, 1000, 2000, effect, label_without)


NEGATIVE = (-1.1, "negative", {TEXT: -1.3, AUDIO: 0.1}, {TEXT: (0.1, "neutral")})


def test_label_cause_and_alternative() -> None:
    assert sentence(*records(*NEGATIVE, claims=(claim("not working", -1.0),))) == (
        "The customer seems negative (-1.1). Mainly the words: “not working”. Without the words it would be neutral (+0.1)."
    )


def test_a_phrase_that_decides_the_label_is_the_alternative() -> None:
    assert sentence(*records(*NEGATIVE, claims=(claim("not working", -1.3, "neutral"), claim("at all", -0.7)))) == (
        "The customer seems negative (-1.1). Mainly the words: “not working” and “at all”. "
        "Without “not working” it would be neutral (+0.2)."
    )


def test_an_alternative_whose_label_contradicts_its_score_is_not_told() -> None:
    assert "Without" not in sentence(*records(-1.1, "negative", {TEXT: -1.3, AUDIO: 0.1}, {TEXT: (-1.0, "neutral")}))
    assert "Without" not in sentence(*records(*NEGATIVE[:3], claims=(claim("not working", -0.3, "neutral"),)))


def test_phrases_that_point_the_other_way_or_do_little_are_not_quoted() -> None:
    text = sentence(*records(*NEGATIVE, claims=(claim("so nice", 0.9), claim("the", -0.2))))
    assert text.startswith("The customer seems negative (-1.1). Mainly the words. Without")


def test_a_phrase_that_does_less_than_half_as_much_is_not_quoted() -> None:
    text = sentence(*records(*NEGATIVE, claims=(claim("so sorry", -1.2), claim("is that anything else", -0.5))))
    assert "Mainly the words: “so sorry”. Without" in text


def test_phrases_that_say_nothing_are_not_quoted() -> None:
    text = sentence(*records(*NEGATIVE, claims=(claim("is [name]", -0.9), claim("[card]", -0.8), claim("not [number]", -0.7))))
    assert "Mainly the words: “not [number]”." in text


def test_words_are_not_quoted_for_what_the_voice_did() -> None:
    text = sentence(*records(-1.1, "negative", {TEXT: -0.4, AUDIO: -1.3}, claims=(claim("not working", -0.5),)))
    assert text == "The customer seems negative (-1.1). Mainly the voice."


def test_two_strong_causes_are_named_together() -> None:
    text = sentence(*records(1.5, "positive", {TEXT: 0.8, AUDIO: 0.7}, claims=(claim("thank you", 0.6, "neutral"),)))
    assert text.startswith("The customer seems positive (+1.5). Mainly the words (“thank you”) and the voice.")


def test_a_voice_that_speaks_at_one_moment_is_given_its_time() -> None:
    scored, explained = records(-1.1, "negative", {TEXT: 0.0, AUDIO: -1.3})
    half = structs.replace(explained, audio_spans=(SpanEvidence(63_400, 64_000, 0.9), SpanEvidence(61_000, 61_500, -0.7)))
    assert sentence(scored, half) == "The customer seems negative (-1.1). Mainly the voice, above all at 1:01."
    less = structs.replace(explained, audio_spans=(SpanEvidence(61_000, 61_500, -0.6),))
    assert sentence(scored, less) == "The customer seems negative (-1.1). Mainly the voice."


def test_words_alone_are_no_cause_of_themselves() -> None:
    assert sentence(*records(1.1, "positive", {TEXT: 1.0}, {TEXT: (0.1, "neutral")})) == "The customer seems positive (+1.1)."
    assert sentence(*records(1.1, "positive", {TEXT: 1.0}, claims=(claim("so much", 0.7, "neutral"),))) == (
        "The customer seems positive (+1.1). Mainly “so much”. Without “so much” it would be neutral (+0.4)."
    )


def test_what_points_the_other_way_is_named() -> None:
    text = sentence(*records(0.7, "positive", {TEXT: -0.6, AUDIO: 1.2}))
    assert text == "The customer seems positive (+0.7). Mainly the voice. The words point the other way (-0.6)."


def test_a_neutral_window_says_what_keeps_it_neutral() -> None:
    text = sentence(*records(0.0, "neutral", {TEXT: 1.0, AUDIO: -0.3, VIDEO: -0.8}, {TEXT: (-1.8, "negative")}))
    assert text == "The customer seems neutral (0.0). Without the words it would be negative (-1.8)."


def test_a_part_that_hardly_moves_the_score_decides_nothing() -> None:
    text = sentence(*records(0.4, "neutral", {TEXT: -0.1, AUDIO: 0.5}, {TEXT: (0.6, "positive")}))
    assert text == "The customer seems neutral (+0.4). The voice raises the score (+0.5)."


def test_small_parts_that_outweigh_a_large_one_are_named_together() -> None:
    text = sentence(*records(0.0, "neutral", {TEXT: 0.4, AUDIO: -0.2, VIDEO: -0.2}))
    assert (
        text == "The customer seems neutral (0.0). The words raise the score (+0.4), but the voice and the face together lower it (-0.4)."
    )
    assert "but the voice lowers it (-0.2)." in sentence(*records(0.1, "neutral", {TEXT: 0.3, AUDIO: -0.2}))


def test_a_neutral_window_without_a_deciding_part() -> None:
    assert sentence(*records(0.0, "neutral", {TEXT: -0.4, AUDIO: 0.4})) == (
        "The customer seems neutral (0.0). The words lower the score (-0.4), but the voice raises it (+0.4)."
    )
    assert sentence(*records(0.5, "neutral", {TEXT: 0.4, AUDIO: 0.1})) == (
        "The customer seems neutral (+0.5). The words raise the score (+0.4)."
    )
    assert sentence(*records(0.1, "neutral", {TEXT: 0.1, AUDIO: 0.1})) == "The customer seems neutral (+0.1). Nothing stands out."


def test_below_the_review_threshold_there_is_no_label() -> None:
    text = sentence(*records(*NEGATIVE, warnings=("to_review",)))
    assert text == "The customer's sentiment is unclear. The words lower the score (-1.3)."
    assert not any(label in text for label in LABELS)


def test_earlier_windows_are_named_when_they_matter() -> None:
    words = -0.9, "negative", {TEXT: -0.5, AUDIO: 0.0}
    assert sentence(*records(*words, earlier=(-0.4, -0.5, "neutral"))) == (
        "The customer seems negative (-0.9). Mainly the words and earlier windows. Without earlier windows it would be neutral (-0.5)."
    )
    alone = sentence(*records(-1.5, "negative", {TEXT: -1.2, AUDIO: 0.0}, earlier=(-0.4, -1.1, "negative")))
    assert alone.endswith("Mainly the words. Earlier windows lower the score (-0.4).")
    neutral = sentence(*records(0.1, "neutral", {TEXT: 0.1, AUDIO: 0.1}, earlier=(0.4, -0.8, "negative")))
    assert neutral == "The customer seems neutral (+0.1). Without earlier windows it would be negative (-0.8)."
    little = sentence(*records(-1.5, "negative", {TEXT: -1.2, AUDIO: 0.0}, earlier=(-0.2, -1.3, "negative")))
    assert "arlier" not in little


def test_a_large_change_is_told() -> None:
    scored, explained = records(*NEGATIVE)
    moved = {TEXT: -1.4, AUDIO: -0.3, VIDEO: 0.0}
    fell = structs.replace(explained, change=Changes(Change(20_400, -1.8, moved, -0.1), Change(4000, -0.3, moved, -0.1)))
    assert sentence(scored, fell).endswith("The score fell by 1.8 since 0:20, mostly through the words.")
    shared = Change(20_400, -1.8, {TEXT: -0.8, AUDIO: -0.8, VIDEO: -0.2}, 0.0)
    assert sentence(scored, structs.replace(explained, change=Changes(shared, shared))).endswith("The score fell by 1.8 since 0:20.")
    little = structs.replace(explained, change=Changes(Change(20_400, -0.9, moved, -0.1), Change(4000, -2.0, moved, -0.1)))
    assert "since" not in sentence(scored, little)


def test_what_is_expected_and_not_present_is_named_and_nothing_else() -> None:
    scored, explained = records(*NEGATIVE)
    assert "face" not in sentence(structs.replace(scored, modalities_expected=(TEXT, AUDIO)), explained)
    assert sentence(structs.replace(scored, modalities_expected=MODALITIES), explained).endswith("No face was seen.")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("several_faces", "Several faces were seen."),
        ("words_dropped", "The earliest words were left out."),
        ("sync_suspect", "Sound and picture may be out of step."),
        ("modalities_disagree", "The words and the voice disagree."),
        ("single_modality", "The voice hardly moves the score."),
        ("visual_over_reliance", "The score rests on the face."),
        ("outside_training_domain", "The words may not be English."),
        ("overload", "Some sound or pictures were left out."),
    ],
)
def test_reasons_for_care_are_told(code: str, said: str) -> None:
    assert sentence(*records(*NEGATIVE, warnings=(code,))).endswith(said)


def test_a_modality_that_was_left_out_whole_is_named_once() -> None:
    scored, explained = records(*NEGATIVE, warnings=("overload",))
    said = sentence(structs.replace(scored, withheld={VIDEO: "overload"}), explained)
    assert said.endswith("The face is left out, as the service was overloaded.")


def test_a_window_of_one_modality_rests_on_it_alone() -> None:
    scored, explained = records(-1.1, "negative", {VIDEO: -1.1}, {VIDEO: (0.1, "neutral")}, earlier=(-0.1, -1.0, "negative"))
    assert sentence(structs.replace(scored, modalities_expected=(AUDIO, VIDEO)), explained) == (
        "The customer seems negative (-1.1). Only a face was seen."
    )


def test_of_three_modalities_two_may_hardly_count() -> None:
    scored, explained = records(1.1, "positive", {TEXT: 0.0, AUDIO: 1.0, VIDEO: 0.1}, warnings=("single_modality",))
    text = sentence(structs.replace(scored, shares={TEXT: 0.0, AUDIO: 0.91, VIDEO: 0.09}), explained)
    assert text == "The customer seems positive (+1.1). Mainly the voice. The words and the face hardly move the score."


def test_without_a_score_it_says_what_is_left_out_and_what_did_not_come() -> None:
    scored = make_score(4000, None)
    for withheld, said in (
        ({AUDIO: "policy", VIDEO: "policy"}, "the voice and the face are left out by policy, and no words came."),
        ({TEXT: "language"}, "the words are left out, as they may not be English, and nothing else came."),
        (dict.fromkeys(MODALITIES, "consent"), "the words, the voice and the face are left out without consent."),
    ):
        text = sentence(structs.replace(scored, withheld=withheld), make_explanation(scored))
        assert text == f"There is no score for the customer: {said}"


def test_nothing_was_said() -> None:
    scored = make_score(4000, None)
    assert sentence(scored, make_explanation(scored)) == "Nothing was said by the customer."


points = st.floats(-3, 3).map(lambda x: round(x, 4))
labels = st.sampled_from(LABELS)


@st.composite
def any_records(draw: st.DrawFn) -> tuple[ScoreRecord, ExplanationRecord]:
    present = draw(st.lists(st.sampled_from(MODALITIES), min_size=1, unique=True).map(sorted))
    contributions = {m: draw(points) for m in present}
    without = {m: (draw(points), draw(labels)) for m in present}
    earlier = draw(st.none() | st.tuples(points, points, labels))
    claims = draw(st.lists(st.builds(claim, st.text(max_size=60), points, labels), max_size=3).map(tuple))
    codes = draw(st.lists(st.sampled_from(list(WarningCode)), unique=True).map(lambda codes: tuple(map(str, codes))))
    scored, explained = records(draw(points), draw(labels), contributions, without, earlier=earlier, claims=claims, warnings=codes)
    change = Change(draw(st.integers(0, 10**7)), draw(points), {}, 0.0)
    return scored, structs.replace(explained, change=Changes(change, change))


@given(any_records())
def test_a_summary_is_short_and_true_to_its_fields(found: tuple[ScoreRecord, ExplanationRecord]) -> None:
    scored, explained = found
    text = sentence(scored, explained)
    assert len(text.split()) <= LONGEST
    assert all(c.isprintable() for c in text)
    assert sentence(scored, explained) == text
    if "to_review" in scored.warnings:
        assert f"seems {scored.label}" not in text
    sign = {"negative": -1, "positive": 1}.get(str(scored.label))
    driver = next((part for part in text.split(". ") if part.startswith("Mainly")), "")
    for name, modality in (("the words", TEXT), ("the voice", AUDIO), ("the face", VIDEO)):
        if name in driver:
            assert sign is not None
            assert explained.contributions[modality] * sign > 0, "evidence against its own clause"
