"""No records, however hostile, make a worker give up, or change the results of another session."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.config.settings import Settings
from stream.domain.delivery import InboundRecord
from stream.domain.kafka_records import chunk_headers, encode_words
from stream.domain.media_format import MAX_SESSION_MS
from stream.domain.modality import Modality
from stream.domain.session_events import SessionEnd, SessionStart, TrackEnd, TrackPlan
from stream.domain.topics import Topics
from tests.fakes.chunks import header
from tests.fakes.processing_context import FakeWorker

SECONDS = 6
START = SessionStart(0, (TrackPlan("customer", "customer", (Modality.TEXT,)),))
END = SessionEnd(0, SECONDS * 1000, (TrackEnd("customer", {Modality.TEXT: SECONDS}),))
TOPICS = Topics()

EPOCHS = st.sampled_from([0, 1, 2, 7, 2**31 - 1, 2**31])
MEDIA = st.sampled_from([0, 1, 999, 1000, 5000, 40_000, 3_600_000, MAX_SESSION_MS - 1000, MAX_SESSION_MS])
TIMES = st.sampled_from(
    ["1970-01-01T00:00:00Z", "1970-01-01T00:00:05Z", "2026-11-22T10:00:00Z", "2026-11-22T12:00:00Z", "9999-12-31T23:59:59.999Z"]
)
CHUNKS = st.fixed_dictionaries(
    {
        "ce_sequence": st.sampled_from([0, 1, 2, 5, 2**31]),
        "ce_epoch": EPOCHS,
        "ce_mediastart": MEDIA,
        "ce_mediaduration": st.sampled_from([1, 40, 1000]),
        "ce_time": TIMES,
        "ce_track": st.sampled_from(["customer", "agent", "x" * 64]),
        "ce_role": st.sampled_from(["customer", "agent"]),
    }
)
EVENTS = st.one_of(
    st.fixed_dictionaries({"event": st.just("heartbeat"), "epoch": EPOCHS, "media_ms": MEDIA}),
    st.fixed_dictionaries(
        {
            "event": st.just("start"),
            "epoch": EPOCHS,
            "tracks": st.lists(
                st.fixed_dictionaries(
                    {
                        "track": st.sampled_from(["customer", "agent"]),
                        "role": st.just("agent"),
                        "modalities": st.lists(st.sampled_from(["text", "audio", "video"]), max_size=4),
                    }
                ),
                min_size=1,
                max_size=3,
            ),
        }
    ),
    st.fixed_dictionaries(
        {
            "event": st.just("end"),
            "epoch": EPOCHS,
            "media_ms": MEDIA,
            "tracks": st.lists(
                st.fixed_dictionaries(
                    {
                        "track": st.sampled_from(["customer", "agent", "nobody"]),
                        "chunks": st.dictionaries(st.sampled_from(["text", "audio"]), st.sampled_from([0, 1, 3, 2**31])),
                    }
                ),
                max_size=3,
            ),
        }
    ),
)


def hostile_chunk(worker: FakeWorker, fields: dict[str, object]) -> InboundRecord:
    of_chunk = header(0, session="hostile")
    own = [(name, str(fields.get(name, value.decode())).encode()) for name, value in chunk_headers(of_chunk)]
    return worker.record(TOPICS.chunks(Modality.TEXT), b"acme/hostile", encode_words([]), own)


def hostile_event(worker: FakeWorker, event: dict[str, object], time: str | None) -> InboundRecord:
    record = worker.event(START, "hostile")
    changed = {"ce_type": f"io.sentistream.session.{event['event']}".encode(), "ce_time": (time or "").encode()}
    headers = [(name, changed.get(name, value)) for name, value in record.headers if time is not None or name != "ce_time"]
    return replace(record, value=json.dumps(event).encode(), headers=headers)


HOSTILE = st.lists(st.one_of(CHUNKS, st.tuples(EVENTS, st.one_of(st.none(), TIMES))), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(HOSTILE)
def test_hostile_records_end_no_worker_hold_nothing_back_and_touch_no_other_session(
    hostile: list[dict[str, object] | tuple[dict[str, object], str | None]],
) -> None:
    asyncio.run(_run(hostile))


async def _run(hostile: list[dict[str, object] | tuple[dict[str, object], str | None]]) -> None:
    plain = Settings()
    quick = plain.windows.model_copy(update={"expire_after_ms": 5000})
    worker = FakeWorker(settings=plain.model_copy(update={"windows": quick}))
    others = [worker.event(START), *(worker.words(seq) for seq in range(SECONDS)), worker.event(END)]
    bad = [hostile_event(worker, *one) if isinstance(one, tuple) else hostile_chunk(worker, one) for one in hostile]
    for place in range(max(len(others), len(bad))):
        for records in (others, bad):
            if place < len(records):
                await worker.router.on_record(records[place])
    await worker.settle(0)
    finals = worker.store.scores[header(0).track]
    assert [(final.end_ms, final.score) for final in finals] == [(4000, 4.0), (6000, 4.0), (8000, 2.0)]
    for _ in range(60):
        worker.now += 1000
        worker.router.on_time(worker.now)
        await asyncio.sleep(0)
    await worker.settle(0)
    assert worker.failures == []
    assert worker.router.open_epochs == 0
    assert {(record.topic, record.offset) for record in (*others, *bad)} == set(worker.acknowledged)
