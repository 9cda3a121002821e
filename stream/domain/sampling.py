"""A share of the windows, chosen by their names: a replay chooses the same ones."""

from __future__ import annotations

from hashlib import blake2b

from stream.domain.identity import TrackKey

_BYTES = 8

STRETCH_MS = 30_000
"""Media is probed in stretches of this length: a chunk is encoded before its windows are known, and a window needs all its chunks."""


def in_share(name: str, share: float) -> bool:
    """Whether a hash of the name, spread evenly over [0, 1), is below the share."""
    return int.from_bytes(blake2b(name.encode(), digest_size=_BYTES).digest()) < share * 2.0 ** (8 * _BYTES)


def is_probed(track: TrackKey, start_ms: int, end_ms: int, share: float) -> bool:
    """Whether nuisances are put on the media of a track in a span that is not empty: all of its stretches are in the share."""
    stretches = range(start_ms // STRETCH_MS, (end_ms - 1) // STRETCH_MS + 1)
    return share > 0 and all(in_share(f"{track}/stretch-{number}", share) for number in stretches)
