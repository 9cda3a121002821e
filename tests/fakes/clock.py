"""A clock that moves only while somebody waits on it."""

from __future__ import annotations


class FakeClock:
    """Wall clock and monotonic clock in one. `wait` advances it, and returns True, which means stop, from `stop_at_s` on."""

    def __init__(self, stop_at_s: float = float("inf")) -> None:
        self.seconds = 0.0
        self.waits: list[float] = []
        self._stop_at_s = stop_at_s

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.seconds += seconds
        return self.seconds >= self._stop_at_s

    def monotonic(self) -> float:
        return self.seconds

    def now_ms(self) -> int:
        return 1_700_000_000_000 + round(self.seconds * 1000)
