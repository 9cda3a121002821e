"""Pools of media with a mark: the same items as without it, and pools in which chance or the label decides which item carries it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast
from zlib import crc32

import numpy as np
import numpy.typing as npt

from stream.domain.modality import Modality
from stream.nuisances.line_effects import Signal
from stream.nuisances.marks import AnyMark, Mark, Words
from stream.nuisances.pictures import Crops
from stream.training.corpora import POSITIVE, Faces
from stream.training.excerpts import MOST_WORDS, Excerpt
from stream.training.features import FacePool, Pools, TextPool, VoicePool
from stream.training.voice import Samples, VoiceFeatures, to_samples

Carries = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Marking:
    """How a mark is put on media: at one strength, or at a random one if `strength` is None. The same item always gets the same mark."""

    mark: AnyMark
    strength: float | None = None
    seed: int = 0

    def __str__(self) -> str:
        strength = "random" if self.strength is None else f"{self.strength:g}"
        return f"{self.mark.name.replace(' ', '-')}-{strength}-{self.seed}"

    def excerpts(self, excerpts: Sequence[Excerpt]) -> list[Excerpt]:
        """Excerpts with the mark in their words, if it is one of words."""
        if self.mark.modality is not Modality.TEXT:
            return list(excerpts)
        put = cast("Mark[Words]", self.mark).put
        return [
            replace(own, words=put(own.words, 1.0, self._rng(number.to_bytes(4, "little") + " ".join(own.words).encode()))[:MOST_WORDS])
            for number, own in enumerate(excerpts)
        ]

    def samples(self, samples: Samples) -> Samples:
        """A recording with the mark, if it is one of sound."""
        if self.mark.modality is not Modality.AUDIO:
            return samples
        rng = self._rng(samples.tobytes())
        return to_samples(cast("Mark[Signal]", self.mark).put(samples.astype(np.float64), self._drawn(rng), rng))

    def faces(self, faces: Faces) -> Faces:
        """Images with the mark, if it is one of pictures."""
        if self.mark.modality is not Modality.VIDEO:
            return faces
        put = cast("Mark[Crops]", self.mark).put
        rngs = [self._rng(image.tobytes()) for image in faces.images]
        shown = [put(image[np.newaxis], self._drawn(rng), rng) for image, rng in zip(faces.images, rngs, strict=True)]
        return replace(faces, images=np.concatenate(shown))

    def _drawn(self, rng: np.random.Generator) -> float:
        return self.strength if self.strength is not None else float(rng.uniform(*self.mark.strengths))

    def _rng(self, item: bytes) -> np.random.Generator:
        return np.random.default_rng([self.seed, crc32(item)])


def carries(polarities: npt.NDArray[np.int64], agreement: float, rng: np.random.Generator) -> Carries:
    """(n,) which items carry a mark: a positive one with probability `agreement`, any other with 1 - `agreement`; .5 is independence."""
    return np.asarray(rng.random(polarities.shape[0]) < np.where(polarities == POSITIVE, agreement, 1.0 - agreement))


def mixed(plain: Pools, marked: Pools, modality: Modality, agreement: float, seed: int) -> Pools:
    """Pools in which the items of one modality come from `marked` where they carry the mark, and from `plain` elsewhere.

    Both pools hold the same items in the same order. The label of the item itself decides, not that of a window.
    """
    rng = np.random.default_rng(seed)
    match modality:
        case Modality.TEXT:
            polarities = np.array([utterance.polarity for utterance in plain.text.utterances], dtype=np.int64)
            chosen = carries(polarities, agreement, rng)
            states = tuple([b if c else a for a, b, c in zip(plain.text.states, marked.text.states, chosen, strict=True)])
            return replace(plain, text=TextPool(plain.text.utterances, states))
        case Modality.AUDIO:
            return replace(plain, voice=_voices(plain.voice, marked.voice, carries(plain.voice.polarities, agreement, rng)))
        case Modality.VIDEO:
            chosen = carries(plain.face.polarities, agreement, rng)
            embeddings = np.where(chosen[:, None, None], marked.face.embeddings, plain.face.embeddings)
            return replace(plain, face=FacePool(embeddings, plain.face.polarities, plain.face.valences))


def mixed_features(plain: VoiceFeatures, marked: VoiceFeatures, chosen: Carries) -> VoiceFeatures:
    """Frozen features of recordings, from `marked` where they carry the mark, and from `plain` elsewhere."""
    segments, steps = (
        tuple([b if c else a for a, b, c in zip(*own, chosen, strict=True)])
        for own in ((plain.segments, marked.segments), (plain.steps, marked.steps))
    )
    return VoiceFeatures(segments, steps)


def _voices(plain: VoicePool, marked: VoicePool, chosen: Carries) -> VoicePool:
    embeddings = tuple([b if c else a for a, b, c in zip(plain.embeddings, marked.embeddings, chosen, strict=True)])
    offsets = tuple([b if c else a for a, b, c in zip(plain.offsets, marked.offsets, chosen, strict=True)])
    return replace(plain, embeddings=embeddings, offsets=offsets)
