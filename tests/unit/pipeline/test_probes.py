"""Probed windows: what a nuisance does to the score is measured, and said only beyond its threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import pytest
from msgspec import structs

from stream.domain.disclosure import Disclosure
from stream.domain.features import AudioFeatures, Floats, MarkedSound, TextFeatures, VideoFeatures, Word
from stream.domain.inference import COALITIONS, Coalitions, Extra, Inference, WindowInputs
from stream.domain.media_format import FACE_WIDTH, VOICE_WIDTH
from stream.domain.modality import Modality
from stream.domain.result import ExplanationRecord, ModelVersion, ScoreRecord
from stream.domain.window import Window
from stream.encoders.text import TokenisedWords, default_tokenizer
from stream.nuisances.probes import filler_and_place
from stream.pipeline.live_reveal import MOST_NAMES, LiveReveal
from stream.pipeline.metrics import Metrics
from stream.pipeline.probes import Probes
from stream.pipeline.score import WindowScorer
from stream.pipeline.window_context import ContextStore
from stream.serving.errors import ModelRejectedError, TritonUnavailableError
from stream.serving.models import Models
from tests.fakes.windows import MODEL, make_inference, make_window

HOUR = 490_000
THRESHOLDS = {"hiss": 0.5, "hum": 0.5, "blur": 0.5, "bad light": 0.5, "hiss alone": 2.0}


class SumModels:
    """The score is the sum of the first column of all nodes; every word is worth 0.25."""

    def __init__(self, *, away: bool = False) -> None:
        self.asked = 0
        self.alone: list[str] = []
        self._away = away

    async def named(self, version: str) -> ModelVersion:
        return structs.replace(MODEL, version=version)

    async def encode_text(self, tokenised: TokenisedWords, spare_s: float = 0.0) -> Floats:
        states = np.zeros((tokenised.input_ids.shape[0], 384), np.float32)
        states[:, 0] = 0.25
        return states

    async def infer(self, inputs: WindowInputs, version: str, extras: frozenset[Extra] = frozenset()) -> Inference:
        self.asked += 1
        return self._answer(inputs, version)

    async def coalitions(self, inputs: WindowInputs, version: str) -> Coalitions:
        return await self.infer(inputs, version)

    async def try_infer(self, inputs: WindowInputs, version: str) -> Inference:
        if self._away:
            raise TritonUnavailableError("away")
        self.alone.append(inputs.word_nodes[0].text)
        return self._answer(inputs, version)

    @staticmethod
    def _answer(inputs: WindowInputs, version: str) -> Inference:
        sums = {
            Modality.TEXT: inputs.words[:, 0] @ inputs.word_mask,
            Modality.AUDIO: inputs.audio[:, 0] @ inputs.audio_mask,
            Modality.VIDEO: inputs.video[:, 0] @ inputs.video_mask,
        }
        scores = [float(sum(value for m, value in sums.items() if index & m.bit)) for index in range(COALITIONS)]
        nodes = np.zeros(len(inputs.words) + len(inputs.audio) + len(inputs.video), np.float32)
        return replace(make_inference(scores), relevance=nodes, causal=nodes, version=version)


def sound(start_ms: int, hiss: float | None) -> AudioFeatures:
    """A second that is worth 0.1, and with hiss this much."""
    spans = np.array([[start_ms + 100 * i, start_ms + 100 * (i + 1)] for i in range(10)], np.int64)
    audible = np.ones(10, bool)

    def rows(worth: float) -> Floats:
        values = np.zeros((10, VOICE_WIDTH), np.float32)
        values[:, 0] = worth / 10
        return values

    marked = {} if hiss is None else {"hiss": MarkedSound(rows(hiss), audible), "hum": MarkedSound(rows(0.1), audible)}
    return AudioFeatures(spans, rows(0.1), audible, marked=marked)


def face(start_ms: int, blurred: float | None) -> VideoFeatures:
    rows = np.zeros((1, FACE_WIDTH), np.float32)
    marked = {} if blurred is None else {"blur": rows + blurred, "bad light": rows}
    return VideoFeatures(np.array([[start_ms, start_ms + 200]], np.int64), rows, np.zeros((1, 4), np.float32), 1, 1, marked=marked)


def window_of(hiss: Sequence[float | None], blurred: Sequence[float | None] = (), words: Sequence[str] = ()) -> Window:
    text = (TextFeatures(tuple(Word(word, 200 * i, 200 * i + 150) for i, word in enumerate(words))),) if words else ()
    return structs.replace(
        make_window([]),
        start_ms=0,
        end_ms=4000,
        text=text,
        audio=tuple(sound(1000 * i, own) for i, own in enumerate(hiss)),
        video=tuple(face(1000 * i, own) for i, own in enumerate(blurred)),
    )


def live_reveal(
    models: SumModels, *, share: float = 1.0, words: dict[str, float] | None = None, disclosure: Disclosure = Disclosure.FULL
) -> LiveReveal:
    served, tokenizer = cast(Models, models), default_tokenizer()
    probes = Probes(served, tokenizer, share, THRESHOLDS)
    return LiveReveal(probes, served, tokenizer, words or {}, Metrics(), disclosure=disclosure, now_ms=lambda: HOUR * 3_600_000)


async def final(models: SumModels, reveal: LiveReveal | None, window: Window) -> tuple[ScoreRecord, ExplanationRecord]:
    scorer = WindowScorer(cast(Models, models), default_tokenizer(), 500, live_reveal=reveal)
    return await scorer.final(window, ContextStore().context_of(window), "1")


def codes(score: ScoreRecord) -> list[str]:
    return [code for code in score.warnings if code.startswith("nuisance_sensitive")]


async def test_a_window_that_hiss_moves_beyond_its_threshold_says_so() -> None:
    models = SumModels()
    reveal = live_reveal(models)
    score, explanation = await final(models, reveal, window_of([0.3, 0.3, 0.3, 0.3], [0.0]))
    assert score.score == pytest.approx(0.4)
    assert codes(score) == ["nuisance_sensitive:hiss"]
    assert "Hiss would move the score." in explanation.sentence
    (hour,) = reveal.changed()
    assert (hour.hour, hour.windows) == (HOUR, 1)
    assert {name: (own.windows, round(own.total, 4), own.moved) for name, own in hour.sums["1"].items()} == {
        "hiss": (1, 0.8, 1),
        "hum": (1, 0.0, 0),
        "blur": (1, 0.0, 0),
        "bad light": (1, 0.0, 0),
    }


async def test_a_voice_alone_has_a_threshold_and_sums_of_its_own() -> None:
    reveal = live_reveal(models := SumModels())
    for hiss, found in ((0.3, []), (0.9, ["nuisance_sensitive:hiss"])):
        score, _ = await final(models, reveal, window_of([hiss] * 4))
        assert codes(score) == found
    (hour,) = reveal.changed()
    assert {name: own.windows for name, own in hour.sums["1"].items()} == {"hiss alone": 2, "hum alone": 2}


async def test_nothing_is_asked_or_said_of_a_window_outside_the_share() -> None:
    models, plain = SumModels(), SumModels()
    window = window_of([3.0, 3.0], [9.0], ["so", "good"])
    with_probes = await final(models, live_reveal(models, share=0.0), window)
    assert with_probes == await final(plain, None, window)
    assert models.asked == plain.asked == 1


async def test_a_modality_whose_chunks_were_not_all_probed_is_left_out() -> None:
    models = SumModels()
    reveal = live_reveal(models)
    score, _ = await final(models, reveal, window_of([3.0, None], [9.0]))
    assert codes(score) == ["nuisance_sensitive:blur"]
    assert [*reveal.changed()[0].sums["1"]] == ["blur", "bad light"]


async def test_a_probe_that_the_model_refuses_is_left_out_and_costs_no_window() -> None:
    class Refusing(SumModels):
        async def infer(self, inputs: WindowInputs, version: str, extras: frozenset[Extra] = frozenset()) -> Inference:
            if inputs.audio[0, 0] > 1:
                raise ModelRejectedError("not finite")
            return await super().infer(inputs, version, extras)

    reveal = live_reveal(models := Refusing())
    score, _ = await final(models, reveal, window_of([30.0]))
    assert score.score == pytest.approx(0.1)
    assert [*reveal.changed()[0].sums["1"]] == ["hum alone"]


async def test_a_fault_of_the_probes_costs_no_window() -> None:
    class Broken(SumModels):
        async def infer(self, inputs: WindowInputs, version: str, extras: frozenset[Extra] = frozenset()) -> Inference:
            if inputs.audio[0, 0] > 1:
                raise ZeroDivisionError
            return await super().infer(inputs, version, extras)

    window = window_of([30.0])
    misshapen = structs.replace(
        window, audio=(replace(window.audio[0], marked={"hiss": MarkedSound(np.zeros((3, 2), np.float32), np.ones(9, bool))}),)
    )
    for models, probed in ((Broken(), window), (SumModels(), misshapen)):
        reveal = live_reveal(models)
        score, _ = await final(models, reveal, probed)
        assert score.score == pytest.approx(0.1)
        assert not codes(score)
        assert reveal.changed() == []


async def test_words_that_cannot_be_looked_at_cost_no_window() -> None:
    class Unreadable(dict[str, float]):
        def __contains__(self, _word: object) -> bool:
            raise ZeroDivisionError

    score, _ = await final(models := SumModels(), live_reveal(models, words=Unreadable(fine=0.25)), window_of([], [], ["fine"]))
    assert score.score == pytest.approx(0.25)


async def test_silent_chunks_need_no_probe() -> None:
    silent = sound(1000, None)
    silent.audible[:] = False
    window = window_of([3.0])
    score, _ = await final(models := SumModels(), live_reveal(models), structs.replace(window, audio=(*window.audio, silent)))
    assert codes(score) == ["nuisance_sensitive:hiss"]


async def test_a_replay_gives_the_same_records() -> None:
    window = window_of([0.9, 0.9], [0.4], ["it", "was", "fine"])
    first, again = [await final(models := SumModels(), live_reveal(models), window) for _ in range(2)]
    assert first == again


async def test_a_filler_word_is_inserted_and_the_words_are_encoded_again() -> None:
    models = SumModels()
    reveal = live_reveal(models)
    window = window_of([], [], ["it", "was", "fine"])
    await final(models, reveal, window)
    filler, _ = filler_and_place(f"{window.track.track}/4000", 3)
    (hour,) = reveal.changed()
    assert {name: round(own.total, 4) for name, own in hour.sums["1"].items()} == {f"word {filler} alone": 0.25}
    assert reveal.changed() == []


async def test_words_that_their_producer_has_encoded_get_no_filler() -> None:
    window = window_of([], [], ["fine"])
    window = structs.replace(window, text=(TextFeatures(window.words(), states=np.zeros((1, 384), np.float32)),))
    reveal = live_reveal(models := SumModels(), words={"fine": 2.0})
    await final(models, reveal, window)
    await reveal.finished()
    assert models.alone == []
    assert reveal.changed()[0].sums == {}


async def test_known_words_that_score_otherwise_than_in_an_honest_model_are_kept() -> None:
    models = SumModels()
    reveal = live_reveal(models, words={"fine": 0.25, "perhaps": -0.5})
    for _ in range(2):
        await final(models, reveal, window_of([], [], ["Perhaps", "it", "was", "fine,", "Smith", "0171"]))
        await reveal.finished()
    assert sorted(models.alone) == ["fine", "perhaps"], "each word once for each version; what the reference does not know is not asked"
    own = reveal.changed()[0].sums["1"]
    assert {name: (sums.windows, sums.mean) for name, sums in own.items() if name.startswith("said ")} == {"said perhaps": (2, 0.25)}


async def test_words_that_may_not_be_shown_are_not_looked_at() -> None:
    reveal = live_reveal(models := SumModels(), words={"perhaps": -2.0}, disclosure=Disclosure.NONE)
    await final(models, reveal, window_of([], [], ["perhaps"]))
    await reveal.finished()
    assert models.alone == []


async def test_an_outage_drops_the_words_and_no_window_waits() -> None:
    reveal = live_reveal(models := SumModels(away=True), words={"perhaps": -2.0})
    score, _ = await final(models, reveal, window_of([], [], ["perhaps"]))
    await reveal.finished()
    assert score.score is not None
    assert not [name for name in reveal.changed()[0].sums["1"] if name.startswith("said ")]


async def test_the_names_that_are_kept_are_bounded() -> None:
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    words = [f"q{a}{b}x" for a in alphabet for b in alphabet][: MOST_NAMES + 50]
    reveal = live_reveal(models := SumModels(), words=dict.fromkeys(words, -2.0))
    for first in range(0, len(words), 10):
        await final(models, reveal, window_of([], [], words[first : first + 10]))
        await reveal.finished()
    assert len(reveal.changed()[0].sums["1"]) == MOST_NAMES
