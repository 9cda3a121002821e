"""Records that are in another partition than their key belongs to, and topics whose number of partitions changes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from stream.domain.delivery import InboundRecord
from stream.domain.modality import Modality
from stream.domain.partition import partition_of
from stream.domain.session_events import SessionEnd, SessionStart, TrackEnd, TrackPlan
from stream.domain.topics import Topics
from stream.pipeline import placement
from tests.fakes.chunks import header
from tests.fakes.processing_context import FakeWorker

START = SessionStart(0, (TrackPlan("customer", "customer", (Modality.TEXT,)),))
END = SessionEnd(0, 6000, (TrackEnd("customer", {Modality.TEXT: 6}),))
TRACK = header(0).track


def worker_of(partitions: int) -> FakeWorker:
    worker = FakeWorker()
    worker.partitions = dict.fromkeys(worker.topics.inputs, partitions)
    return worker


def placed(record: InboundRecord, partitions: int, *, off: int = 0) -> InboundRecord:
    """The record in the partition of its key, or some partitions further."""
    return replace(record, partition=(partition_of(record.key or b"", partitions) + off) % partitions)


def finals(worker: FakeWorker) -> list[tuple[int, float | None]]:
    return [(final.end_ms, final.score) for final in worker.store.scores[TRACK]]


async def test_records_in_another_partition_are_dead_letters_and_the_session_has_only_its_own() -> None:
    worker = worker_of(6)
    chunks = [placed(worker.words(seq), 6, off=seq == 3) for seq in range(6)]
    await worker.feed(placed(worker.event(START), 6), *chunks, placed(worker.event(END), 6, off=1), placed(worker.event(END), 6))
    await worker.advance(5000)
    assert worker.reasons() == ["wrong_partition"] * 2
    assert finals(worker) == [(4000, 3.0), (6000, 3.0), (8000, 2.0)]
    detail = dict(worker.sent[worker.topics.dead_letters][0][2])["dl_detail"].decode()
    assert "partitioner=murmur2_random" in detail
    assert len(worker.acknowledged) == 9
    assert not worker.failures


@pytest.mark.parametrize("key", [None, b""])
async def test_a_record_without_a_key_is_a_dead_letter_that_says_which_key_it_needs(key: bytes | None) -> None:
    worker = worker_of(6)
    await worker.feed(replace(worker.words(0), key=key), replace(worker.event(START), key=key))
    assert worker.reasons() == ["key_mismatch"] * 2
    detail = dict(worker.sent[worker.topics.dead_letters][0][2])["dl_detail"].decode()
    assert "ce_tenant/ce_subject" in detail


async def test_a_misplaced_record_makes_the_worker_ask_whether_the_topics_have_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "ASK_AGAIN_S", 0.0)
    worker = worker_of(6)
    await worker.feed(placed(worker.event(START), 6), placed(worker.words(0), 6))
    worker.partitions = dict.fromkeys(worker.topics.inputs, 7)
    assert partition_of(b"acme/call-1", 6) != partition_of(b"acme/call-1", 7)
    await worker.feed(placed(worker.words(1), 7), placed(worker.words(2), 6))
    assert worker.reasons() == ["wrong_partition"], "the record that was placed by the old number"


async def test_misplaced_records_make_the_worker_ask_once_a_second_at_most() -> None:
    worker, asked = worker_of(6), 0
    counts = worker.context.partition_counts

    async def count_asked() -> dict[str, int]:
        nonlocal asked
        asked += 1
        return dict(await counts())

    worker.context.placement._ask = count_asked
    await worker.feed(*(placed(worker.words(seq), 6, off=1) for seq in range(200)))
    assert worker.reasons() == ["wrong_partition"] * 200
    assert asked <= 3


async def test_records_wait_while_the_topics_have_different_numbers_of_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "ASK_AGAIN_S", 0.01)
    worker = worker_of(6)
    worker.partitions[worker.topics.sessions] = 3
    worker.router.on_assigned()
    waiting = asyncio.create_task(worker.router.on_record(placed(worker.words(0), 6)))
    await worker.settle(0.05)
    assert not waiting.done()
    assert worker.router.problem is not None
    assert "chunks.text 6, chunks.audio 6, chunks.video 6, sessions 3" in worker.router.problem
    worker.partitions[worker.topics.sessions] = 6
    await asyncio.wait_for(waiting, 5)
    assert worker.router.problem is None
    assert worker.router.open_epochs == 1
    assert worker.reasons() == []


async def test_a_record_that_waited_for_the_partitions_when_its_own_was_revoked_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "ASK_AGAIN_S", 0.01)
    worker = worker_of(6)
    worker.partitions[worker.topics.sessions] = 3
    misplaced, right = placed(worker.words(0), 6, off=1), placed(worker.words(1), 6)
    waiting = [asyncio.create_task(worker.router.on_record(record)) for record in (misplaced, right)]
    await worker.settle()
    worker.router.on_revoked(set(range(6)))
    worker.partitions[worker.topics.sessions] = 6
    await asyncio.wait_for(asyncio.gather(*waiting), 5)
    assert (worker.acknowledged, worker.reasons(), worker.router.open_epochs) == ([], [], 0)


async def test_a_broker_that_does_not_say_how_many_partitions_there_are_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "ASK_AGAIN_S", 0.01)
    worker = worker_of(6)
    answers: list[Exception | dict[str, int]] = [ConnectionError("away"), dict.fromkeys(Topics().inputs, 6)]

    async def ask() -> dict[str, int]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    worker.context.placement._ask = ask
    await asyncio.wait_for(worker.router.on_record(placed(worker.words(0), 6)), 5)
    assert (worker.router.open_epochs, worker.reasons()) == (1, [])
