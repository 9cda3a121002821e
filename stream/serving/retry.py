"""How long to wait before asking again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Backoff:
    """Capped exponential backoff with jitter.

    Attributes:
        first_s: Longest first delay.
        factor: Each delay is so many times as long as the one before…
        cap_s: …up to this.
        jitter: The part of a delay that is left to chance, in [0, 1]: callers that failed together do not return together.
        chance: Source of chance, uniform in [0, 1).
    """

    first_s: float = 0.1
    factor: float = 2.0
    cap_s: float = 2.0
    jitter: float = 0.5
    chance: Callable[[], float] = field(default=random.random, repr=False)

    def delay_s(self, failures: int) -> float:
        """Delay after the given number (1, 2, 3…) of failures in a row."""
        exponent = min(failures - 1, 64)
        longest = min(self.first_s * self.factor**exponent, self.cap_s)
        return longest * (1 - self.jitter * self.chance())
