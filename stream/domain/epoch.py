"""Epochs of a session: which of its media clocks a record belongs to.

A producer counts its media clocks itself (``ce_epoch``). One that begins anew without saying so starts a `Run`: an epoch with a number
that the workers give it. Where there is none, the epoch is the one that the producer says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec


class Run(msgspec.Struct, frozen=True):
    """A media clock to which the workers gave an epoch of its own.

    Attributes:
        epoch: The epoch it was given.
        declared: The epoch that its producer says (``ce_epoch``).
        zero_ms: Wall clock (Unix ms) at which its media began; 0 for the first one of its declared epoch.
    """

    epoch: int
    declared: int
    zero_ms: int


class SessionEpochs(NamedTuple):
    """What Redis knows of a session's epochs.

    Attributes:
        runs: Those that workers numbered.
        final: The highest epoch with a final window, -1 where there is none.
    """

    runs: tuple[Run, ...] = ()
    final: int = -1


def epoch_at(runs: Sequence[Run], declared: int, zero_ms: float) -> int | None:
    """The epoch of a record; None when that which its producer says was given to another media clock.

    Args:
        runs: Of the session.
        declared: The epoch that the record says.
        zero_ms: Wall clock at which its media began by what the record says, plus what may be tolerated.
    """
    own = [run for run in runs if run.declared == declared]
    begun = [run.epoch for run in own if run.zero_ms <= zero_ms]
    if begun:
        return max(begun)
    taken = any(run.epoch >= declared for run in runs if run.declared < declared)
    return min([run.epoch for run in own], default=None) if taken else declared
