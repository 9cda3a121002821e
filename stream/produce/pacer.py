"""Decides when a chunk is sent and which capture time it carries."""

from __future__ import annotations

import time
from collections.abc import Callable

MAX_SPEED = 1000.0
"""Above this a recording is sent as fast as possible anyway, which ``max`` says plainly."""


def wall_clock_ms() -> int:
    """The wall clock, Unix milliseconds."""
    return time.time_ns() // 1_000_000


def parse_speed(text: str) -> float | None:
    """``"1.0"`` → 1.0 (live), ``"2"`` → 2.0, ``"max"`` → None. Raises ``ValueError`` with a sentence for the user."""
    if text.strip().lower() == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    # NaN fails this comparison, too.
    if not 0.0 < speed <= MAX_SPEED:
        raise ValueError(f"--speed must be a number above 0 and at most {MAX_SPEED:.0f}, or max")
    return speed


class Pacer:
    """Paces a recording like a live session: a chunk is due when its last sample would have been captured.

    Capture times keep the distances of the media at every speed: workers send chunks whose media runs ahead of their capture time to the
    dead letters. Faster than live, they therefore lie in the past, so far that none is in the future when its chunk is sent. At ``max``
    speed nothing waits, and the recording counts as having ended when sending began.
    """

    def __init__(
        self,
        speed: float | None,
        duration_ms: int | None,
        wait: Callable[[float], bool],
        now_ms: Callable[[], int] = wall_clock_ms,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the clock.

        Args:
            speed: Media seconds per second, or None for as fast as possible.
            duration_ms: Length of the recording, if known.
            wait: Waits for a number of seconds; returns True when it was told to stop (``threading.Event.wait``).
            now_ms: Wall clock, Unix milliseconds.
            monotonic: Clock that never jumps, in seconds.
        """
        self._speed = speed
        self._wait = wait
        self._monotonic = monotonic
        self._started_s = monotonic()
        saved = 1.0 if speed is None else max(0.0, 1.0 - 1.0 / speed)
        self._media_start_at_ms = now_ms() - round((duration_ms or 0) * saved)

    def captured_ms(self, media_ms: int) -> int:
        """Wall clock at which media time `media_ms` was (or would have been) captured."""
        return self._media_start_at_ms + media_ms

    def wait_until(self, media_ms: int) -> bool:
        """Wait until media time `media_ms` is captured. Returns False when told to stop."""
        if self._speed is None:
            return not self._wait(0.0)
        # Measured from the start, so that delays do not add up: after a slow chunk the next chunks are sent immediately.
        ahead_s = self._started_s + media_ms / 1000 / self._speed - self._monotonic()
        return not self._wait(max(0.0, ahead_s))
