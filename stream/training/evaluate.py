"""Evaluation of a trained MMCI on the test parts, as the model card reports it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
import torch

from stream.domain.features import Floats
from stream.domain.inference import MODALITY_SETS
from stream.domain.modality import MODALITIES, Modality
from stream.model.served import FULL, ServedMMCI
from stream.training import routine_talk
from stream.training.features import Pools, TextPool
from stream.training.metrics import accuracy, bootstrap_by_group, classification, macro_recall, regression, reliability, review
from stream.training.mmci import answer, batches
from stream.training.windows import Batch, WindowMaker

BATCH = 64

SPEAKER_LINES = 100
"""Least number of test lines with which a speaker of MELD is reported separately."""
OTHERS = "all others"

Results = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers to n windows: (n, 8) scores, (n, 8, 3) probabilities, (n,) unadjusted scores, (n,) polarities and annotated scores."""

    scores: Floats
    probabilities: Floats
    unadjusted: Floats
    polarity: npt.NDArray[np.int64]
    wanted_score: Floats


def evaluate(served: ServedMMCI, pools: Pools) -> Results:
    """Evaluate each modality alone on its own test part, each group of speakers, and every coalition on paired windows."""
    maker = WindowMaker(pools, 0)
    answers = _answers(served, batches(maker.paired, range(len(pools.text.utterances)), BATCH))
    paired = answers_where(answers, ~_made_up(pools))
    below = [float(bound) for bound in served.review_below]
    voices = _answers(served, batches(maker.voices_only, range(pools.voice.polarities.shape[0]), BATCH))
    faces = _answers(served, batches(maker.faces_only, range(pools.face.polarities.shape[0]), BATCH))
    return {
        **_text_results(answers, pools.text, below[Modality.TEXT.bit]),
        **_cut_results(served, pools),
        **_speakers(answers, pools),
        **_actors(voices, pools),
        **_voice_results(voices, pools, below[Modality.AUDIO.bit]),
        "face": classification(faces.probabilities[:, FULL], faces.polarity)
        | review(faces.probabilities[:, FULL], faces.polarity, below[Modality.VIDEO.bit]),
        **{f"paired {_name(coalition)}": _coalition(paired, coalition, below[coalition]) for coalition in range(MODALITY_SETS)},
        "agreement": _agreement(paired),
    }


def reliabilities(served: ServedMMCI, pools: Pools) -> dict[str, list[tuple[float, float, int]]]:
    """The calibration curve of every coalition but the empty one, on paired windows; see `stream.training.metrics.reliability`."""
    answers = paired_answers(served, pools)
    return {_name(coalition): reliability(answers.probabilities[:, coalition], answers.polarity) for coalition in range(1, MODALITY_SETS)}


def paired_answers(served: ServedMMCI, pools: Pools) -> Answers:
    """Answers to paired windows of all transcripts but those of made-up calls."""
    return _answers(served, batches(WindowMaker(pools, 0).paired, np.flatnonzero(~_made_up(pools)).tolist(), BATCH))


def _made_up(pools: Pools) -> npt.NDArray[np.bool_]:
    """True for made-up calls, which have a row of their own: nobody has said or judged them."""
    return np.array([utterance.corpus == routine_talk.CORPUS for utterance in pools.text.utterances])


def _speakers(answers: Answers, pools: Pools) -> Results:
    """MELD's lines by speaker, text alone: each speaker with at least `SPEAKER_LINES` test lines, and all others together."""
    said = pools.text.utterances
    lines = Counter(utterance.speaker for utterance in said if utterance.corpus == "meld")
    names = np.array(["" if u.corpus != "meld" else u.speaker if lines[u.speaker] >= SPEAKER_LINES else OTHERS for u in said])
    return {f"speaker {name}": _group(answers, Modality.TEXT.bit, names == name) for name in np.unique(names) if name}


def _voice_results(answers: Answers, pools: Pools, below: float) -> Results:
    """Voice alone, by corpus; the interval comes from resampling speakers."""
    results = {}
    for name in np.unique(pools.voice.corpora):
        chosen = pools.voice.corpora == name
        own = answers_where(answers, chosen)
        probabilities = own.probabilities[:, FULL]
        results[f"voice {name}"] = (
            classification(probabilities, own.polarity)
            | {"macro_recall": macro_recall(probabilities.argmax(axis=1), own.polarity)}
            | review(probabilities, own.polarity, below)
            | _interval(own, FULL, list(pools.voice.speakers[chosen]))
        )
    return results


def _actors(voices: Answers, pools: Pools) -> Results:
    """RAVDESS by sex and by actor, voice alone. Every actor speaks the same lines with the same emotions; men have odd numbers."""
    own = pools.voice.corpora == "ravdess"
    actors = np.array([int(name) if mine else 0 for name, mine in zip(pools.voice.speakers, own, strict=True)])
    groups = {"actors male": own & (actors % 2 == 1), "actors female": own & (actors % 2 == 0)}
    groups |= {f"actor {actor}": actors == actor for actor in np.unique(actors[own])}
    return {name: _group(voices, FULL, chosen) for name, chosen in groups.items() if chosen.any()}


def _group(answers: Answers, coalition: int, chosen: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Accuracy and mean score of some windows, and the mean score of their neutral ones, which should not depend on the speaker."""
    own = answers_where(answers, chosen)
    scores, neutral = own.scores[:, coalition], own.polarity == 1
    return {
        "n": float(chosen.sum()),
        "accuracy": accuracy(own.probabilities[:, coalition].argmax(axis=1), own.polarity),
        "mean_score": float(scores.mean()),
        "mean_score_of_neutral": float(scores[neutral].mean()) if neutral.any() else 0.0,
    }


def _cut_results(served: ServedMMCI, pools: Pools) -> Results:
    """Text alone in windows that cut transcripts, by how these are encoded."""
    results: Results = {}
    for name, text in pools.cut_text.items():
        maker = WindowMaker(replace(pools, text=text), 0)
        answers = _answers(served, batches(maker.paired, range(len(text.utterances)), BATCH))
        found = _text_results(answers, text, float(served.review_below[Modality.TEXT.bit]))
        results |= {f"{corpus}, {name}": numbers for corpus, numbers in found.items()}
    return results


def _text_results(answers: Answers, text: TextPool, below: float) -> Results:
    corpus = np.array([utterance.corpus for utterance in text.utterances])
    groups = np.array([utterance.group for utterance in text.utterances])
    alone = Modality.TEXT.bit
    results = {}
    for name in np.unique(corpus):
        own = answers_where(answers, corpus == name)
        results[f"text {name}"] = (
            classification(own.probabilities[:, alone], own.polarity)
            | review(own.probabilities[:, alone], own.polarity, below)
            | _interval(own, alone, list(groups[corpus == name]))
        )
        if not np.isnan(own.wanted_score).any():
            results[f"text {name}"] |= regression(own.scores[:, alone], own.wanted_score)
    return results


def answers_where(answers: Answers, chosen: npt.NDArray[np.bool_]) -> Answers:
    """The answers to some of the windows."""
    return Answers(*(getattr(answers, field.name)[chosen] for field in fields(answers)))


def _coalition(answers: Answers, coalition: int, below: float) -> dict[str, float]:
    annotated = ~np.isnan(answers.wanted_score)
    error = np.abs(answers.scores[annotated, coalition] - answers.wanted_score[annotated])
    probabilities = answers.probabilities[:, coalition]
    return (
        classification(probabilities, answers.polarity) | review(probabilities, answers.polarity, below) | {"mosi_mae": float(error.mean())}
    )


def _agreement(answers: Answers) -> dict[str, float]:
    """How often label and score contradict each other, and how much the adjustment changes the score, with all modalities."""
    label, score = answers.probabilities[:, FULL].argmax(axis=1), answers.scores[:, FULL]
    contradicts = ((label == 0) & (score > 0)) | ((label == 2) & (score < 0))
    return {
        "contradictions": float(contradicts.mean()),
        "mean_size_of_neutral_scores": float(np.abs(score[label == 1]).mean()) if bool((label == 1).any()) else 0.0,
        "mean_change_by_adjustment": float(np.abs(score - answers.unadjusted).mean()),
    }


def _interval(answers: Answers, coalition: int, groups: Sequence[str]) -> dict[str, float]:
    right = answers.probabilities[:, coalition].argmax(axis=1) == answers.polarity
    low, high = bootstrap_by_group(right, groups, seed=0)
    return {"accuracy_low": low, "accuracy_high": high}


def _answers(served: ServedMMCI, windows: Iterable[Batch]) -> Answers:
    scores, probabilities, unadjusted, polarity, wanted = [], [], [], [], []
    for batch in windows:
        found = answer(served, batch)
        scores.append(found["scores"])
        probabilities.append(found["probabilities"])
        unadjusted.append(found["score_unadjusted"][:, 0])
        polarity.append(batch.polarity)
        wanted.append(batch.score)
    return Answers(*(torch.cat(parts).numpy() for parts in (scores, probabilities, unadjusted, polarity, wanted)))


def _name(coalition: int) -> str:
    return " + ".join(modality for modality in MODALITIES if coalition & modality.bit) or "nothing"
