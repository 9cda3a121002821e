"""The chain of the audit trail."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from stream.domain.audit import AuditAction, AuditEntry, TrailCheck, TrailEnd, hash_of, next_entry

pytestmark = pytest.mark.unit

Change = Callable[[list[AuditEntry]], list[AuditEntry]]


def trail(length: int) -> list[AuditEntry]:
    entries: list[AuditEntry] = []
    end = TrailEnd()
    for number in range(length):
        entry = next_entry(end, at_ms=number, action=AuditAction.CLAIMED, subject="a/b/c/0-1~rule", role="moderator", actor="0123")
        entries.append(entry)
        end = TrailEnd(entry.sequence, entry.hash)
    return entries


def replaced(position: int, *, honest_hash: bool) -> Change:
    def change(entries: list[AuditEntry]) -> list[AuditEntry]:
        other = msgspec.structs.replace(entries[position], role="admin")
        if honest_hash:
            other = msgspec.structs.replace(other, hash=hash_of(other))
        return [*entries[:position], other, *entries[position + 1 :]]

    return change


CHANGES: dict[str, tuple[Change, str]] = {
    "changed": (replaced(2, honest_hash=False), "entry 3 was changed"),
    "changed with its hash": (replaced(2, honest_hash=True), "entry 4 does not follow"),
    "the last changed with its hash": (replaced(4, honest_hash=True), "ends otherwise"),
    "removed": (lambda entries: [*entries[:2], *entries[3:]], "entries 3 to 3 are missing"),
    "the first removed": (lambda entries: entries[1:], "entries 1 to 1 are missing"),
    "the last removed": (lambda entries: entries[:-1], "entries 5 to 5 are missing at the end"),
    "all removed": (lambda _: [], "entries 1 to 5 are missing"),
    "swapped": (lambda entries: [entries[1], entries[0], *entries[2:]], "missing"),
    "written anew": (lambda _: trail(5)[:1] + trail(5)[:4], "missing"),
}


def problems(entries: list[AuditEntry], end: TrailEnd) -> str:
    check = TrailCheck(TrailEnd())
    check.check(entries)
    check.finish(end)
    return " ".join(problem.text for problem in check.problems)


def test_an_untouched_trail_has_no_problem() -> None:
    entries = trail(5)
    assert problems(entries, TrailEnd(5, entries[-1].hash)) == ""


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_is_found(name: str) -> None:
    entries = trail(5)
    change, expected = CHANGES[name]
    assert expected in problems(change(entries), TrailEnd(5, entries[-1].hash))
