"""Tells a loss in a file from a pause of its clock: pure."""

from __future__ import annotations

from collections import deque

MIN_HOLE_S = 0.1
"""A smaller jump of the clock is rounding and jitter of the container."""

MAX_HOLE_S = 60.0
"""A longer one is a hold, or a clock that is looked at by `stream.media.timeline`."""

MIN_HOLE_BYTES = 1000
"""Fewer bytes without a packet are the container's own."""

NEAR_PACKETS = 5
"""Packets around a hole within which its bytes are counted or the container's word is heard: Ogg and FFmpeg's parsers tell it late."""


class HoleFinder:
    """Looks at the packets of one stream.

    A pause takes no room in the file. A loss takes as much as the packets that should be there, or the container says that packets are
    missing.

    Attributes:
        lost_s: Time that was lost.
    """

    def __init__(self) -> None:
        self.lost_s = 0.0
        self._played_s = 0.0
        self._bytes = 0
        self._skipped_before = deque([0], maxlen=NEAR_PACKETS)
        self._since_corrupt = NEAR_PACKETS
        self._jump_s = 0.0
        self._since_jump = 0
        self._skipped_until_jump = 0

    def add(self, duration_s: float, jump_s: float, size: int, skipped_bytes: int, *, corrupt: bool) -> None:
        """Look at the next packet.

        Args:
            duration_s: Its duration.
            jump_s: How far the clock jumped before it.
            size: Its bytes.
            skipped_bytes: Bytes of the file that are in no packet, from its beginning to this packet.
            corrupt: The container says that something is missing in or near it.
        """
        self._since_corrupt = 0 if corrupt else self._since_corrupt + 1
        self._since_jump += 1
        if MIN_HOLE_S < jump_s <= MAX_HOLE_S:
            self._jump_s, self._since_jump = jump_s, 0
            self._skipped_until_jump = self._skipped_before[0]
        if self._jump_s and self._since_jump <= NEAR_PACKETS:
            expected_bytes = self._bytes / self._played_s * self._jump_s if self._played_s else 0.0
            skipped = skipped_bytes - self._skipped_until_jump > max(MIN_HOLE_BYTES, expected_bytes / 2)
            if skipped or self._since_corrupt < NEAR_PACKETS:
                self.lost_s += self._jump_s
                self._jump_s = 0.0
        self._played_s += duration_s
        self._bytes += size
        self._skipped_before.append(skipped_bytes)
