"""Epochs of a session: which run of its media clock a record belongs to.

A producer counts the runs of its media clock itself (``ce_epoch``). A clock that starts again without a new number gets an
`EpochAssignment`: an epoch number that the workers give it. Without an assignment, a record belongs to the epoch that its producer
declares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from stream.domain.consent import ConsentStatement


class EpochAssignment(msgspec.Struct, frozen=True):
    """An epoch number that the workers gave to a media clock.

    Attributes:
        epoch: The epoch number given.
        declared: The epoch that the producer declares (``ce_epoch``).
        media_start_at_ms: Wall clock (Unix ms) at which its media began; 0 for the first clock of its declared epoch.
    """

    epoch: int
    declared: int
    media_start_at_ms: int = msgspec.field(name="zero_ms")  # the name in published records


class SessionEpochs(NamedTuple):
    """What Redis holds about a session's epochs.

    Attributes:
        assignments: Epoch numbers that the workers gave.
        final: The highest epoch with a final window, -1 where there is none.
        consents: By epoch, what was said about consent.
        erased: Whether the session was erased: none of its records is processed any more.
    """

    assignments: tuple[EpochAssignment, ...] = ()
    final: int = -1
    consents: Mapping[int, tuple[ConsentStatement, ...]] = {}
    erased: bool = False


def epoch_at(assignments: Sequence[EpochAssignment], declared: int, media_start_at_ms: float) -> int | None:
    """The epoch of a record; None when the epoch number that its producer declares was given to another media clock.

    Args:
        assignments: The session's assignments.
        declared: The epoch that the record declares.
        media_start_at_ms: Wall clock at which its media began according to the record, plus the tolerance.
    """
    own = [assigned for assigned in assignments if assigned.declared == declared]
    begun = [assigned.epoch for assigned in own if assigned.media_start_at_ms <= media_start_at_ms]
    if begun:
        return max(begun)
    taken = any(assigned.epoch >= declared for assigned in assignments if assigned.declared < declared)
    return min([assigned.epoch for assigned in own], default=None) if taken else declared
