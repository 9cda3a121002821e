"""How long to wait before the next attempt."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Backoff:
    """Capped exponential backoff with jitter.

    Attributes:
        first_s: Longest first delay.
        factor: Each delay is this many times as long as the delay before…
        cap_s: …up to this.
        jitter: Random part of a delay, in [0, 1]: callers that failed together do not return together.
        uniform: Source of randomness, uniform in [0, 1).
    """

    first_s: float = 0.1
    factor: float = 2.0
    cap_s: float = 2.0
    jitter: float = 0.5
    uniform: Callable[[], float] = field(default=random.random, repr=False)

    def delay_s(self, failures: int) -> float:
        """Delay after the given number (1, 2, 3…) of failures in a row."""
        exponent = min(failures - 1, 64)
        longest = min(self.first_s * self.factor**exponent, self.cap_s)
        return longest * (1 - self.jitter * self.uniform())
