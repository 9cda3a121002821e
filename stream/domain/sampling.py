"""A share of the windows, chosen by their names: a replay chooses the same ones."""

from __future__ import annotations

from hashlib import blake2b

_BYTES = 8


def in_share(name: str, share: float) -> bool:
    """Whether a hash of the name, spread evenly over [0, 1), is below the share."""
    return int.from_bytes(blake2b(name.encode(), digest_size=_BYTES).digest()) < share * 2.0 ** (8 * _BYTES)
