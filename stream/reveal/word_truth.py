"""Whether what a model would claim of words holds, measured offline as the worker samples it (`stream.explain.word_effects`)."""

from __future__ import annotations

from collections.abc import Sequence

from stream.domain.features import Floats, Word
from stream.domain.inference import LABELS
from stream.domain.modality import Modality
from stream.explain.phrases import candidates, phrases
from stream.explain.score_and_label import ScoreAndLabel
from stream.explain.word_effects import Truth, effects, truth
from stream.reveal.windows import Answers, RawWindow, ServedModels, encode
from stream.reveal.words import text_alone

MOST_TRIED = 6


def word_truth(windows: Sequence[RawWindow], models: ServedModels) -> Truth:
    """Every phrase is removed and the rest encoded again; do those with the largest relevance hold the largest effect? Words alone."""
    spoken = [text_alone(raw.words) for raw in windows if raw.words]
    inputs = encode(spoken, models)
    whole = models.answers(inputs)
    found = [phrases(own.word_nodes) for own in inputs]
    asked = [(row, phrase) for row, own in enumerate(found) for phrase in own]
    if not asked:
        return Truth()
    without = models.answers(encode([text_alone(_without(inputs[row].word_nodes, phrase)) for row, phrase in asked], models))
    verdicts = {pair: _verdict(without, row) for row, pair in enumerate(asked)}
    total = Truth()
    for row, own in enumerate(found):
        every = {phrase: verdicts[row, phrase] for phrase in own}
        tried = candidates(own, _relevance(whole, row, len(inputs[row].word_nodes)), MOST_TRIED)
        verdict = _verdict(whole, row)
        total = total.plus(truth(effects(verdict, {phrase: every[phrase] for phrase in tried}), effects(verdict, every)))
    return total


def _without(words: Sequence[Word], phrase: range) -> tuple[str, ...]:
    return tuple([word.text for index, word in enumerate(words) if index not in phrase])


def _relevance(answers: Answers, row: int, count: int) -> Floats:
    own: Floats = answers.relevance[row, :count]
    return own


def _verdict(answers: Answers, row: int) -> ScoreAndLabel:
    probabilities = answers.probabilities[row, Modality.TEXT.bit]
    return ScoreAndLabel(float(answers.scores[row, Modality.TEXT.bit]), LABELS[int(probabilities.argmax())], probabilities)
