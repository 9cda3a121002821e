"""Models that were trained on CMU-MOSI answer lines of MELD, from text alone.

MELD has no voice and no video here, so these nodes are masked. Its text vectors are standardised with MOSI's training part. The
context is the speaker's own earlier lines, because MOSI has one speaker per video and relations to other speakers were never
trained, or it is empty. *Sign* compares the score's sign with negative and positive lines, without neutral ones. *Three* are the
classes of the polarity head; in MOSI only scores nearer to 0 than 1/2 are neutral, so the classes differ between the corpora.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from research.benchmarks.ood_runs.bootstrap import Draws, interval
from research.benchmarks.ood_runs.halves import Numbers
from research.benchmarks.ood_runs.rows import Bench, mean_and_sd
from research.experiments.calibration import Answers
from research.experiments.config import DataConfig, ExperimentConfig
from research.experiments.corpus import Corpus, Features, Rows, standardised
from research.experiments.fit import answer
from research.experiments.run import read_corpus
from research.experiments.windows import Windows
from stream.domain.modality import Modality
from stream.training.corpora import NEUTRAL, Part
from stream.training.metrics import accuracy, f1_scores, majority

QUICK = ("bclstm-minilm-text-only", "bclstm-minilm-late-fusion")
PASTS = ("none", "own")


def measure(bench: Bench, *, quick: bool) -> dict[str, Numbers]:
    """Measure every finished row with frozen MiniLM as published, with each kind of context.

    Rows with the served encoder are left out, because it was trained on MELD's training lines.
    """
    meld = read_corpus(DataConfig(corpus="meld", text="minilm", modalities=(Modality.TEXT,)), bench.folders, bench.progress, 0)
    meld = only_test(meld)
    rows = [
        config
        for name, config in bench.rows.items()
        if config.data.text == "minilm" and not config.data.text_start and (name in QUICK or not quick)
    ]
    return {config.name: _row(bench, config, meld) for config in rows if bench.has(config)}


def only_test(corpus: Corpus) -> Corpus:
    """The test windows of a corpus, with their order and groups."""
    rows = corpus.rows(Part.TEST)

    def chosen(values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(values[row] for row in rows)

    return replace(
        corpus,
        ids=chosen(corpus.ids),
        groups=chosen(corpus.groups),
        speakers=chosen(corpus.speakers),
        texts=chosen(corpus.texts),
        parts=(Part.TEST,) * rows.size,
        order=corpus.order[rows],
        scores=corpus.scores[rows],
        polarities=corpus.polarities[rows],
        features={m: Features(own.values[rows], own.mask[rows]) for m, own in corpus.features.items()},
    )


def as_known(corpus: Corpus, known: Corpus) -> Corpus:
    """Prepare a corpus for a model that was trained on another: standardised with that one, missing modalities masked."""
    features = {}
    for modality, own in known.features.items():
        width = own.values.shape[2]
        empty = Features(np.zeros((len(corpus), 1, width), np.float32), np.zeros((len(corpus), 1), np.float32))
        features[modality] = corpus.features.get(modality, empty)
    return standardised(replace(corpus, features=features), like=known)


def _row(bench: Bench, config: ExperimentConfig, meld: Corpus) -> Numbers:
    known = read_corpus(config.data, bench.folders, bench.progress, 0)
    draws = Draws(meld.groups)
    answers: dict[str, list[Answers]] = {past: [] for past in PASTS}
    for seed, (model, windows) in enumerate(bench.models(config)):
        seen = as_known(meld, replace(known, parts=windows.corpus.parts))
        for past in PASTS:
            length = config.data.past if past == "own" else 0
            tested = Windows(seen, past=length, others="none", seed=seed)
            answers[past].append(answer(model, tested, np.arange(len(seen))))
    return {past: numbers(own, meld.polarities, draws) for past, own in answers.items()} | {"seeds": config.seeds}


def numbers(answers: list[Answers], truth: Rows, draws: Draws) -> Numbers:
    """Accuracy and F1 of the sign and of three classes, over seeds."""
    polar = truth != NEUTRAL
    positive = (truth[polar] > NEUTRAL).astype(np.int64)
    signs = [(own.scores[polar] > 0).astype(np.int64) for own in answers]
    classes = [own.polarity.argmax(axis=1) for own in answers]
    hits = np.mean([(own.scores > 0) == (truth > NEUTRAL) for own in answers], axis=0).astype(np.float32)
    return {
        "sign": {
            "n": int(polar.sum()),
            "majority": round(majority(positive), 4),
            "accuracy": mean_and_sd([accuracy(own, positive) for own in signs]) | {"interval": interval(draws.means(hits, polar))},
            "macro_f1": mean_and_sd([f1_scores(own, positive)[0] for own in signs]),
        },
        "three": {
            "n": int(truth.size),
            "majority": round(majority(truth), 4),
            "accuracy": mean_and_sd([accuracy(own, truth) for own in classes]),
            "macro_f1": mean_and_sd([f1_scores(own, truth)[0] for own in classes]),
            "weighted_f1": mean_and_sd([f1_scores(own, truth)[1] for own in classes]),
        },
    }
