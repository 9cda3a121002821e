from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import replace
from typing import ClassVar

import pytest
from structlog.testing import capture_logs

from stream.config.media_settings import WindowSettings
from stream.config.settings import Settings
from stream.config.worker_settings import LimitSettings
from stream.domain.chunk import Chunk
from stream.domain.delivery import InboundRecord, LastFinal
from stream.domain.features import Features, Word
from stream.domain.identity import TrackKey
from stream.domain.kafka_records import chunk_headers, decode_text, encode_words
from stream.domain.modality import Modality
from stream.domain.session_events import MAX_EVENTS, MAX_TRACKS, SessionEnd, SessionHeartbeat, SessionStart, TrackEnd, TrackPlan
from stream.pipeline.ports import Addressed
from tests.fakes.chunks import MEDIA_START_AT_MS, header
from tests.fakes.processing_context import FakeEncoder, FakeScorer, FakeStore, FakeWorker

TRACK = header(0).track
START = SessionStart(0, (TrackPlan("customer", "customer", (Modality.TEXT,)),))
AUDIO, VIDEO = Modality.AUDIO, Modality.VIDEO
TALK = SessionStart(0, (TrackPlan("customer", "customer", (AUDIO, VIDEO)),))
TALK_END = SessionEnd(0, 12_000, (TrackEnd("customer", {AUDIO: 12, VIDEO: 12}),))


def end(chunks: int) -> SessionEnd:
    return SessionEnd(0, chunks * 1000, (TrackEnd("customer", {Modality.TEXT: chunks}),))


def ends(worker: FakeWorker, track: TrackKey = TRACK) -> list[int]:
    return [score.end_ms for score in worker.store.scores[track]]


async def whole_session(worker: FakeWorker, seconds: int = 6) -> None:
    await worker.feed(worker.event(START), *(worker.words(seq) for seq in range(seconds)), worker.event(end(seconds)))


async def test_a_session_gives_final_windows_a_summary_and_acknowledged_records() -> None:
    worker = FakeWorker()
    await whole_session(worker)
    assert ends(worker) == [4000, 6000, 8000]
    assert [s.windows for s in worker.store.summaries] == [3]
    assert len(worker.acknowledged) == 8
    assert worker.router.open_epochs == 0
    assert [len(worker.sent[t]) for t in (worker.topics.scores, worker.topics.explanations, worker.topics.summaries)] == [3, 3, 1]
    assert not worker.failures


async def test_a_chunk_that_is_still_being_encoded_when_its_session_ends_is_acknowledged() -> None:
    class SlowToRepeat(FakeEncoder):
        seen: ClassVar[set[str]] = set()

        async def encode(self, chunk: Chunk) -> Features:
            if chunk.header.id in self.seen:
                await asyncio.sleep(0.1)
            self.seen.add(chunk.header.id)
            return await super().encode(chunk)

    worker = FakeWorker(new_encoder=SlowToRepeat)
    await worker.feed(worker.event(START), *(worker.words(seq) for seq in range(6)), worker.words(5), worker.event(end(6)))
    assert ends(worker) == [4000, 6000, 8000]
    await worker.settle(0.15)
    assert len(worker.acknowledged) == len(set(worker.acknowledged)) == 9
    assert [s.windows for s in worker.store.summaries] == [3]
    assert worker.router.open_epochs == 0
    assert not worker.failures


async def test_a_track_that_begins_while_its_session_is_completed_goes_to_the_next_session_processor() -> None:
    class SlowStore(FakeStore):
        async def last_final(self, track: TrackKey) -> LastFinal | None:
            if track.track == "late":
                await asyncio.sleep(0.1)
            return await super().last_final(track)

    worker = FakeWorker(store=SlowStore())
    await worker.feed(worker.event(START), *(worker.words(seq) for seq in range(5)))
    late = asyncio.create_task(worker.router.on_record(worker.words(0, track="late")))
    await worker.feed(worker.words(5), worker.event(end(6)))
    assert [s.windows for s in worker.store.summaries] == [3]
    await late
    await worker.settle()
    await worker.advance(worker.settings.windows.expire_after_ms + 5000)
    assert ends(worker, header(0, track="late").track) == [4000]
    assert len(worker.acknowledged) == 9
    assert not worker.failures


async def test_windows_are_published_in_order_however_long_scoring_takes() -> None:
    gate = asyncio.Event()
    worker = FakeWorker(scorer=FakeScorer(gates={4000: gate}))
    await whole_session(worker)
    assert ends(worker) == []
    gate.set()
    await worker.settle()
    assert ends(worker) == [4000, 6000, 8000]


async def test_a_window_is_final_before_the_chunk_after_it_is_encoded() -> None:
    class NeverTheFifth(FakeEncoder):
        may_end: ClassVar[asyncio.Event] = asyncio.Event()

        async def encode(self, chunk: Chunk) -> Features:
            if chunk.header.seq == 4:
                await self.may_end.wait()
            return await super().encode(chunk)

    worker = FakeWorker(new_encoder=NeverTheFifth)
    await worker.feed(worker.event(TALK), *(worker.media(seq, modality, 0) for seq in range(5) for modality in (AUDIO, VIDEO)))
    assert ends(worker) == [4000]
    assert len(worker.acknowledged) == 4
    NeverTheFifth.may_end.set()
    await worker.feed(*(worker.media(seq, modality, 0) for seq in range(5, 12) for modality in (AUDIO, VIDEO)), worker.event(TALK_END))
    assert ends(worker) == [4000, 6000, 8000, 10_000, 12_000, 14_000]
    assert len(worker.acknowledged) == len(set(worker.acknowledged)) == 26
    assert not worker.failures


async def test_chunks_of_open_windows_stay_unacknowledged() -> None:
    worker = FakeWorker()
    await worker.feed(worker.event(START), *(worker.words(seq) for seq in range(5)))
    assert ends(worker) == [4000]
    assert sorted(offset for _, offset in worker.acknowledged) == [0, 1]


async def test_silence_is_acknowledged_after_the_utterance_before_it() -> None:
    settings = Settings(windows=WindowSettings(kind="utterance"))
    gate = asyncio.Event()
    worker = FakeWorker(scorer=FakeScorer(gates={2000: gate}), settings=settings)
    await worker.feed(worker.event(START), *(worker.words(seq, spoken=seq < 2) for seq in range(6)))
    assert not worker.acknowledged
    gate.set()
    await worker.settle()
    assert ends(worker) == [2000]
    assert sorted(offset for _, offset in worker.acknowledged) == [0, 1, 2, 3]


async def test_a_worker_that_takes_over_makes_the_same_windows() -> None:
    first = FakeWorker()
    records = [first.event(START), *(first.words(seq) for seq in range(6))]
    await first.feed(*records)
    second = FakeWorker(store=first.store)
    kept = [r for r in records if (r.topic, r.offset) not in first.acknowledged]
    await second.feed(*kept, first.event(end(6)))
    whole = FakeWorker()
    await whole_session(whole)
    assert first.store.scores == whole.store.scores
    assert second.store.summaries == whole.store.summaries


async def test_a_worker_that_takes_over_knows_which_modalities_were_sent_before() -> None:
    def records(worker: FakeWorker) -> list[InboundRecord]:
        chunks = [record for seq in range(10) for record in (worker.words(seq), worker.media(seq, AUDIO, 0))]
        return [worker.media(0, Modality.VIDEO, 0), *chunks]

    whole = FakeWorker()
    await whole.feed(*records(whole))
    await whole.advance(3000)
    first = FakeWorker()
    all_records = records(first)
    await first.feed(*all_records[:14])
    await first.advance(3000)
    assert ends(first)
    assert ends(first) != ends(whole)
    second = FakeWorker(store=first.store)
    await second.feed(*(r for r in all_records if (r.topic, r.offset) not in first.acknowledged))
    await second.advance(3000)
    expected = [score.modalities_expected for score in whole.store.scores[TRACK]]
    assert expected == [(Modality.TEXT, AUDIO, Modality.VIDEO)] * len(ends(whole))
    assert [score.modalities_expected for score in second.store.scores[TRACK]] == expected


async def test_a_repeat_of_everything_changes_nothing() -> None:
    worker = FakeWorker()
    await whole_session(worker)
    before = list(worker.store.scores[TRACK])
    await whole_session(worker)
    worker.now = 4000
    worker.router.on_time(worker.now)
    await worker.settle()
    assert worker.store.scores[TRACK] == before
    assert len(worker.acknowledged) == 16


async def test_revoked_sessions_are_dropped_unacknowledged() -> None:
    worker = FakeWorker()
    await worker.feed(worker.event(START), *(worker.words(seq) for seq in range(3)))
    worker.router.on_revoked({0})
    assert worker.router.open_epochs == 0
    assert worker.acknowledged == []


async def test_a_zombie_is_fenced_off_and_acknowledges_nothing() -> None:
    store = FakeStore()
    worker = FakeWorker(store=store)
    worker.router.on_assigned()
    store.tokens[TRACK.session] = 99
    await worker.feed(worker.event(START), *(worker.words(seq) for seq in range(5)))
    assert ends(worker) == []
    assert worker.acknowledged == []
    assert worker.router.open_epochs == 0


async def test_a_bad_record_goes_to_the_dead_letters_and_the_rest_flows(caplog: pytest.LogCaptureFixture) -> None:
    worker = FakeWorker()
    good = worker.words(2)
    bad = worker.record(good.topic, b"acme/other", b"secretword", good.headers)
    truncated = worker.record(good.topic, good.key, b'{"words": [{"text": "secretword"', good.headers)
    with caplog.at_level(logging.DEBUG):
        await worker.feed(worker.event(START), worker.words(0), worker.words(1), bad, truncated, *(worker.words(s) for s in (3, 4)))
    assert worker.reasons() == ["key_mismatch", "bad_words"]
    assert ends(worker) == [4000]
    assert "secretword" not in caplog.text


async def test_a_late_chunk_goes_to_the_late_topic_with_its_lateness() -> None:
    worker = FakeWorker()
    await worker.feed(worker.event(START), *(worker.words(seq) for seq in (1, 2, 3, 4, 5, 6)), worker.words(0))
    ((_, _, headers),) = worker.sent[worker.topics.late]
    assert int(dict(headers)["dl_lateby"]) > 0


async def test_a_window_that_the_model_refuses_is_reported_and_does_not_block() -> None:
    worker = FakeWorker(scorer=FakeScorer(refused={4000}))
    await whole_session(worker)
    assert ends(worker) == [6000, 8000]
    assert worker.reasons() == ["unscorable"]


@pytest.mark.parametrize("limit", ["chunks_held_per_session", "chunks_held"])
async def test_windows_that_were_shed_are_counted_and_logged_once(limit: str) -> None:
    worker = FakeWorker(settings=Settings(limits=LimitSettings().model_copy(update={limit: 2})))
    with capture_logs() as logged:
        await worker.feed(worker.event(START))
        for seq in range(6):
            await worker.feed(worker.words(seq))
            worker.router.on_time(None)
        await worker.feed(worker.event(end(6)))
    assert [s.windows_shed for s in worker.store.summaries] == [sum("shed" in score.warnings for score in worker.store.scores[TRACK])]
    assert [(line["windows"], line["of"]) for line in logged if line["event"] == "shed"] == [(2, 3)]


async def test_each_epoch_has_its_own_clock_skews() -> None:
    worker = FakeWorker()
    for epoch, late_ms in ((0, 90), (1, -90)):
        chunks = [worker.media(seq, m, late_ms * (m is VIDEO), epoch=epoch) for seq in range(6) for m in (AUDIO, VIDEO)]
        await worker.feed(worker.event(SessionStart(epoch, TALK.tracks)), *chunks)
    await worker.advance(4000)
    assert {(s.epoch, s.sync[VIDEO].offset_ms) for s in worker.store.scores[TRACK]} == {(0, 90.0), (1, -90.0)}


async def test_a_worker_that_takes_over_continues_with_the_clock_skews() -> None:
    first = FakeWorker()
    records = [first.event(TALK), *(first.media(seq, m, seq % 3 * 20 + 90 * (m is VIDEO)) for seq in range(12) for m in (AUDIO, VIDEO))]
    await first.feed(*records[:15])
    second = FakeWorker(store=first.store)
    await second.feed(*(r for r in records if (r.topic, r.offset) not in first.acknowledged), second.event(TALK_END))
    whole = FakeWorker()
    await whole.feed(*records, whole.event(TALK_END))
    assert first.store.scores == whole.store.scores
    assert [s.sync[VIDEO].samples for s in whole.store.scores[TRACK]] == [4, 6, 8, 10, 12, 12]


async def test_heartbeats_of_unknown_sessions_open_nothing() -> None:
    worker = FakeWorker()
    await worker.feed(worker.event(SessionHeartbeat(0, 0)))
    assert worker.router.open_epochs == 0
    assert len(worker.acknowledged) == 1


async def test_the_number_of_sessions_is_bounded() -> None:
    settings = FakeWorker().settings
    bounded = settings.model_copy(update={"limits": settings.limits.model_copy(update={"sessions": 1})})
    worker = FakeWorker(settings=bounded)
    await worker.feed(worker.words(0), worker.words(0, session="call-2"))
    assert worker.reasons() == ["too_many_sessions"]


async def test_partial_results_are_written_while_a_window_is_open() -> None:
    worker = FakeWorker()
    for seq in range(3):
        await worker.feed(worker.words(seq))
    assert [(p.end_ms, p.revision, p.is_final) for p in worker.store.partials] == [(4000, 1, False), (4000, 2, False), (4000, 3, False)]


async def test_a_different_chunk_with_a_known_number_goes_to_the_dead_letters() -> None:
    worker = FakeWorker()
    first = worker.words(0)
    await worker.feed(first, worker.words(0), worker.record(first.topic, first.key, b'{"words": []}', list(first.headers)))
    assert worker.reasons() == ["conflict"]
    assert [offset for _, offset in worker.acknowledged] == [1, 2]


async def test_a_chunk_from_the_future_goes_to_the_dead_letters_and_the_session_goes_on() -> None:
    worker = FakeWorker()
    await worker.feed(worker.event(START), worker.words(0))
    ahead = worker.words(1)
    headers = [(name, b"90000000" if name == "ce_mediastart" else value) for name, value in ahead.headers]
    nothing_said = encode_words([])
    await worker.feed(worker.record(ahead.topic, ahead.key, nothing_said, headers), *(worker.words(seq) for seq in range(1, 5)))
    assert worker.reasons() == ["future"]
    assert ends(worker) == [4000]
    assert not worker.sent[worker.topics.late]


async def test_a_session_has_a_bounded_number_of_tracks() -> None:
    worker = FakeWorker()
    for number in range(MAX_TRACKS + 1):
        record = worker.words(0)
        headers = [(name, f"track-{number}".encode() if name == "ce_track" else value) for name, value in record.headers]
        await worker.feed(worker.record(record.topic, record.key, record.value, headers))
    assert worker.reasons() == ["too_many_tracks"]


async def test_silence_closes_windows_only_while_the_worker_is_caught_up() -> None:
    worker = FakeWorker()
    await worker.feed(worker.event(START), worker.words(0))
    for live, expected in ((False, []), (True, [4000])):
        for _ in range(60):
            worker.now += 100
            worker.router.on_time(worker.now if live else None)
        await worker.settle()
        assert ends(worker) == expected


async def test_a_chunk_that_needs_no_model_waits_for_the_chunks_before_it_in_its_queue() -> None:
    class OddOnesNeedAModel(FakeEncoder):
        def encode_immediately(self, chunk: Chunk) -> Features | None:
            return None if chunk.header.seq % 2 else decode_text(chunk.payload)

        async def encode(self, chunk: Chunk) -> Features:
            await asyncio.sleep(0.02)
            return await super().encode(chunk)

    plain, mixed = FakeWorker(), FakeWorker(new_encoder=OddOnesNeedAModel)
    for worker in (plain, mixed):
        await whole_session(worker, 9)
    assert len(ends(plain)) == 5
    async with asyncio.timeout(10):
        while len(ends(mixed)) < 5:
            await mixed.settle()
    assert mixed.store.scores == plain.store.scores
    assert not mixed.sent[mixed.topics.late]


def spoken(worker: FakeWorker, seq: int, *ends_ms: int) -> InboundRecord:
    """Text chunk of second ``seq`` with words that end at these media times."""
    of_chunk = header(seq)
    words = [Word("secretword", max(0, end - 200), end) for end in ends_ms]
    return worker.record(worker.topics.chunks(Modality.TEXT), str(of_chunk.session).encode(), encode_words(words), chunk_headers(of_chunk))


async def test_words_that_are_too_late_are_reported_before_their_chunk_is_acknowledged() -> None:
    worker = FakeWorker()
    may_send = asyncio.Event()
    send = worker.context.send

    async def slow_send(*records: Addressed) -> None:
        if records[0][0] == worker.topics.late:
            await may_send.wait()
        await send(*records)

    worker.context.send = slow_send
    late = spoken(worker, 5, 700, 1900, 3800, 5800)
    await worker.feed(worker.event(START), *(spoken(worker, seq) for seq in range(5)), late, *(spoken(worker, seq) for seq in range(6, 13)))
    assert [(final.end_ms, final.score) for final in worker.store.scores[TRACK]][:3] == [(4000, 0.0), (6000, 2.0), (8000, 1.0)]
    assert (late.topic, late.offset) not in worker.acknowledged
    may_send.set()
    await worker.settle()
    assert (late.topic, late.offset) in worker.acknowledged
    [(_, value, headers)] = worker.sent[worker.topics.late]
    assert value == late.value
    assert dict(headers)["dl_reason"] == b"late_words"
    assert dict(headers)["dl_lateby"] == b"1300"
    assert dict(headers)["dl_detail"].startswith(b"2 of its words")


@pytest.mark.parametrize(
    ("seq", "ends_ms", "said"),
    [
        (5, (300, 900), "add ce_mediastart"),
        (2, (300,), "add ce_mediastart"),
        (40, (5000, 40_500), r"words\[0\] lies more than 30 s outside"),
        (2, (2500, 40_000), r"words\[1\] lies more than 30 s outside"),
    ],
)
async def test_words_with_times_of_another_clock_are_refused_by_name(seq: int, ends_ms: tuple[int, ...], said: str) -> None:
    worker = FakeWorker()
    await worker.feed(worker.event(START), spoken(worker, seq, *ends_ms))
    assert worker.reasons() == ["bad_words"]
    assert re.search(said, dict(worker.sent[worker.topics.dead_letters][0][2])["dl_detail"].decode())


@pytest.mark.parametrize(("seq", "ends_ms"), [(0, (300, 900)), (1, (300, 900)), (5, (300, 1100)), (40, (10_100, 70_900)), (5, ())])
async def test_words_that_may_be_of_the_clock_of_the_session_are_taken(seq: int, ends_ms: tuple[int, ...]) -> None:
    worker = FakeWorker()
    await worker.feed(worker.event(START), spoken(worker, seq, *ends_ms))
    assert worker.reasons() == []


@pytest.mark.parametrize(("first", "step"), [(0, 1), (1, 1), (100, 1), (1, 3)])
async def test_numbers_may_begin_anywhere_and_leave_numbers_out(first: int, step: int) -> None:
    """At full speed the end of the session is read before its last chunks; ``step`` 3 is a counter that three modalities share."""
    worker, seconds = FakeWorker(), 12
    chunks = []
    for second in range(seconds):
        record = worker.words(second)
        number = str(first + second * step).encode()
        chunks.append(replace(record, headers=[(name, number if name == "ce_sequence" else value) for name, value in record.headers]))
    end = SessionEnd(0, seconds * 1000, (TrackEnd("customer", {Modality.TEXT: seconds}),))
    await worker.feed(worker.event(START), worker.event(end), *chunks)
    assert ends(worker) == list(range(4000, seconds * 1000 + 2001, 2000))
    assert [final.score for final in worker.store.scores[TRACK]] == [4.0] * 5 + [2.0]
    assert not worker.sent[worker.topics.late]
    assert worker.reasons() == []
    assert len(worker.acknowledged) == seconds + 2


async def test_numbers_that_are_used_again_are_conflicts_and_close_no_window_early() -> None:
    worker = FakeWorker()
    records = [worker.words(second) for second in range(6)]
    same = [replace(r, headers=[(n, b"0" if n == "ce_sequence" else v) for n, v in r.headers]) for r in records]
    end = SessionEnd(0, 6000, (TrackEnd("customer", {Modality.TEXT: 6}),))
    await worker.feed(worker.event(START), worker.event(end), *same)
    assert worker.reasons() == ["conflict"] * 5
    assert ends(worker) == []
    await worker.advance(worker.settings.windows.end_grace_ms + 1000)
    assert [final.score for final in worker.store.scores[TRACK]] == [1.0]


async def test_a_flood_of_session_events_is_bounded_and_the_session_goes_on() -> None:
    worker = FakeWorker()
    await worker.feed(worker.event(START), *(worker.event(START, at_ms=MEDIA_START_AT_MS + n) for n in range(MAX_EVENTS + 9)))
    assert worker.reasons() == ["too_many_events"] * 10
    await worker.feed(*(worker.words(seq) for seq in range(5)), worker.event(SessionHeartbeat(0, 5000)))
    assert ends(worker) == [4000]
    assert worker.reasons() == ["too_many_events"] * 10
