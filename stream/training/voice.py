"""Training of the voice encoder's projection: linear evidence for feelings from frozen Whisper features, across corpora.

The encoder below the projection is frozen (`stream.model_repository.audio_weights`). A small network on top of it would learn its training
corpora: their languages, rooms and actors. So only linear heads are trained, with weights that are kept small, on features from which the
mean of each speaker is taken away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from rich.progress import Progress
from torch import Tensor
from torch.nn import functional

from stream.domain.features import Floats
from stream.domain.media_format import BLOCK_SAMPLES, FEATURE_WIDTH, SEGMENT_SAMPLES, VOICE_POLARITIES, VOICE_WIDTH
from stream.encoders.audio import log_mel, segments
from stream.model_repository.audio_weights import read_projection
from stream.nuisances.line_effects import Signal, noise, random_line, resampled, room
from stream.training.corpora import AROUSED, NEGATIVE, VOICE_EMOTIONS, Part, Voice
from stream.training.metrics import auc, macro_recall
from stream.training.voice_features import frozen_segments, signature

SILENCE_DBFS = -55.0
PEAK_DBFS = (-20.0, -3.0)
"""Range of the random peaks of recordings: the loudness of a voice depends on the line more than on the speaker."""

HAPPY = VOICE_EMOTIONS.index("happy")

POLARITIES = slice(0, VOICE_POLARITIES)
EMOTIONS = slice(POLARITIES.stop, POLARITIES.stop + len(VOICE_EMOTIONS))
AROUSAL = EMOTIONS.stop
"""Places of the evidence in an embedding: polarities, emotions, arousal."""

Samples = npt.NDArray[np.int16]
Half = npt.NDArray[np.float16]
Steps = npt.NDArray[np.int64]
Rows = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class VoiceRecipe:
    """Settings of the projection's training.

    Attributes:
        variants: Variants of each recording: as recorded, over a line, in a room, and so on.
        shrinkage: Weight of the squared weights, relative to the mean loss of a head.
        weights: Weight of a corpus, by name, where it is not 1.
        confounded: Corpora whose speakers show one feeling each. Taking away the mean of such a speaker would take away the feeling, so
            the mean of the corpus is taken away instead.
    """

    variants: int = 3
    shrinkage: float = 0.1
    weights: tuple[tuple[str, float], ...] = (("tess", 0.3), ("turev", 0.7), ("urdu", 0.7))
    confounded: tuple[str, ...] = ("urdu",)


@dataclass(frozen=True, slots=True)
class VoiceFeatures:
    """Frozen features of recordings.

    Attributes:
        segments: For each recording and variant, (k, 384) float16, one row for each audible segment.
        steps: For each recording and variant, the (k,) positions of these segments in steps of 100 ms, from the first.
    """

    segments: tuple[tuple[Half, ...], ...]
    steps: tuple[tuple[Steps, ...], ...]

    def of(self, chosen: Sequence[int]) -> VoiceFeatures:
        """The features of some recordings."""
        return VoiceFeatures(tuple([self.segments[i] for i in chosen]), tuple([self.steps[i] for i in chosen]))


@dataclass(frozen=True, slots=True)
class Projection:
    """The map from a segment's frozen features x to its embedding, weight x + bias: (VOICE_WIDTH, 384) and (VOICE_WIDTH,) float32."""

    weight: Floats
    bias: Floats

    def __call__(self, features: npt.NDArray[np.floating]) -> Floats:
        """(..., 384) features to (..., VOICE_WIDTH) embeddings."""
        embeddings: Floats = features.astype(np.float32) @ self.weight.T + self.bias
        return embeddings

    @classmethod
    def load(cls, path: Path) -> Projection:
        """Read what `stream.training.export.export_projection` wrote. Raises `WeightsError`."""
        return cls(*read_projection(path))


def at_peak(samples: Samples, peak_dbfs: float) -> Samples:
    """Scale a recording to a peak level, in dB relative to full scale."""
    return to_samples(_at_peak_of(samples.astype(np.float64), peak_dbfs))


def to_samples(signal: Signal) -> Samples:
    """Float samples to int16, clipped."""
    return np.asarray(np.clip(signal, -32_768, 32_767), dtype=np.int16)


def trimmed(samples: Samples) -> Samples:
    """Cut a recording from its first to its last audible segment, at a peak of -6 dBFS."""
    loud = at_peak(samples, -6.0)
    audible = np.flatnonzero(segments(0, loud, SILENCE_DBFS)[1])
    if audible.size == 0:
        return loud
    return loud[audible[0] * SEGMENT_SAMPLES : (audible[-1] + 1) * SEGMENT_SAMPLES]


def variants_of(samples: Samples, count: int, rng: np.random.Generator) -> Iterator[Samples]:
    """Variants of a trimmed recording: as recorded, over a line, in a room, then over a line or in a room again.

    Each begins after up to a second of near silence, so that blocks cut it at another place, and has a random level. All but the first
    are also up to 8 % faster or slower.
    """
    for number in range(count):
        signal = np.asarray(samples, dtype=np.float64)
        if number:
            signal = resampled(signal, rng.uniform(0.92, 1.08))
            if number % 2 == 0 or rng.random() < 1 / 5:
                signal = room(signal, rng)
            signal = _at_peak_of(signal, PEAK_DBFS[1])
            if number % 2 == 1 or rng.random() < 2 / 5:
                signal = random_line(signal, rng)
            signal = noise(signal, rng.uniform(-75.0, -45.0), rng)
        quieter_db = rng.uniform(0.0, PEAK_DBFS[1] - PEAK_DBFS[0])
        signal = _at_peak_of(signal, PEAK_DBFS[1]) * 10.0 ** (-quieter_db / 20.0)
        lead = np.zeros(int(rng.integers(0, BLOCK_SAMPLES)))
        yield to_samples(noise(np.concatenate([lead, signal]), rng.uniform(-90.0, -75.0), rng))


def _at_peak_of(signal: Signal, peak_dbfs: float) -> Signal:
    return np.asarray(signal * (10.0 ** (peak_dbfs / 20.0) * 32_767.0 / max(float(np.abs(signal).max(initial=0.0)), 1.0)))


def kept_features(
    path: Path,
    voices: Sequence[Voice],
    encoder: onnxruntime.InferenceSession,
    *,
    variants: int,
    seed: int,
    progress: Progress,
    marked: Callable[[Samples], Samples] | None = None,
) -> VoiceFeatures:
    """`frozen_features`, read from a file if it was written for the same encoder, recordings, variants and seed, and written to it else.

    Each `marked` needs a file of its own.
    """
    names = [crc32(f"{voice.corpus}/{voice.path.name}".encode()) for voice in voices]
    wanted = np.array([signature(encoder), seed, variants, *names], dtype=np.int64)
    if path.is_file():
        with np.load(path) as stored:
            if np.array_equal(stored["wanted"], wanted):
                return _unpacked(stored["segments"], stored["steps"], stored["lengths"])
    features = frozen_features(voices, encoder, variants=variants, seed=seed, progress=progress, marked=marked)
    path.parent.mkdir(parents=True, exist_ok=True)
    segments_of_all, steps_of_all = ([own for of in part for own in of] for part in (features.segments, features.steps))
    lengths = np.array([len(own) for own in segments_of_all]).reshape(len(voices), variants)
    np.savez(path, wanted=wanted, segments=np.concatenate(segments_of_all), steps=np.concatenate(steps_of_all), lengths=lengths)
    return features


def _unpacked(segments_of_all: Half, steps_of_all: Steps, lengths: Steps) -> VoiceFeatures:
    ends = np.cumsum(lengths).reshape(lengths.shape)
    spans = [[slice(end - length, end) for end, length in zip(*row, strict=True)] for row in zip(ends, lengths, strict=True)]
    return VoiceFeatures(
        tuple([tuple([segments_of_all[span] for span in row]) for row in spans]),
        tuple([tuple([steps_of_all[span] for span in row]) for row in spans]),
    )


def frozen_features(
    voices: Sequence[Voice],
    encoder: onnxruntime.InferenceSession,
    *,
    variants: int,
    seed: int,
    progress: Progress,
    marked: Callable[[Samples], Samples] | None = None,
) -> VoiceFeatures:
    """Frozen features of recordings in variants, which depend only on the seed and on the recording's samples.

    `encoder` is the served voice encoder, whose output ``feature_map`` has five steps of 20 ms for each segment. `marked` changes each
    trimmed recording before its variants are made.
    """
    found, steps = [], []
    for voice in progress.track(voices, description="voice features"):
        samples = voice.samples()
        rng = np.random.default_rng([seed, crc32(samples.tobytes())])
        plain = trimmed(samples)
        shown = [audible_features(variant, encoder) for variant in variants_of(marked(plain) if marked else plain, variants, rng)]
        found.append(tuple([features for features, _ in shown]))
        steps.append(tuple([where for _, where in shown]))
    return VoiceFeatures(tuple(found), tuple(steps))


def audible_features(samples: Samples, encoder: onnxruntime.InferenceSession) -> tuple[Half, Steps]:
    """(k, 384) features and (k,) positions of the audible segments, from the first; the recording is cut into blocks as the worker does."""
    starts = range(0, max(1, samples.shape[0]), BLOCK_SAMPLES)
    blocks = np.stack([log_mel(samples[start : start + BLOCK_SAMPLES]) for start in starts])
    features = frozen_segments(encoder, blocks).reshape(-1, FEATURE_WIDTH)
    where = np.flatnonzero(segments(0, samples, SILENCE_DBFS)[1])
    return features[where].astype(np.float16), where - (where[0] if where.size else 0)


@dataclass(frozen=True, slots=True)
class _Examples:
    """Means over the audible segments of n variants: (n, 384) features, and the (n,) index of the recording and number of the variant."""

    features: Floats
    recording: Steps
    variant: Steps

    @classmethod
    def of(cls, features: VoiceFeatures) -> _Examples:
        rows = [
            (own.astype(np.float32).mean(axis=0), recording, variant)
            for recording, variants in enumerate(features.segments)
            for variant, own in enumerate(variants)
            if len(own)
        ]
        means, recordings, variants = zip(*rows, strict=True)
        return cls(np.stack(means), np.array(recordings), np.array(variants))


def training_voices(voices: Sequence[Voice], features: VoiceFeatures, without: str = "") -> tuple[list[Voice], VoiceFeatures]:
    """The recordings of the training part, and their features, without those of one corpus."""
    chosen = [index for index, voice in enumerate(voices) if voice.part is Part.TRAIN and voice.corpus != without]
    return [voices[index] for index in chosen], features.of(chosen)


def held_out_projections(voices: Sequence[Voice], features: VoiceFeatures, recipe: VoiceRecipe) -> dict[str, Projection]:
    """For each corpus, a projection that was fitted on the training recordings of all others; with one corpus, on its own."""
    names = dict.fromkeys(voice.corpus for voice in voices)
    return {name: fit_projection(*training_voices(voices, features, without=name if len(names) > 1 else ""), recipe) for name in names}


def fit_projection(voices: Sequence[Voice], features: VoiceFeatures, recipe: VoiceRecipe) -> Projection:
    """Fit the linear heads: logistic regressions of emotion, polarity and arousal on the mean of a variant's audible segments.

    From the features of each speaker the speaker's mean is taken away, in each variant apart (Sethu et al. 2007: speaker normalisation).
    The worker does the same while a conversation goes on (`stream.encoders.speaker`). All corpora count alike but for
    `VoiceRecipe.weights`, and within a corpus all classes.
    """
    examples = _Examples.of(features)
    named = np.array([voice.corpus for voice in voices])[examples.recording]
    speakers = np.array([f"{voice.corpus}:{voice.speaker}" for voice in voices])[examples.recording]
    emotions = np.array([voice.emotion for voice in voices])[examples.recording]
    polarities = np.array([voice.polarity for voice in voices])[examples.recording]
    owners = np.where(np.isin(named, recipe.confounded), named, speakers)
    centred = _centred(examples, owners, emotions)
    scale = centred.std(axis=0) + 1e-6
    rows = torch.from_numpy(centred / scale)
    weight = np.zeros((VOICE_WIDTH, FEATURE_WIDTH), dtype=np.float32)
    for place, classes, count in ((EMOTIONS, emotions, len(VOICE_EMOTIONS)), (POLARITIES, polarities, 3)):
        weight[place] = _fit_head(rows, classes, balanced(named, classes, recipe), count, recipe.shrinkage)
    aroused = np.array(AROUSED)[emotions]
    known = ~np.isnan(aroused)
    two = aroused[known].astype(np.int64)
    halves = _fit_head(rows[torch.from_numpy(known)], two, balanced(named[known], two, recipe), 2, recipe.shrinkage)
    weight[AROUSAL] = halves[1] - halves[0]
    weight /= scale
    # The mean of all corpora is evidence for nothing: it is where a speaker of whom nothing is known yet is assumed to be.
    prior = np.stack([examples.features[named == name].mean(axis=0) for name in np.unique(named)]).mean(axis=0)
    return Projection(weight, -(weight @ prior).astype(np.float32))


def _centred(examples: _Examples, owners: npt.NDArray[np.str_], emotions: Steps) -> Floats:
    """Take the mean of its owner, in the same variant, away from each example; in the mean all emotions of the owner count alike."""
    centred = examples.features.copy()
    for owner in np.unique(owners):
        for variant in np.unique(examples.variant):
            own = np.flatnonzero((owners == owner) & (examples.variant == variant))
            if own.size:
                by_emotion = [examples.features[own[emotions[own] == e]].mean(axis=0) for e in np.unique(emotions[own])]
                centred[own] -= np.mean(by_emotion, axis=0)
    return centred


def balanced(named: npt.NDArray[np.str_], classes: Steps, recipe: VoiceRecipe) -> npt.NDArray[np.float64]:
    """(n,) weights of items by their corpora and classes: all corpora count alike but for the recipe's weights, and in each all classes."""
    weights, of_corpus = np.zeros(classes.shape[0]), dict(recipe.weights)
    for name in np.unique(named):
        for kind in np.unique(classes[named == name]):
            own = (named == name) & (classes == kind)
            weights[own] = of_corpus.get(str(name), 1.0) / own.sum()
    return weights


def _fit_head(rows: Tensor, classes: Steps, weights: npt.NDArray[np.float64], count: int, shrinkage: float) -> Floats:
    """(count, 384) weights of a multinomial logistic regression with an intercept; a convex problem, solved by L-BFGS."""
    weight = torch.zeros(count, rows.shape[1], requires_grad=True)
    intercept = torch.zeros(count, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, intercept], max_iter=100, history_size=20, line_search_fn="strong_wolfe")
    wanted, shares = torch.from_numpy(classes), torch.from_numpy((weights / weights.sum()).astype(np.float32))

    def loss() -> Tensor:
        optimiser.zero_grad()
        entropy = functional.cross_entropy(rows @ weight.T + intercept, wanted, reduction="none")
        total: Tensor = (entropy * shares).sum() + shrinkage / 2 * (weight**2).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    found: Floats = weight.detach().numpy()
    return found


def recording_evidence(features: VoiceFeatures, projection: Projection) -> Floats:
    """(n, VOICE_WIDTH) evidence in recordings as recorded, the mean of their audible segments; NaN where none is audible."""
    evidence = np.full((len(features.segments), VOICE_WIDTH), np.nan, dtype=np.float32)
    for row, variants in zip(evidence, features.segments, strict=True):
        if len(variants[0]):
            row[:] = projection(variants[0].mean(axis=0, dtype=np.float32))
    return evidence


def evidence_measures(voices: Sequence[Voice], evidence: Floats) -> dict[str, float | None]:
    """What the (n, VOICE_WIDTH) evidence alone says of recordings; those with NaN are left out.

    Returns ``n``; the macro recalls ``emotion`` and ``polarity`` of the largest evidence (over the classes that occur); and the areas under
    the ROC curve ``happy_negative``, of positive minus negative evidence, and ``arousal``; None where a class does not occur.
    """
    heard = [index for index, row in enumerate(evidence) if not np.isnan(row).any()]
    emotions, polarities = (np.array([getattr(voices[index], name) for index in heard]) for name in ("emotion", "polarity"))
    evidence = evidence[heard]
    aroused, sides = np.array(AROUSED)[emotions], evidence[:, POLARITIES]
    valence = sides[:, 2] - sides[:, 0]
    return {
        "n": float(len(heard)),
        "emotion": macro_recall(evidence[:, EMOTIONS].argmax(axis=1), emotions),
        "polarity": macro_recall(sides.argmax(axis=1), polarities),
        "happy_negative": auc(valence[emotions == HAPPY], valence[polarities == NEGATIVE]),
        "arousal": auc(evidence[aroused == 1, AROUSAL], evidence[aroused == 0, AROUSAL]),
    }
