"""Training of MMCI on composed windows: epochs, shortcut bank, choice of the epoch, calibration."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor
from torch.nn import functional

from stream.domain.inference import CONTEXT_BIT, INPUT_NAMES
from stream.domain.modality import MODALITIES, Modality
from stream.model.backdoor import k_means
from stream.model.config import MMCIConfig
from stream.model.mmci import MMCI
from stream.model.served import FULL, OUTPUT_NAMES, SERVED, ServedMMCI, arousal_evidence, coalition_gates
from stream.training import routine_talk
from stream.training.features import Pools
from stream.training.loop import descend, moving_average
from stream.training.losses import LossWeights, causal_intervention_loss
from stream.training.metrics import REVIEWED, TEMPERATURES
from stream.training.windows import Batch, WindowMaker

SINGLES = (1, 2, 4)
WORDLESS = (Modality.AUDIO.bit, Modality.VIDEO.bit, Modality.AUDIO.bit | Modality.VIDEO.bit)
"""Coalitions without words."""

PAIRS_OR_NONE = (3, 5, 6, 0)

AROUSAL_RIDGE = 1e-3
"""Penalty of the squared slope and offset of the arousal, which keeps them finite where the evidence separates all windows."""


@dataclass(frozen=True, slots=True)
class MMCIRecipe:
    """Settings of MMCI's training.

    Attributes:
        epochs: Passes over the windows.
        windows: Windows of a pass.
        routine_share: Share of the windows of a pass with made-up calls. Of the others, half have transcripts of MOSI and half of MELD.
        batch: Windows of a step.
        peak_rate: Highest learning rate of the one-cycle schedule.
        weight_decay: Weight decay of AdamW.
        voice_mismatch: Share of training windows whose voice has a random polarity. Without them MMCI trusts voices too much: people
            who talk are less clear than people who act, as in most recordings.
        face_mismatch: Share of training windows whose face has a random polarity, for the same reason.
        past_dropout: Share of training windows without a context, like the first windows of a session.
        wordless_cap: What the score of voice and face without words does not exceed, in points. Acted voices and posed faces differ more
            than those of calls, in which a lively voice or a smile without words is evidence of little.
        average: Decay, in a step, of the moving average of the weights that becomes the model.
        mae_weight: Weight of MOSI's validation MAE, relative to the mean cross-entropy of the coalitions, in the criterion.
        weights: Weights of the loss.
        config: Sizes of the network.
    """

    epochs: int = 8
    windows: int = 6_000
    routine_share: float = 0.15
    batch: int = 64
    peak_rate: float = 2e-3
    weight_decay: float = 0.02
    voice_mismatch: float = 0.5
    face_mismatch: float = 0.25
    past_dropout: float = 0.25
    wordless_cap: float = 0.9
    average: float = 0.98
    mae_weight: float = 0.3
    weights: LossWeights = field(default_factory=LossWeights)
    config: MMCIConfig = SERVED


@dataclass(frozen=True, slots=True)
class Outcome:
    """One trained model.

    Attributes:
        served: The model with its bank and its calibration.
        seed: Seed of the training.
        criterion: Value on validation windows by which the epoch, and then the seed, is chosen; lower is better.
        best_epoch: The chosen epoch, from 1.
        history: The criterion after every epoch.
    """

    served: ServedMMCI
    seed: int
    criterion: float
    best_epoch: int
    history: tuple[float, ...]


def fit(  # noqa: PLR0917 - its callers read well
    training: Pools,
    validation: Pools,
    recipe: MMCIRecipe,
    seed: int,
    progress: Progress,
    initial: ServedMMCI | None = None,
    penalty: Callable[[MMCI], Tensor] | None = None,
) -> Outcome:
    """Train one MMCI, which is the moving average of the trained weights. Epoch and calibration are chosen on validation windows.

    Starts from the weights of `initial`, if given, instead of random ones. The `penalty` of the network is added to the loss of each step.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    mismatches = {"voice_mismatch": recipe.voice_mismatch, "face_mismatch": recipe.face_mismatch}
    maker = WindowMaker(training, seed, past_dropout=recipe.past_dropout, **mismatches)
    checked = list(batches(WindowMaker(validation, 0).paired, range(len(validation.text.utterances)), recipe.batch))
    model = MMCI(recipe.config)
    if initial is not None:
        model.load_state_dict(initial.model.state_dict())
    average = moving_average(model, recipe.average)
    averaged = cast("MMCI", average.module)
    steps = max(1, recipe.windows // recipe.batch)
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.peak_rate, weight_decay=recipe.weight_decay)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.peak_rate, epochs=recipe.epochs, steps_per_epoch=steps)
    bar = progress.add_task(f"mmci, seed {seed}", total=recipe.epochs * steps)
    history: list[float] = []
    best = copy.deepcopy(averaged.state_dict())
    for _ in range(recipe.epochs):
        model.train()
        for texts in draw_texts(training, recipe, rng):
            loss = causal_intervention_loss(model, maker.paired(texts), random_gates(len(texts), generator), recipe.weights, generator)
            if penalty is not None:
                loss = loss + penalty(model)
            descend(loss, model, optimiser, cycle)
            average.update_parameters(model)
            progress.advance(bar)
        set_bank(averaged, maker, recipe, generator, rng)
        history.append(criterion(ServedMMCI(averaged).eval(), checked, recipe.mae_weight))
        progress.update(bar, description=f"mmci, seed {seed} [dim]validation {history[-1]:.4f}[/]")
        if history[-1] == min(history):
            best = copy.deepcopy(averaged.state_dict())
    averaged.load_state_dict(best)
    served = ServedMMCI(averaged).eval()
    served.score_caps[list(WORDLESS)] = recipe.wordless_cap
    calibrate(served, checked)
    voices = batches(WindowMaker(validation, 0).voices_only, range(len(validation.voice.polarities)), recipe.batch)
    calibrate_arousal(served, *_arousal_examples(list(voices)))
    return Outcome(served, seed, min(history), history.index(min(history)) + 1, tuple(history))


def draw_texts(pools: Pools, recipe: MMCIRecipe, rng: np.random.Generator) -> Iterator[list[int]]:
    """Draw batches of transcripts for one pass in the shares of the recipe; those of a small corpus repeat."""
    corpora = np.array([utterance.corpus for utterance in pools.text.utterances])
    names = np.unique(corpora)
    steps = max(1, recipe.windows // recipe.batch)
    routine = recipe.routine_share if routine_talk.CORPUS in names else 0.0
    drawn = []
    for corpus in names:
        of_corpus = np.flatnonzero(corpora == corpus)
        share = routine if corpus == routine_talk.CORPUS else (1.0 - routine) / int((names != routine_talk.CORPUS).sum())
        wanted = int(steps * recipe.batch * share) + 1
        repeats = -(-wanted // of_corpus.size)
        drawn.append(np.concatenate([rng.permutation(of_corpus) for _ in range(repeats)])[:wanted])
    order = rng.permutation(np.concatenate(drawn))
    for step in range(steps):
        yield [int(index) for index in order[step * recipe.batch : (step + 1) * recipe.batch]]


def random_gates(size: int, generator: torch.Generator) -> Tensor:
    """Modality dropout, (B, 3, 3): all modalities, a random single modality, and a random pair or none, for each window."""
    rows = coalition_gates()[0]
    single = torch.tensor(SINGLES)[torch.randint(len(SINGLES), (size,), generator=generator)]
    rest = torch.tensor(PAIRS_OR_NONE)[torch.randint(len(PAIRS_OR_NONE), (size,), generator=generator)]
    return torch.stack([rows[FULL].expand(size, -1), rows[single], rows[rest]], dim=1)


def batches(make: Callable[[Sequence[int]], Batch], items: Sequence[int], size: int) -> Iterator[Batch]:
    """Compose windows of all given items, in batches."""
    return (make(items[start : start + size]) for start in range(0, len(items), size))


def set_bank(model: MMCI, maker: WindowMaker, recipe: MMCIRecipe, generator: torch.Generator, rng: np.random.Generator) -> None:
    """Cluster the shortcut read-outs of training windows, with modality dropout, into the strata of the bank by k-means."""
    model.eval()
    readouts: list[Tensor] = []
    with torch.no_grad():
        for number, texts in enumerate(draw_texts(maker.pools, recipe, rng)):
            if number * recipe.batch >= 1_024:
                break
            batch = maker.paired(texts)
            readouts.append(model(batch.window, random_gates(len(texts), generator), batch.past).shortcut.readout.flatten(0, 1))
    model.bank.set(*k_means(torch.cat(readouts), recipe.config.strata, generator))


def answer(served: ServedMMCI, batch: Batch) -> dict[str, Tensor]:
    """Run the served model without gradients; returns its outputs by name, those of the coalitions only with the past."""
    past = batch.past
    tensors = [tensor for nodes in batch.window.values() for tensor in nodes] + [past.values[m] for m in MODALITIES]
    tensors += [torch.stack([past.mask[m] for m in MODALITIES], dim=2), past.same_speaker]
    with torch.no_grad():
        outputs = served(**dict(zip(INPUT_NAMES, tensors, strict=True)))
    found = dict(zip(OUTPUT_NAMES, outputs, strict=True))
    with_past = {name: found[f"coalition_{name}"][:, CONTEXT_BIT:] for name in ("scores", "probabilities")}
    return found | with_past


def criterion(served: ServedMMCI, checked: Sequence[Batch], mae_weight: float) -> float:
    """Mean cross-entropy of the seven coalitions that are not empty, plus the weighted MAE on MOSI's scores by text alone."""
    entropies, errors = [], []
    for batch in checked:
        found = answer(served, batch)
        entropies.append(_cross_entropy(found["probabilities"][:, 1:], batch.polarity))
        annotated = ~batch.score.isnan()
        errors.append((found["scores"][annotated, 1] - batch.score[annotated]).abs())
    return float(torch.cat(entropies).mean() + mae_weight * torch.cat(errors).mean())


def calibrate(served: ServedMMCI, checked: Sequence[Batch]) -> None:
    """Fit the temperature and the threshold for review of each coalition on validation windows.

    The temperature is that with the least cross-entropy. The threshold sets aside a share `REVIEWED` of the windows, those with
    the least probable labels.
    """
    bank, head = served.model.bank, served.model.head
    entropies = []
    with torch.no_grad():
        causal = [served.model(batch.window, served.gates, batch.past).causal.readout for batch in checked]
        for temperature in TEMPERATURES:
            heat = torch.tensor(temperature)
            found = [bank.adjust(head, readout, heat.expand(readout.shape[:2])).probabilities for readout in causal]
            entropy = [_cross_entropy(own, batch.polarity) for own, batch in zip(found, checked, strict=True)]
            entropies.append(torch.cat(entropy).mean(0))
    served.temperatures.copy_(torch.tensor(TEMPERATURES)[torch.stack(entropies).argmin(dim=0)])
    confidence = torch.cat([answer(served, batch)["probabilities"].amax(dim=-1) for batch in checked])
    served.review_below.copy_(confidence.quantile(REVIEWED, dim=0))


def _arousal_examples(voices: Sequence[Batch]) -> tuple[Tensor, Tensor]:
    """The evidence of windows of voice alone, and whether each voice is excited, (n,) each, where this is known."""
    evidence = torch.cat([arousal_evidence(batch.window[Modality.AUDIO]).squeeze(1) for batch in voices])
    aroused = torch.cat([batch.aroused for batch in voices])
    known = ~aroused.isnan()
    return evidence[known], aroused[known]


def calibrate_arousal(served: ServedMMCI, evidence: Tensor, excited: Tensor) -> None:
    """Fit the arousal to validation windows by logistic regression.

    Args:
        served: The model whose slope and offset are set.
        evidence: (n,) `arousal_evidence` of windows with voice.
        excited: (n,) 1 where the voice is excited, 0 where it is calm.
    """
    line = torch.zeros(2, requires_grad=True)
    optimiser = torch.optim.LBFGS([line], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        entropy = functional.binary_cross_entropy_with_logits(line[0] * evidence + line[1], excited) + AROUSAL_RIDGE * line.square().sum()
        entropy.backward()  # type: ignore[no-untyped-call]
        return entropy

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    served.arousal_slope.copy_(line[0].detach())
    served.arousal_offset.copy_(line[1].detach())


def _cross_entropy(probabilities: Tensor, polarity: Tensor) -> Tensor:
    """(B, S, 3) probabilities and (B,) classes to (B, S) cross-entropies."""
    wanted = functional.one_hot(polarity, probabilities.shape[-1]).unsqueeze(1)
    return -torch.log((probabilities * wanted).sum(dim=-1).clamp_min(1e-8))
