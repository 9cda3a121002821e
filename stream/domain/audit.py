"""The audit trail of the moderation queue: who did what to which case, as a chain in which each entry holds the hash of the one before.

An entry names a role and a pseudonym, never a person, and quotes no text: of a decision it holds the digest. So a session can be erased
without a change of the trail.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import StrEnum

import msgspec

FIRST_HASH = "0" * 64
"""What the first entry of a trail holds in place of the hash before it."""


class AuditAction(StrEnum):
    """What was done."""

    CLAIMED = "claimed"
    RELEASED = "released"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    DECIDED = "decided"
    WITHDRAWN = "withdrawn"
    """A decision was undone before it was published."""
    WORDS_SHOWN = "words_shown"
    """Words of a case were shown."""
    ERASED = "erased"
    """The cases of a session were erased."""
    TRIMMED = "trimmed"
    """The oldest entries were removed, because the trail is full."""


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One act.

    Attributes:
        sequence: 1, 2, 3 … without a gap.
        at_ms: Wall clock of Redis (Unix ms).
        subject: The alert; for ``erased`` the session's digest, for ``trimmed`` the last sequence that was removed.
        role: Role of the person.
        actor: The person's pseudonym.
        detail: What belongs to the act: ``until_ms``, or the SHA-256 of the decision.
        before: Hash of the entry before.
        hash: SHA-256 of all other fields.
    """

    sequence: int
    at_ms: int
    action: AuditAction
    subject: str
    role: str
    actor: str
    detail: str
    before: str
    hash: str


class TrailEnd(msgspec.Struct, frozen=True):
    """Sequence and hash of an entry: the newest one, or the newest of those that were removed."""

    sequence: int = 0
    hash: str = FIRST_HASH


class AuditProblem(msgspec.Struct, frozen=True):
    """Where a trail is not as it was written."""

    sequence: int
    text: str


def digest(data: bytes) -> str:
    """SHA-256, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def hash_of(entry: AuditEntry) -> str:
    """The hash that the entry must have."""
    return digest(msgspec.json.encode(msgspec.structs.replace(entry, hash="")))


def next_entry(end: TrailEnd, *, at_ms: int, action: AuditAction, subject: str, role: str, actor: str, detail: str = "") -> AuditEntry:
    """The entry after the newest one."""
    entry = AuditEntry(
        sequence=end.sequence + 1,
        at_ms=at_ms,
        action=action,
        subject=subject,
        role=role,
        actor=actor,
        detail=detail,
        before=end.hash,
        hash="",
    )
    return msgspec.structs.replace(entry, hash=hash_of(entry))


class TrailCheck:
    """Checks a trail, entry after entry.

    Args:
        start: The newest entry of those that were removed because the trail was full.
    """

    def __init__(self, start: TrailEnd) -> None:
        self.problems: list[AuditProblem] = []
        self.checked = 0
        self._end = start

    def check(self, entries: Iterable[AuditEntry]) -> None:
        """Check the entries that follow."""
        for entry in entries:
            self.checked += 1
            if entry.sequence != self._end.sequence + 1:
                first, last = self._end.sequence + 1, entry.sequence - 1
                self._note(first, f"entries {first} to {last} are missing")
            elif self._end.hash and entry.before != self._end.hash:
                self._note(entry.sequence, f"entry {entry.sequence} does not follow from the one before: one of the two was changed")
            if hash_of(entry) != entry.hash:
                self._note(entry.sequence, f"entry {entry.sequence} was changed: its content does not have its hash")
            self._end = TrailEnd(entry.sequence, entry.hash)

    def unreadable(self, sequence: int) -> None:
        """Note an entry that is no entry any more."""
        self.checked += 1
        self._note(sequence, f"entry {sequence} was changed: it cannot be read")
        self._end = TrailEnd(sequence, "")

    def finish(self, end: TrailEnd) -> None:
        """Compare the last entry with the end that was noted."""
        if self._end.sequence < end.sequence:
            self._note(self._end.sequence + 1, f"entries {self._end.sequence + 1} to {end.sequence} are missing at the end")
        elif self._end.hash and self._end != end:
            self._note(self._end.sequence, f"the trail ends otherwise than was noted: entry {self._end.sequence} was changed or added")

    def _note(self, sequence: int, text: str) -> None:
        self.problems.append(AuditProblem(sequence, text))
