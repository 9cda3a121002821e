"""A policy and chunks for tests of the aligner."""

from __future__ import annotations

from stream.align.outcome import EncodedChunk
from stream.align.track import WindowPolicy
from stream.align.windower import HoppingWindower
from stream.domain.features import TextFeatures, Word
from stream.domain.modality import Modality
from tests.fakes.chunks import header

POLICY = WindowPolicy(HoppingWindower(4000, 2000), allowed_lateness_ms=500, idle_after_ms=1500, partial_every_ms=1000, max_skew_ms=1000)
TRACK = header(0).track
SESSION = TRACK.session


def chunk(seq: int, modality: Modality = Modality.AUDIO, *, start_ms: int | None = None) -> EncodedChunk[str]:
    """Chunk number ``seq``; its ack is ``MODALITY-SEQ``, its features are one word with the same name."""
    about = header(seq, modality, start_ms=start_ms)
    return EncodedChunk(about, TextFeatures((Word(about.id, about.start_ms, about.end_ms),)), about.id)
