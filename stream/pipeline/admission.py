"""Decides, before a chunk of an epoch is decoded, whether it may be used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from stream.domain.chunk import ChunkHeader
from stream.policy.decisions import Decision, EpochPolicy


class Admission:
    """Applies the policy to the chunks of an epoch in their order.

    Starts and chunks are in different topics, so a chunk may be read before a start that was sent before it. Where the start may change
    what becomes of the chunk, for instance because the speaker has not consented, the chunk waits, undecoded: until the start is read,
    until everything that exists has been read, or until there is no room for more waiting chunks.

    Args:
        policy: What may be used of the epoch.
        role_of: The role of a track that is open or planned.
    """

    def __init__(self, policy: EpochPolicy, role_of: Callable[[str], str | None]) -> None:
        self._policy = policy
        self._role_of = role_of
        self._settled = asyncio.Event()

    def settle(self) -> None:
        """Wait for no start record any more: it is known, or it has not been sent before the chunks."""
        self._settled.set()

    def decide(self, header: ChunkHeader) -> Decision | None:
        """What becomes of a chunk; None while that is not settled."""
        role = self._role_of(header.track.track) or header.role
        if not self._settled.is_set() and self._policy.may_change(header, role):
            return None
        return self._policy.decide(header, role)

    async def decided(self, header: ChunkHeader) -> Decision:
        """What becomes of a chunk, once it is settled."""
        while (decision := self.decide(header)) is None:
            await self._settled.wait()
        return decision
