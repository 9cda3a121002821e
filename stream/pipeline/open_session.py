"""The epochs of one session that are open on a worker, and in which order they publish."""

from __future__ import annotations

from stream.domain.epoch import SessionEpochs, epoch_at
from stream.pipeline.conversation import Conversation


class OpenSession:
    """One conversation for each epoch that is not over.

    The newest is live, those before it retire: they still take the chunks of theirs that were on the way when the newer one began, or that
    are read again after a takeover, in whatever order the topics bring them, and end by themselves. Redis refuses a window of an
    earlier epoch than the track's last, so a conversation publishes only when it has the turn: when no earlier epoch is open, nor can
    be opened by a chunk that is still to be read.

    Args:
        known: What Redis knows of its epochs.
        settled_at: When every chunk that existed has been read, on the listening clock.
    """

    def __init__(self, known: SessionEpochs, settled_at: int) -> None:
        self.runs = known.runs
        self._final = known.final
        self._over = -1
        self._settled_at = settled_at
        self._conversations: dict[int, Conversation] = {}

    @property
    def conversations(self) -> list[Conversation]:
        """Those that are open, by epoch."""
        return list(self._conversations.values())

    @property
    def waiting(self) -> int:
        """Closed windows that wait for their turn."""
        return sum(c.unpublished for c in self._conversations.values() if not c.turn.is_set())

    def epoch_at(self, declared: int, zero_ms: float) -> int | None:
        """As `stream.domain.epoch.epoch_at`."""
        return epoch_at(self.runs, declared, zero_ms) if self.runs else declared

    def conversation(self, epoch: int) -> Conversation | None:
        """Of an epoch, if it is open."""
        return self._conversations.get(epoch)

    def is_over(self, epoch: int) -> bool:
        """Whether nothing of an epoch can be taken in any more."""
        return epoch <= self._over

    def is_newest(self, conversation: Conversation) -> bool:
        """Whether no later epoch is open."""
        return conversation.epoch >= max(self._conversations, default=-1)

    def add(self, conversation: Conversation, now: int) -> None:
        """Open an epoch; all but the newest retire."""
        self._conversations[conversation.epoch] = conversation
        self._conversations = dict(sorted(self._conversations.items()))
        for retiring in self.conversations[:-1]:
            retiring.retire()
        self.pass_turn(now)

    def remove(self, conversation: Conversation, now: int) -> None:
        """Forget a conversation; one that is complete passes its turn on."""
        if self._conversations.get(conversation.epoch) is conversation:
            del self._conversations[conversation.epoch]
        if conversation.complete:
            self._over = max(self._over, conversation.epoch)
            self.pass_turn(now)

    def hurry(self, now: int) -> None:
        """Wait for nothing that may still come of earlier epochs: too many windows wait for their turn."""
        self._settled_at = now
        for retiring in self.conversations[:-1]:
            retiring.finish()
        self.pass_turn(now)

    def pass_turn(self, now: int) -> None:
        """Let the earliest epoch publish, if none before it can be opened any more."""
        first = next(iter(self._conversations), None)
        if first is None or self._conversations[first].turn.is_set():
            return
        if now >= self._settled_at:
            self._over = max(self._over, first - 1)
        if first <= max(self._over + 1, self._final):
            self._conversations[first].turn.set()
