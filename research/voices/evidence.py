"""The evidence of a voice by itself: emotions summed by polarity or by sign, less the speaker's mean in a conversation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stream.domain.context import SPEAKER_WINDOWS
from stream.domain.features import Floats
from stream.encoders.speaker import speaker_offset
from stream.training.corpora import NEGATIVE, Voice, polarity_of_valence
from stream.training.metrics import auc, macro_recall
from stream.training.voice import EMOTIONS, HAPPY, VoiceFeatures, VoiceRecipe, evidence_measures, fit_projection, recording_evidence

VALENCES = (0.0, 0.3, 0.8, -0.6, -0.7, -0.7, -0.7, 0.1)
"""The constants of `stream.training.corpora.VOICE_EMOTIONS`, as in the labels of all corpora."""

POLARITIES = tuple(polarity_of_valence(valence) for valence in VALENCES)
SIGNS = tuple(int(np.sign(valence)) + 1 for valence in VALENCES)
"""The class of each emotion: negative, neutral, positive; and the sign of its constant: negative, zero, positive."""

Measures = dict[str, float | None]


def emotion_probabilities(evidence: Floats) -> Floats:
    """(…, VOICE_WIDTH) evidence to (…, 8) probabilities of the emotions."""
    emotions = evidence[..., EMOTIONS]
    powers = np.exp(emotions - emotions.max(axis=-1, keepdims=True))
    probabilities: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


def summed(emotions: Floats, classes: Sequence[int]) -> Floats:
    """Sum (…, 8) probabilities of emotions by `classes` to (…, 3), as if all three classes were equally frequent.

    The evidence counts all emotions alike: without the division by their numbers, the four negative ones would outweigh the others.
    """
    member = np.equal.outer(np.asarray(classes), np.arange(3)).astype(np.float32)
    weighted = (emotions @ member) / member.sum(axis=0)
    probabilities: Floats = weighted / weighted.sum(axis=-1, keepdims=True)
    return probabilities


def in_conversation(evidence: Floats, audible: npt.NDArray[np.int64], speakers: Sequence[str], seed: int) -> Floats:
    """The evidence as the worker has it in a conversation: each speaker says the recordings in a random order.

    Of each recording, a share of the mean of the speaker's earlier recordings is taken away; they are as many as the worker's windows.

    Args:
        evidence: (n, VOICE_WIDTH) mean of the audible segments of each recording.
        audible: (n,) number of these segments.
        speakers: (n) names.
        seed: Seed of the order.
    """
    rng = np.random.default_rng(seed)
    shifted, names = evidence.copy(), np.asarray(speakers)
    for name in np.unique(names):
        order = rng.permutation(np.flatnonzero(names == name))
        for place, index in enumerate(order):
            earlier = order[max(0, place - SPEAKER_WINDOWS) : place]
            shifted[index] -= speaker_offset(evidence[earlier], audible[earlier])
    return shifted


def left_out_measures(voices: Sequence[Voice], features: VoiceFeatures, recipe: VoiceRecipe, seed: int) -> dict[str, dict[str, Measures]]:
    """For each corpus, the measures of a projection that was fitted on all recordings of the others: ``alone`` and ``in conversation``."""
    found = {}
    for corpus in dict.fromkeys(voice.corpus for voice in voices):
        others = [index for index, voice in enumerate(voices) if voice.corpus != corpus]
        projection = fit_projection([voices[index] for index in others], features.of(others), recipe)
        heard = [index for index, voice in enumerate(voices) if voice.corpus == corpus and len(features.segments[index][0])]
        own = [voices[index] for index in heard]
        audible = np.array([len(features.segments[index][0]) for index in heard])
        alone = recording_evidence(features.of(heard), projection)
        later = in_conversation(alone, audible, [voice.speaker for voice in own], seed)
        found[corpus] = {name: _measures(own, evidence) for name, evidence in (("alone", alone), ("in conversation", later))}
    return found


def _measures(voices: Sequence[Voice], evidence: Floats) -> Measures:
    """`evidence_measures`, with recall and area from the emotions summed by polarity beside those from the evidence for polarity."""
    sides = summed(emotion_probabilities(evidence), POLARITIES)
    valence = np.log(sides[:, 2]) - np.log(sides[:, 0])
    emotions, polarities = (np.array([getattr(voice, name) for voice in voices]) for name in ("emotion", "polarity"))
    return evidence_measures(voices, evidence) | {
        "polarity_of_emotions": macro_recall(sides.argmax(axis=1), polarities),
        "happy_negative_of_emotions": auc(valence[emotions == HAPPY], valence[polarities == NEGATIVE]),
    }
