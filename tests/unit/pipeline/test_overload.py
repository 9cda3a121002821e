"""A worker that has fallen behind says so, leaves out by setting what has waited for too long, and returns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from stream.config.media_settings import WindowSettings
from stream.config.settings import Settings
from stream.config.worker_settings import OverloadSettings
from stream.domain.chunk import ContentType
from stream.domain.delivery import InboundRecord
from stream.domain.features import Word
from stream.domain.identity import TrackKey
from stream.domain.kafka_records import chunk_headers, encode_words
from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import ScoreRecord
from stream.domain.session_events import SessionEnd, SessionStart, TrackEnd, TrackPlan
from stream.domain.warning_codes import WarningCode
from stream.pipeline.overload import QUIET_MS, Overload
from tests.fakes.chunks import header
from tests.fakes.media_encoder import MediaEncoder
from tests.fakes.processing_context import FakeScorer, FakeStore, FakeWorker

TEXT, AUDIO, VIDEO = MODALITIES
SECONDS = 10
START = SessionStart(0, (TrackPlan("customer", "customer", MODALITIES),), None)
END = SessionEnd(0, SECONDS * 1000, (TrackEnd("customer", dict.fromkeys(MODALITIES, SECONDS)),))


class Clock:
    now = 100_000

    def __call__(self) -> int:
        return self.now


def overload(shed: str = "video") -> tuple[Overload, Clock]:
    clock = Clock()
    return Overload(OverloadSettings.model_validate({"shed": shed, "after_ms": 4000}), clock), clock


@pytest.mark.parametrize(("shed", "left_out"), [("none", set()), ("video", {VIDEO}), ("media", {VIDEO, AUDIO})])
def test_what_has_waited_for_too_long_is_left_out_by_setting_and_words_never(shed: str, left_out: set[Modality]) -> None:
    guard, clock = overload(shed)
    assert {m for m in MODALITIES if guard.leaves_out(header(0, m), clock.now - 60_000)} == left_out


def test_encoded_chunks_and_records_of_unknown_age_are_used() -> None:
    guard, clock = overload("media")
    encoded = replace(header(0, VIDEO), content_type=ContentType.FEATURES)
    assert not guard.leaves_out(encoded, clock.now - 60_000)
    assert not guard.leaves_out(header(0, VIDEO), None)
    assert not guard.is_behind


def test_a_worker_that_is_behind_leaves_out_down_to_a_quarter_of_the_bound_and_sound_later_than_pictures() -> None:
    guard, clock = overload("media")
    video, audio = header(0, VIDEO), header(0, AUDIO)
    assert not guard.leaves_out(video, clock.now - 4000)
    assert guard.leaves_out(video, clock.now - 4001)
    assert guard.leaves_out(video, clock.now - 1001)
    assert not guard.leaves_out(video, clock.now - 1000)
    assert not guard.leaves_out(audio, clock.now - 2000)
    assert guard.leaves_out(audio, clock.now - 2001)


@pytest.mark.parametrize("shed", ["none", "video"])
def test_falling_behind_and_catching_up_are_logged_once_each(shed: str) -> None:
    guard, clock = overload(shed)
    with capture_logs() as logs:
        for _ in range(50):
            guard.leaves_out(header(0, VIDEO), clock.now - 9000)
            # Another session's chunk is fresh: sessions take turns.
            guard.leaves_out(header(0, VIDEO), clock.now)
            clock.now += 100
            guard.on_time(0)
        assert guard.is_behind
        for _ in range(QUIET_MS // 100):
            clock.now += 100
            guard.on_time(10)
    assert not guard.is_behind
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("behind", "warning"), ("caught_up", "info")]
    assert logs[1]["chunks_left_out"] == (50 if shed == "video" else 0)


def test_records_that_are_not_read_count_as_behind() -> None:
    guard, _ = overload("none")
    assert not guard.description
    guard.on_time(7200)
    assert guard.behind_ms == 7200
    assert guard.description.startswith("it is 7.2 s behind")
    assert "nothing is left out" in guard.description


def aged(worker: FakeWorker, seq: int, modality: Modality, age_ms: int) -> InboundRecord:
    """A chunk of second ``seq`` that has waited for some time."""
    of_chunk = header(seq, modality)
    payload = encode_words([Word("word", of_chunk.start_ms, of_chunk.end_ms)]) if modality is TEXT else b"media"
    record = worker.record(worker.topics.chunks(modality), str(of_chunk.session).encode(), payload, chunk_headers(of_chunk))
    return replace(record, known_at_ms=worker.now - age_ms)


async def session(late: Iterable[int], shed: str = "video", store: FakeStore | None = None) -> tuple[FakeWorker, list[ScoreRecord]]:
    """A session in which the chunks of some seconds have waited for a minute."""
    MediaEncoder.decoded.clear()
    settings = Settings(
        overload=OverloadSettings.model_validate({"shed": shed}),
        windows=WindowSettings(partial_every_ms=0),
    )
    worker = FakeWorker(FakeScorer(), store or FakeStore(), settings, MediaEncoder)
    seconds = set(late)
    chunks = [aged(worker, seq, modality, 60_000 if seq in seconds else 0) for seq in range(SECONDS) for modality in MODALITIES]
    await worker.feed(worker.event(START), *chunks, worker.event(END))
    return worker, worker.store.scores[TrackKey(header(0).session, "customer")]


async def test_windows_say_what_was_left_out_and_why_and_lose_nothing_else() -> None:
    worker, finals = await session(range(6))
    assert [final.end_ms for final in finals] == [4000, 6000, 8000, 10_000, 12_000]
    assert [final.withheld for final in finals] == [{VIDEO: "overload"}] * 2 + [{}] * 3
    # The third window still has the pictures of its second half.
    assert [WarningCode.OVERLOAD in final.warnings for final in finals] == [True, True, True, False, False]
    assert [VIDEO in final.modalities_present for final in finals] == [False, False, True, True, True]
    assert [VIDEO in final.modalities_expected for final in finals] == [False, False, True, True, True]
    assert all({TEXT, AUDIO} <= set(final.modalities_present) for final in finals)
    assert {start for modality, _, start in MediaEncoder.decoded if modality is VIDEO} == {6000, 7000, 8000, 9000}
    assert len(worker.acknowledged) == 3 * SECONDS + 2
    assert not worker.reasons()
    assert worker.context.metrics.chunks_withheld.labels(VIDEO, "overload")._value.get() == 6


async def test_sound_is_left_out_by_setting_and_words_are_scored_alone() -> None:
    _, finals = await session(range(SECONDS), "media")
    assert [final.modalities_present for final in finals] == [(TEXT,)] * 5
    assert [final.withheld for final in finals] == [{AUDIO: "overload", VIDEO: "overload"}] * 5
    assert [final.score for final in finals] == [4, 4, 4, 4, 2]


async def test_nothing_is_left_out_by_default_and_health_says_that_the_worker_is_behind() -> None:
    worker, finals = await session(range(SECONDS), "none")
    assert not any(final.withheld or WarningCode.OVERLOAD in final.warnings for final in finals)
    assert all(VIDEO in final.modalities_present for final in finals)
    assert "60.0 s behind" in worker.router.overload


async def test_a_replay_that_keeps_up_does_not_change_what_is_final() -> None:
    store = FakeStore()
    _, finals = await session(range(SECONDS), store=store)
    before = list(finals)
    _, after = await session((), store=store)
    assert after == before


async def test_a_worker_that_takes_over_expects_what_was_left_out_before() -> None:
    store = FakeStore()
    await session(range(6), store=store)
    key = TrackKey(header(0).session, "customer")
    for kept in (store.scores, store.explanations, store.contributions):
        del kept[key][2:]
    fresh = FakeWorker(FakeScorer(), store, Settings(windows=WindowSettings(partial_every_ms=0)), MediaEncoder)
    for seq in range(6, SECONDS):
        await fresh.feed(*(aged(fresh, seq, modality, 0) for modality in (TEXT, AUDIO)))
    await fresh.feed(fresh.event(END))
    await fresh.advance(20_000)
    assert all(VIDEO in final.modalities_expected for final in store.scores[key][2:])
    assert store.scores[key][2:]
