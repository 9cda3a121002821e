"""The text encoder in 8 bits against the same in float32: what it does to scores, and what it costs.

    python -m benchmarks.text_int8 [--data DIR]

`stream.model_repository.text_integers` multiplies MiniLM's matrices in 8 bits. Both encoders read 300 test sentences each of MOSI and MELD,
and MMCI scores the words alone. `change` is the distance of the two scores in points, `flips` the share of labels that differ, `error` the
mean distance of MOSI's scores from the ratings. `ms` is the CPU time of a text of 24 tokens on one core: the least of many runs, since
machines are shared.

The last line of stdout is one JSON object with these keys. The exit code is 1 if a guard does not hold (`GUARDS`).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.eight_bits import changes, cpu_ms, judge
from benchmarks.served import REPOSITORY
from stream.domain.features import Floats
from stream.domain.modality import Modality
from stream.encoders.text import default_tokenizer
from stream.model_repository.served_models import TEXT_ENCODER
from stream.model_repository.text_weights import build_text_encoder, tuned_model
from stream.reveal.models import RepositoryModels
from stream.reveal.windows import encode
from stream.reveal.words import text_alone
from stream.training.corpora import Part, Utterance, read_meld, read_mosi
from stream.training.inference import session

SENTENCES = 300
BATCHES = (1, 4, 16)
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
TIMED = ["refund"] * 22
GUARDS = {"mean change": 0.05, "p95 of changes": 0.20, "error above float32's": 0.005, "flips": 0.02}
"""The largest values that are good enough."""


def drawn(utterances: list[Utterance], seed: int) -> list[Utterance]:
    """Some test sentences."""
    tested = [utterance for utterance in utterances if utterance.part is Part.TEST]
    return [tested[index] for index in np.random.default_rng(seed).permutation(len(tested))[:SENTENCES]]


def scored(models: RepositoryModels, sentences: list[Utterance]) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Score and label of each sentence, from its words alone."""
    answers = models.answers(encode([text_alone(tuple(sentence.text.split())) for sentence in sentences], models))
    return answers.scores[:, Modality.TEXT.bit], answers.probabilities[:, Modality.TEXT.bit].argmax(axis=-1)


def timed_rows(batch: int) -> dict[str, Any]:
    """Inputs of a batch of equal rows."""
    tokenised = default_tokenizer().tokenise(TIMED)
    return {name: np.repeat(getattr(tokenised, name)[np.newaxis], batch, axis=0) for name in INPUTS}


def main() -> None:
    """Measure, print, and check the guards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("SENTISTREAM_DATA"), help="folder of the corpora")
    options = parser.parse_args()
    if options.data is None:
        parser.error("say where the corpora are: --data or SENTISTREAM_DATA")
    exact = tuned_model(REPOSITORY / TEXT_ENCODER).SerializeToString()
    sentences = drawn(read_mosi(options.data), 0) + drawn(read_meld(options.data), 1)
    found = {
        "float32": scored(RepositoryModels(REPOSITORY, text=exact), sentences),
        "int8": scored(RepositoryModels(REPOSITORY), sentences),
    }
    ratings = np.array([sentence.score for sentence in sentences[:SENTENCES]], np.float32)
    scores = {form: own for form, (own, _) in found.items()}
    labels = {form: own for form, (_, own) in found.items()}
    errors = {form: float(np.abs(own[:SENTENCES] - ratings).mean()) for form, own in scores.items()}
    guarded = changes(scores, labels) | {"error above float32's": errors["int8"] - errors["float32"]}
    encoders = {"float32": session(exact), "int8": session(build_text_encoder(REPOSITORY / TEXT_ENCODER))}
    ms = {
        form: {str(batch): round(cpu_ms(encoder, ["last_hidden_state"], timed_rows(batch)), 2) for batch in BATCHES}
        for form, encoder in encoders.items()
    }
    judge(guarded, GUARDS, {"error": errors, "ms": ms})


if __name__ == "__main__":
    main()
