"""The numbers of a record add up, a repeat is identical byte for byte, and warnings have the right causes."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from msgspec import structs

from stream.domain.clock_skew import ClockSkew
from stream.domain.inference import Inference, WindowInputs
from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import Changes, ExplanationRecord, ScoreRecord, decode_record, encode_record
from stream.domain.warning_codes import WarningCode
from stream.domain.window import Window
from stream.explain.records import final_records, identity_fields, partial_record
from tests.fakes.windows import MODEL, make_inference, make_inputs, make_window

SCORES = [0.1, -1.5, 0.4, -1.2, 0.1, -1.6, 0.3, -1.3]
WORDS = ["that", "is", "terrible"]


def full_window() -> tuple[Window, WindowInputs, Inference]:
    window = make_window(WORDS, segments=4, frames=2)
    inference = make_inference(SCORES, words=[-0.1, 0.0, -1.2], audio=[0.1, 0.2, 0.0, -0.1], video=[-0.05, 0.0])
    return window, make_inputs(window), inference


def final_score() -> ScoreRecord:
    window, inputs, inference = full_window()
    return final_records(window, inputs, inference, MODEL, 500)[0]


def test_the_same_window_gives_the_same_bytes() -> None:
    first, again = ((encode_record(final_score()), encode_record(final_records(*full_window(), MODEL, 500)[1])) for _ in range(2))
    assert first == again
    assert encode_record(decode_record(first[0])) == first[0]
    assert encode_record(decode_record(first[1])) == first[1]


def test_published_numbers_add_up() -> None:
    score = final_score()
    explanation = final_records(*full_window(), MODEL, 500)[1]
    assert explanation.base_score is not None
    assert round(explanation.base_score + sum(explanation.contributions.values()), 4) == score.score == -1.3
    assert round(sum(score.shares.values()), 4) == 1.0
    assert round(sum(score.probabilities.values()), 4) == 1.0
    assert explanation.attention_share is not None
    assert round(explanation.attention_share.causal + explanation.attention_share.shortcut, 4) == 1.0
    assert explanation.score_without == {Modality.TEXT: 0.3, Modality.AUDIO: -1.6, Modality.VIDEO: -1.2}
    assert explanation.label_without == {Modality.TEXT: "neutral", Modality.AUDIO: "negative", Modality.VIDEO: "negative"}
    assert (explanation.score_without_earlier, explanation.label_without_earlier) == (None, None)
    listed = {
        Modality.TEXT: [item.relevance for item in explanation.words],
        Modality.AUDIO: [item.relevance for item in explanation.audio_spans],
        Modality.VIDEO: [item.relevance for item in explanation.video_frames],
    }
    for modality, items in listed.items():
        assert round(sum(items) + explanation.rest[modality], 4) == explanation.contributions[modality], "evidence and the rest add up"
    assert score.label == "negative"
    assert score.confidence == score.probabilities["negative"] == 0.8


def test_earlier_windows_have_a_contribution_of_their_own() -> None:
    window, inputs, _ = full_window()
    inputs = replace(inputs, past_mask=np.ones_like(inputs.past_mask))
    inference = make_inference([*SCORES, *(score + 0.4 if index else score for index, score in enumerate(SCORES))])
    score, explanation = final_records(window, inputs, inference, MODEL, 500)
    assert score.score == -0.9
    assert explanation.earlier_windows == pytest.approx(0.3, abs=1e-4)
    assert explanation.base_score is not None
    total = explanation.base_score + sum(explanation.contributions.values()) + explanation.earlier_windows
    assert round(total, 4) == score.score
    assert (explanation.score_without_earlier, explanation.label_without_earlier) == (-1.3, "negative")


def test_an_absent_modality_contributes_nothing_and_has_no_score_without_it() -> None:
    window = make_window(segments=4)
    inference = make_inference(SCORES, audio=[0.3, 0.0, 0.0, 0.0])
    score, explanation = final_records(window, make_inputs(window), inference, MODEL, 500)
    assert score.modalities_present == (Modality.AUDIO,)
    assert score.score == 0.4
    assert score.shares == {Modality.AUDIO: 1.0}
    assert explanation.contributions == {Modality.TEXT: 0.0, Modality.AUDIO: 0.3, Modality.VIDEO: 0.0}
    assert explanation.score_without == {Modality.AUDIO: 0.1}


@pytest.mark.parametrize("inference", [None, make_inference(SCORES)])
def test_a_window_in_which_nothing_is_present_has_no_number_and_a_warning(inference: Inference | None) -> None:
    window = make_window(warnings=(WarningCode.SHED,))
    score, explanation = final_records(window, make_inputs(window), inference, MODEL, 500)
    assert (score.score, score.label, score.confidence) == (None, None, None)
    assert (score.probabilities, score.shares, score.modalities_present, score.modalities_expected) == ({}, {}, (), MODALITIES)
    assert score.warnings == ("nothing_present", "shed")
    assert (explanation.base_score, explanation.attention_share) == (None, None)
    assert (explanation.contributions, explanation.score_without) == ({}, {})
    assert (explanation.words, explanation.audio_spans, explanation.video_frames) == ((), (), ())
    assert explanation.sentence == "Nothing was said by the customer."
    assert b'"score":null,"label":null,"confidence":null' in encode_record(score)
    assert decode_record(encode_record(score)) == score
    assert decode_record(encode_record(explanation)) == explanation


def test_an_open_window_in_which_nothing_is_present_has_no_score_either() -> None:
    window = make_window(is_final=False)
    partial = partial_record(window, make_inputs(window), None, MODEL, 500)
    assert (partial.score, partial.label, partial.confidence, partial.warnings) == (None, None, None, ("nothing_present",))


def test_music_says_nothing_but_stays_beside_a_word() -> None:
    def with_music(window: Window) -> Window:
        return structs.replace(window, audio=tuple(replace(chunk, voiced=np.zeros(4, np.bool_)) for chunk in window.audio))

    music, words_over_music = with_music(make_window(segments=4)), with_music(make_window(WORDS, segments=4))
    score, explanation = final_records(music, make_inputs(music), None, MODEL, 500)
    assert (score.score, score.modalities_present) == (None, ())
    assert explanation.sentence.startswith("Nothing was said")
    inference = make_inference(SCORES, audio=[0.3, 0.0, 0.0, 0.0])
    score, explanation = final_records(words_over_music, make_inputs(words_over_music), inference, MODEL, 500)
    assert score.modalities_present == (Modality.TEXT, Modality.AUDIO)
    assert score.score == -1.2


def test_a_window_with_content_needs_an_inference() -> None:
    window = make_window(WORDS)
    with pytest.raises(ValueError, match="no inference"):
        final_records(window, make_inputs(window), None, MODEL, 500)


def test_arousal_is_that_of_the_voice() -> None:
    inference = make_inference(SCORES, arousal=0.654321)
    voice, noise = make_window(WORDS, segments=4), make_window(WORDS, segments=4)
    noise = structs.replace(noise, audio=(replace(noise.audio[0], confirmed=np.zeros(4, np.bool_)),))
    score = final_records(voice, make_inputs(voice), inference, MODEL, 500)[0]
    assert score.arousal == 0.6543
    assert decode_record(encode_record(score)) == score
    open_window = structs.replace(voice, is_final=False)
    assert partial_record(open_window, make_inputs(open_window), inference, MODEL, 500).arousal == 0.6543
    assert final_records(noise, make_inputs(noise), inference, MODEL, 500)[0].modalities_present == (Modality.TEXT, Modality.AUDIO)
    assert final_records(noise, make_inputs(noise), inference, MODEL, 500)[0].arousal is None
    words = make_window(WORDS)
    assert final_records(words, make_inputs(words), inference, MODEL, 500)[0].arousal is None


def test_a_record_of_an_earlier_release_is_read_without_the_new_fields() -> None:
    old = msgspec.json.decode(encode_record(final_score()))
    del old["modalities_expected"], old["arousal"]
    record = decode_record(msgspec.json.encode(old))
    assert record == structs.replace(final_score(), modalities_expected=(), arousal=None)


def test_an_explanation_of_an_earlier_release_is_read() -> None:
    new = final_records(*full_window(), MODEL, 500)[1]
    required = (*identity_fields(make_window()), "base_score", "contributions", "score_without", "words", "audio_spans", "video_frames")
    old = {name: value for name, value in msgspec.to_builtins(new).items() if name in {"event", "sentence", *required}}
    old |= {"causal_share": 0.7, "shortcut_share": 0.3, "score_unadjusted": -1.2}
    record = decode_record(msgspec.json.encode(old))
    assert isinstance(record, ExplanationRecord)
    assert (record.words, record.sentence, record.claims, record.change) == (new.words, new.sentence, (), Changes())


def test_every_warning_is_raised_by_its_cause_alone() -> None:
    calm = [0.0] * 8

    def warnings(inference: Inference, *, faces: int = 1, dropped: int = 0, of_input: tuple[str, ...] = ()) -> tuple[str, ...]:
        window = make_window(WORDS, segments=1, frames=1, faces=faces, warnings=of_input)
        return final_records(window, make_inputs(window, dropped), inference, MODEL, 500)[0].warnings

    assert warnings(make_inference(calm)) == ()
    assert warnings(make_inference(calm), faces=2) == ("several_faces",)
    assert warnings(make_inference(calm), dropped=1) == ("words_dropped",)
    assert warnings(make_inference(calm, to_review=True)) == ("to_review",)
    assert warnings(make_inference([0, 1, -1, 0, 0, 0, 0, 0])) == ("modalities_disagree",)
    assert warnings(make_inference(calm), of_input=("z", "late_chunks", "late_chunks")) == ("late_chunks", "z")
    assert warnings(make_inference(calm), faces=2, of_input=("late_chunks", WarningCode.SYNC_SUSPECT)) == (
        "several_faces",
        "sync_suspect",
        "late_chunks",
    )


def test_clock_skews_are_published_as_they_are() -> None:
    skew = ClockSkew(offset_ms=-1.5, drift_ppm=20.25, at_ms=4000, samples=4, misses=0, variance=(625.0, 0.0, 22500.0))
    window = structs.replace(make_window(WORDS), clock_skews={Modality.VIDEO: skew})
    score = final_records(window, make_inputs(window), make_inference(SCORES), MODEL, 500)[0]
    assert score.sync == {Modality.VIDEO: skew}
    assert decode_record(encode_record(score)) == score


def test_the_label_is_the_most_probable_even_if_the_score_has_another_sign() -> None:
    window = make_window(WORDS)
    inference = make_inference([0.4] * 8, probabilities=[[0.5, 0.3, 0.2]] * 8)
    assert final_records(window, make_inputs(window), inference, MODEL, 500)[0].label == "negative"


def test_open_and_closed_windows_are_not_confused() -> None:
    closed, opened = make_window(WORDS), make_window(WORDS, is_final=False)
    inference = make_inference([0.0] * 8)
    partial = partial_record(opened, make_inputs(opened), inference, MODEL, 500)
    assert (partial.is_final, partial.revision) == (False, 3)
    assert b'"event":"partial"' in encode_record(partial)
    with pytest.raises(ValueError, match="open"):
        final_records(opened, make_inputs(opened), inference, MODEL, 500)
    with pytest.raises(ValueError, match="final"):
        partial_record(closed, make_inputs(closed), inference, MODEL, 500)
