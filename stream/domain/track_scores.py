"""What a track's scores are compared with: its first and its newest final window of an epoch that have a score."""

from __future__ import annotations

import msgspec

from stream.domain.modality import Modality


class ScoredWindow(msgspec.Struct, frozen=True):
    """The score of a final window and what it is made of.

    Attributes:
        end_ms: End of the window.
        score: Its score.
        contributions: As in its explanation.
        earlier_windows: As in its explanation.
    """

    end_ms: int
    score: float
    contributions: dict[Modality, float]
    earlier_windows: float


class TrackScores(msgspec.Struct, frozen=True):
    """The windows that later windows of a track are compared with.

    Attributes:
        epoch: Epoch of the session's media clock.
        first: The first final window of the epoch that has a score.
        newest: The newest one.
    """

    epoch: int
    first: ScoredWindow
    newest: ScoredWindow


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(TrackScores)


def encode_scores(scores: TrackScores) -> bytes:
    """JSON of the windows; the same windows always give the same bytes."""
    return _ENCODER.encode(scores)


def decode_scores(data: bytes | str) -> TrackScores:
    """Inverse of `encode_scores`. Raises ``msgspec.ValidationError`` or ``msgspec.DecodeError``."""
    return _DECODER.decode(data)
