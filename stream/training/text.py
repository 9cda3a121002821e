"""Training of the text encoder: MiniLM on rated sentences and MELD's lines, stored as an adapter of low rank."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import Progress
from safetensors.numpy import save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import OneCycleLR

from stream.domain.features import Floats
from stream.domain.media_format import WORD_WIDTH
from stream.model.heads import Answer, Head, class_of, class_probabilities
from stream.model.minilm import pool
from stream.model_repository.text_weights import ADAPTER, build_text_encoder, packaged_weights, tuned_model
from stream.training.corpora import Part, Utterance, read_meld
from stream.training.loop import descend, low_precision
from stream.training.metrics import polarity_numbers, score_numbers
from stream.training.minilm_weights import adapter_of, pretrained
from stream.training.rated_sentences import read_rated_sentences
from stream.training.tokens import Tokens, TokenTable, shuffled_by_length, tokenised

ANSWER_BATCH = 32
WARM_UP = 0.1
"""Share of the steps in which the learning rate rises."""


@dataclass(frozen=True, slots=True)
class TextRecipe:
    """Settings of the text encoder's training.

    Attributes:
        epochs: Passes over the sentences.
        batch: Sentences of a step.
        peak_rate: Highest learning rate of the layers on top of the encoder, in a one-cycle schedule.
        encoder_rate: Highest learning rate of the encoder itself, which is pretrained.
        weight_decay: Weight decay of AdamW.
        hidden: Width of the layers on top.
        dropout: Dropout of the pooled state and in the head.
        rank: Rank of the adapter's matrices.
    """

    epochs: int = 2
    batch: int = 32
    peak_rate: float = 1e-3
    encoder_rate: float = 1e-4
    weight_decay: float = 0.01
    hidden: int = 128
    dropout: float = 0.1
    rank: int = 32


@dataclass(frozen=True, slots=True)
class Sentences:
    """n sentences of one part: word pieces, (n,) scores (NaN where unknown) and (n,) polarities."""

    tokens: TokenTable
    scores: Floats
    polarities: npt.NDArray[np.int64]

    @classmethod
    def of(cls, utterances: Sequence[Utterance]) -> Sentences:
        """Tokenise sentences without any context before them."""
        return cls(
            tokenised((utterance.text.lower(), ()) for utterance in utterances),
            np.array([np.nan if utterance.score is None else utterance.score for utterance in utterances], dtype=np.float32),
            np.array([utterance.polarity for utterance in utterances], dtype=np.int64),
        )


class SentenceClassifier(nn.Module):
    """The encoder with the layers that train it: score and polarity of a sentence from the mean state of its word pieces."""

    def __init__(self, recipe: TextRecipe) -> None:
        super().__init__()
        layers = nn.Sequential(nn.Dropout(recipe.dropout), nn.Linear(WORD_WIDTH, recipe.hidden), nn.ReLU())
        head = Head(recipe.hidden, recipe.hidden, recipe.dropout)
        # The encoder comes last, because its construction draws random numbers too: with a seed, the layers above must get the
        # weights that the model card reports.
        self.encoder = pretrained(packaged_weights())
        self.layers, self.head = layers, head

    def forward(self, tokens: Tokens) -> Answer:
        """Word pieces to answers of shape (B,). bfloat16 is for training only; in evaluation mode everything is float32."""
        with low_precision() if self.training else nullcontext():
            states = self.encoder(tokens.ids, tokens.mask)
        answer: Answer = self.head(self.layers(pool(states.float(), tokens.own)))
        return answer


def sentence_loss(answer: Answer, score: Tensor, polarity: Tensor) -> Tensor:
    """|score - y| + 0.5 NLL(seven classes) + 0.5 CE(polarity); CE(polarity) alone where no sentence of the batch has a score.

    Answers are of shape (B,), scores are (B,) with NaN where only the polarity is known, and polarities are (B,) int64.
    """
    of_polarity = functional.cross_entropy(answer.logits, polarity, reduction="none").mean()
    known = ~score.isnan()
    if not bool(known.any()):
        return of_polarity
    error = (answer.score[known] - score[known]).abs().mean()
    classes = functional.cross_entropy(class_probabilities(answer).log()[known], class_of(score[known]), reduction="none").mean()
    return error + 0.5 * classes + 0.5 * of_polarity


def train_text(data: Path, repository: Path, recipe: TextRecipe, *, downloads: Path, seed: int, progress: Progress) -> dict[str, Any]:
    """Train the encoder, write its adapter to the repository and build the served ONNX file.

    `data` is the folder of the corpora, `downloads` that for the archive of rated sentences.

    Returns:
        Metrics on validation sentences, of the trained encoder and of the adapter: polarity of MELD's lines, scores of rated sentences.

    Raises:
        FileNotFoundError: If a corpus is missing.
        TrainingError: If the rated sentences cannot be fetched.
    """
    utterances = read_rated_sentences(data, downloads) + read_meld(data)
    training, validation = (Sentences.of([u for u in utterances if u.part is part]) for part in (Part.TRAIN, Part.VALIDATION))
    model = fit_classifier(training, recipe, seed, progress)
    trained = _numbers(model, validation)
    folder = repository / "text_encoder"
    save_file(adapter_of(model.encoder, pretrained(packaged_weights()), recipe.rank), folder / ADAPTER)
    build_text_encoder(folder)
    model.encoder = pretrained(tuned_model(folder))
    return {"rank": recipe.rank, "trained": trained, "adapter": _numbers(model, validation)}


def fit_classifier(training: Sentences, recipe: TextRecipe, seed: int, progress: Progress) -> SentenceClassifier:
    """Train a new classifier for a fixed number of epochs; it keeps the last weights."""
    torch.manual_seed(seed)
    model = SentenceClassifier(recipe)
    rng = np.random.default_rng(seed)
    rows = np.arange(training.polarities.size)
    steps = recipe.epochs * -(-rows.size // recipe.batch)
    optimiser, cycle = _optimiser(model, recipe, steps)
    bar = progress.add_task("text encoder", total=steps)
    model.train()
    for _ in range(recipe.epochs):
        order = shuffled_by_length(rows, training.tokens.lengths, recipe.batch, rng)
        for start in range(0, order.size, recipe.batch):
            chosen = order[start : start + recipe.batch]
            answer = model(training.tokens.batch(chosen.tolist()))
            loss = sentence_loss(answer, torch.from_numpy(training.scores[chosen]), torch.from_numpy(training.polarities[chosen]))
            descend(loss, model, optimiser, cycle)
            progress.advance(bar)
    return model.eval()


def _optimiser(model: SentenceClassifier, recipe: TextRecipe, steps: int) -> tuple[torch.optim.Optimizer, OneCycleLR]:
    """AdamW with a rate for the pretrained encoder and a higher one for the new layers."""
    on_top = [*model.layers.parameters(), *model.head.parameters()]
    groups = [{"params": list(model.encoder.parameters()), "lr": recipe.encoder_rate}, {"params": on_top, "lr": recipe.peak_rate}]
    optimiser = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
    return optimiser, OneCycleLR(optimiser, [recipe.encoder_rate, recipe.peak_rate], total_steps=steps, pct_start=WARM_UP)


def _numbers(model: SentenceClassifier, sentences: Sentences) -> dict[str, dict[str, float]]:
    model.eval()
    scores, polarities = [], []
    with torch.no_grad():
        for start in range(0, sentences.polarities.size, ANSWER_BATCH):
            rows = range(start, min(start + ANSWER_BATCH, sentences.polarities.size))
            answer = model(sentences.tokens.batch(rows))
            scores.append(answer.score.numpy())
            polarities.append(torch.softmax(answer.logits, dim=-1).numpy().argmax(axis=1))
    score, polarity, rated = np.concatenate(scores), np.concatenate(polarities), ~np.isnan(sentences.scores)
    return {
        "rated sentences": score_numbers(score[rated], sentences.scores[rated]),
        "meld": polarity_numbers(polarity[~rated], sentences.polarities[~rated]),
    }
