"""How often claims on words hold, through the served models: ``python -m benchmarks.word_claims [--data FOLDER] [--windows N]``.

Texts of the test parts are windows of words alone: every phrase of each is left out in turn, and the claims of each number of tried phrases
are compared with that. Then the product's own code makes the claims on windows of the packaged sample, and on windows composed of test
transcripts, voices and faces, examines each in full, and looks for the phrases that its label hangs on.

The last line of stdout is one JSON object: ``texts``, ``by_candidates -> {number -> {top, sign, windows, removals}}``, ``candidates`` (the
default) and ``windows``, with the counts of the second part.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from benchmarks.explanation_runs.local_models import LocalClient
from benchmarks.explanation_runs.sample_windows import sample_cases
from benchmarks.explanation_runs.served_graph import ServedGraph
from benchmarks.explanation_runs.windows import Case
from benchmarks.machine import machine, versions
from stream.config.project import PROJECT_ROOT
from stream.config.settings import Settings
from stream.encoders.text import default_tokenizer
from stream.explain.word_effects import Truth
from stream.model.served import WEIGHTS, load_weights
from stream.pipeline.word_claims import SpokenWindow, WordClaims
from stream.reveal.corpora import corpus_windows
from stream.reveal.models import RepositoryModels
from stream.reveal.windows import encode
from stream.training.corpora import Part
from stream.training.recipe import CARD_SEED, WORD_CANDIDATES, PoolReader, Recipe
from stream.training.word_effects import truth_rate

REPOSITORY = PROJECT_ROOT / "triton_models"
WINDOWS = 200


def of_texts(data: Path, progress: Progress) -> dict[str, Any]:
    """How often claims hold on texts alone, by the number of phrases that are tried."""
    served = load_weights(REPOSITORY / "mmci" / "1" / WEIGHTS)
    texts = PoolReader(data, REPOSITORY, Recipe(), CARD_SEED, progress).removals(served, Part.TEST)
    return {"texts": len(texts), "by_candidates": {str(most): truth_rate(texts, most) for most in WORD_CANDIDATES}}


async def of_windows(cases: Sequence[Case], client: LocalClient, candidates: int, progress: Progress) -> dict[str, Any]:
    """The product's claims on windows, each of which is examined in full."""
    graph, models = ServedGraph(REPOSITORY), client.models()
    claims = WordClaims(models, default_tokenizer(), candidates)
    held, hangs_on = Truth(), Counter[int]()
    bar = progress.add_task("claims", total=len(cases))
    for case in cases:
        inputs = case.inputs
        spoken = SpokenWindow(inputs.word_nodes, case.words_before, inputs, graph.answers([inputs])[0], case.start_ms)
        found = await claims.find(spoken, in_full=True)
        held = held.plus(found.truth or Truth())
        if found.measured.counterfactual:
            hangs_on[len(found.measured.counterfactual)] += 1
        progress.advance(bar)
    await models.close()
    sizes = {str(size): hangs_on[size] for size in sorted(hangs_on)}
    return {"count": len(cases), "with_effect": held.windows, "claims": held.claims, **held.rates(), "label_hangs_on": sizes}


def main() -> None:
    """Measure both parts and print the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.word_claims", description="How often claims on words hold.")
    given = os.environ.get("SENTISTREAM_DATA")
    parser.add_argument("--data", type=Path, default=given, required=given is None, help="folder of the corpora")
    parser.add_argument("--windows", type=int, default=WINDOWS, help="windows of the corpora, beside those of the sample")
    options = parser.parse_args()
    client, candidates = LocalClient(REPOSITORY), Settings().explanations.candidates
    with Progress(console=Console(stderr=True)) as progress:
        result = of_texts(options.data, progress)
        composed = encode(corpus_windows(options.data, Part.TEST, options.windows, CARD_SEED), RepositoryModels(REPOSITORY))
        cases = [case for case in [*asyncio.run(sample_cases(client)), *map(Case, composed)] if np.any(case.inputs.word_mask)]
        windows = asyncio.run(of_windows(cases, client, candidates, progress))
    about = {"machine": machine(), "versions": versions("onnxruntime", "torch", "numpy")}
    print(json.dumps({"benchmark": "word_claims", **result, "candidates": candidates, "windows": windows, **about}))


if __name__ == "__main__":
    main()
