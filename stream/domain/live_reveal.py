"""What the probes of the live stream have shown: sums that workers keep by hour, and the report that is made of them.

The sums of one worker and hour are a `LiveHour`; those of all workers and hours add up. They hold counts, numbers and the names of marks,
and single words of the reference's vocabulary, never names or texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from math import sqrt

import msgspec

from stream.domain.modality import Modality

HOUR_MS = 3_600_000

SAID = "said "
"""Before a word in the name of sums about the word where it is said. Those of a word that is inserted have the name of the mark."""

ALONE = " alone"
"""After a mark in the name of sums over windows that have nothing but its modality: there it moves scores further."""


class LiveState(StrEnum):
    """What is known of a nuisance in the live stream."""

    SUSPECT = "suspect"
    """It moves scores further than in an honest model."""
    FINE = "fine"
    TOO_FEW = "too_few"
    """Too few windows were probed to judge it."""


class LiveSums(msgspec.Struct, frozen=True, array_like=True):
    """Sums over windows.

    Attributes:
        windows: Windows that were probed, or in which a word was said.
        total: Sum of the shifts of the contribution by a mark; of a word, of its score alone. In score points.
        squares: Sum of their squares.
        scores: Sum of the shifts of the score; of a word, of the effects of the phrases that hold it.
        moved: Windows that carry the warning; of a word, phrases whose effect was measured.
    """

    windows: int = 0
    total: float = 0.0
    squares: float = 0.0
    scores: float = 0.0
    moved: int = 0

    def plus(self, other: LiveSums) -> LiveSums:
        """The sums of both."""
        return LiveSums(
            self.windows + other.windows,
            self.total + other.total,
            self.squares + other.squares,
            self.scores + other.scores,
            self.moved + other.moved,
        )

    @property
    def mean(self) -> float:
        """Mean of what `total` adds up; 0 without a window."""
        return self.total / self.windows if self.windows else 0.0

    @property
    def error(self) -> float:
        """Standard error of `mean`; 0 for fewer than two windows."""
        if self.windows < 2:
            return 0.0
        variance = max(0.0, self.squares / self.windows - self.mean**2) * self.windows / (self.windows - 1)
        return sqrt(variance / self.windows)


class LiveHour(msgspec.Struct, frozen=True):
    """The sums of one worker in one hour.

    Attributes:
        hour: Hours since 1970, UTC.
        windows: Windows that were probed.
        sums: By version of ``mmci`` and name of the nuisance.
    """

    hour: int
    windows: int = 0
    sums: dict[str, dict[str, LiveSums]] = {}


def added_up(hours: Iterable[LiveHour]) -> Mapping[tuple[str, str], LiveSums]:
    """The sums of several hours and workers, by version and name."""
    found: dict[tuple[str, str], LiveSums] = {}
    for own in hours:
        for version, by_name in own.sums.items():
            for name, sums in by_name.items():
                found[version, name] = found.get((version, name), LiveSums()).plus(sums)
    return found


class LiveNuisance(msgspec.Struct, frozen=True, kw_only=True):
    """A nuisance as the live stream shows it.

    Attributes:
        name: The mark (``hiss``) or the word (``word perhaps``).
        alone: Whether this is about windows that have nothing but the mark's modality; False for a word that is said.
        says: What it is, in words.
        found_by: ``battery`` if it was put on windows, ``words`` if it was said and scored alone.
        modality: What carries it.
        version: The version of ``mmci`` whose windows were probed.
        state: Whether it is a suspect.
        strength: From 1 on it is a suspect; None for too few windows.
        windows: Windows that were probed with the mark; sampled windows in which the word was said.
        value: Mean shift of the contribution by the mark, or the score of the word alone, in score points.
        error: Standard error of `value`.
        score_shift: Mean shift of the score by the mark; mean measured effect of the phrases with the word, None without any.
        honest: Least and greatest `value` that honest models show.
        warned: Windows that carry the warning ``nuisance_sensitive`` for it; 0 for a word that is said.
    """

    name: str
    alone: bool = False
    says: str
    found_by: str
    modality: Modality
    version: str
    state: LiveState
    strength: float | None
    windows: int
    value: float
    error: float
    score_shift: float | None
    honest: tuple[float, float]
    warned: int = 0


class LiveReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the live stream of all workers shows. A worker writes it to Redis every minute while windows are probed.

    Attributes:
        at_ms: When it was made (Unix ms).
        since_ms: Begin of the oldest hour that it covers.
        windows: Windows that were probed.
        nuisances: Suspects first, the strongest first.
    """

    at_ms: int
    since_ms: int
    windows: int
    nuisances: tuple[LiveNuisance, ...]

    @property
    def suspects(self) -> tuple[LiveNuisance, ...]:
        """The nuisances that move scores further than in an honest model."""
        return tuple(own for own in self.nuisances if own.state is LiveState.SUSPECT)
