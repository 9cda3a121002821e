"""What the check says about sessions with one thing wrong, and about a session with nothing wrong."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from stream.domain.chunk import ContentType
from stream.domain.features import Word
from stream.domain.kafka_records import encode_words
from stream.domain.modality import Modality
from stream.domain.session_events import SessionConsent, SessionEnd, SessionStart, TrackEnd, TrackPlan
from stream.produce.check.finding import Severity
from stream.produce.check.record import LogFacts, SentRecord, TopicFacts
from tests.support.sent_records import (
    BEGAN_MS,
    END,
    FACTS,
    PARTITIONS,
    SECONDS,
    SESSION,
    START,
    TOPICS,
    check,
    chunks,
    event_record,
    good_session,
    problems,
    tone,
    with_chunks,
    with_headers,
)

TEXT, AUDIO = Modality.TEXT, Modality.AUDIO


def test_nothing_is_wrong_with_a_good_session() -> None:
    report = check(good_session())
    assert problems(report) == {}
    assert [finding.severity for finding in report.findings] == [Severity.OK] * 7
    assert [(s.track, s.modality, s.chunks, s.start_ms, s.end_ms, s.chunk_ms) for s in report.streams] == [
        ("customer", TEXT, SECONDS, 0, SECONDS * 1000, 1000),
        ("customer", AUDIO, SECONDS, 0, SECONDS * 1000, 1000),
    ]
    assert report.records == 2 * SECONDS + 2


def test_no_finding_quotes_what_was_said() -> None:
    records = [replace(record, value=(record.value or b"")[:-5]) for record in good_session()]
    assert "secretword" not in repr(check(records))


def test_records_of_other_sessions_are_left_out_and_named() -> None:
    other = [
        replace(with_headers(record, ce_subject=b"call-2"), key=b"default/call-2", timestamp_ms=record.timestamp_ms + 1000)
        for record in good_session()
    ]
    report = check([*other, *good_session()])
    assert (report.records, report.recent, problems(report)) == (2 * SECONDS + 2, ("default/call-2",), {})
    only_others = check(other)
    assert (only_others.records, only_others.findings, only_others.recent) == (0, (), ("default/call-2",))


def _moved(partition: Callable[[bytes], int]) -> list[SentRecord]:
    return [replace(record, at=replace(record.at, partition=partition(record.key or b""))) for record in good_session()]


def test_the_default_partitioner_of_librdkafka_is_named_with_its_setting() -> None:
    found = problems(check(_moved(lambda key: zlib.crc32(key) % PARTITIONS)))
    assert list(found) == ["wrong_partition"]
    assert found["wrong_partition"].severity is Severity.ERROR
    assert found["wrong_partition"].count == 2 * SECONDS + 2
    assert "librdkafka with its default partitioner" in found["wrong_partition"].text
    assert "partitioner=murmur2_random" in found["wrong_partition"].fix


def test_other_sessions_tell_two_partitioners_apart_that_agree_on_one_key() -> None:
    records = _moved(lambda key: zlib.crc32(key) % PARTITIONS)
    others = [
        replace(records[0], key=key, headers=[], at=replace(records[0].at, partition=zlib.crc32(key) % PARTITIONS))
        for key in (b"default/other-%d" % number for number in range(20))
    ]
    text = problems(check([*records, *others]))["wrong_partition"].text
    assert "librdkafka with its default" in text
    assert "or by" not in text


def test_a_key_in_several_partitions_is_not_partitioned_by_key() -> None:
    numbers = iter(range(1000))
    found = problems(check(_moved(lambda _key: next(numbers) % PARTITIONS)))
    assert "the partitioner does not follow the key alone" in found["wrong_partition"].text


def _headers_renamed(rename: Callable[[str], str]) -> list[SentRecord]:
    return [replace(record, headers=[(rename(name), value) for name, value in record.headers]) for record in good_session()]


@pytest.mark.parametrize(
    ("records", "code", "words"),
    [
        (_headers_renamed(lambda name: name.replace("ce_", "ce-")), "misspelt_header", "begin with ce_"),
        (_headers_renamed(lambda name: name.replace("ce_mediastart", "ce_media_start")), "misspelt_header", "ce_media_start instead"),
        (_headers_renamed(lambda name: name.replace("ce_sequence", "ce_sequnce")), "misspelt_header", "ce_sequnce instead of ce_sequence"),
        (_headers_renamed(lambda name: name.replace("ce_track", "x")), "missing_header", "ce_track"),
        ([with_headers(record, ce_role=b'"customer"') for record in good_session()], "quoted_header", "JSON serialiser"),
        ([with_headers(record, ce_sequence=b"\0\0\0\7") for record in good_session()], "binary_header", "decimal digits"),
        ([replace(record, key=b'"default/call-1"') for record in good_session()], "quoted_key", "in quotes"),
        ([replace(record, key=b"\0\0\0\0\1default/call-1") for record in good_session()], "schema_registry_key", "StringSerializer"),
        ([replace(record, key=b"call-1") for record in good_session()], "key_without_tenant", "tenant"),
        ([replace(record, key=None) for record in good_session()], "no_key", "any partition"),
        ([replace(record, value=None) for record in good_session()], "empty", "tombstone"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_what_a_worker_cannot_read_is_explained(records: list[SentRecord], code: str, words: str) -> None:
    found = problems(check(records))[code]
    assert found.severity is Severity.ERROR
    assert words in f"{found.text} {found.fix}"


def test_an_event_in_structured_mode_is_recognised() -> None:
    value = json.dumps({"specversion": "1.0", "subject": SESSION.session, "data_base64": "AAAA"}).encode()
    content_type = [("content-type", b"application/cloudevents+json")]
    records = [replace(record, key=key, value=value, headers=content_type) for record in good_session() for key in (None, b"call-1")]
    assert set(problems(check(records))) == {"structured_mode"}


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (lambda header, payload: ",".join(map(str, payload)).encode(), "numbers_as_text"),
        (lambda header, payload: payload.decode().encode("utf-16"), "utf_16"),
        (lambda header, payload: b"\0\0\0\0\1" + payload, "schema_registry"),
        (lambda header, payload: json.dumps(payload.decode()).encode(), "quoted_json"),
        (lambda header, payload: json.dumps({"type": "Buffer", "data": [*payload]}).encode(), "node_buffer"),
        (lambda header, payload: base64.b64encode(payload), "base64"),
        (lambda header, payload: encode_words([Word("a", 200, 600)]), "relative_times"),
        (
            lambda header, payload: b'{"words":[{"text":"a","start_ms":%d.2,"end_ms":%d.6}]}' % ((header.start_ms // 1000,) * 2),
            "word_times_in_seconds",
        ),
        (lambda header, payload: encode_words([Word("a", header.start_ms + 900, header.end_ms + 1400)]), "words_outside"),
        (lambda header, payload: encode_words([Word("a", 0, header.end_ms + 90_000)]), "bad_words"),
        (lambda header, payload: encode_words([]), "no_words"),
    ],
)
def test_words_that_are_wrapped_or_have_other_times(payload: Callable[..., bytes], code: str) -> None:
    records = with_chunks(TEXT, chunks(TEXT, lambda header, words: (header, payload(header, words))))
    assert set(problems(check(records))) == {code}


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (np.frombuffer(tone(), "<i2").astype(">i2").tobytes(), "byte_order"),
        (bytes(32_000), "silence"),
        (tone()[:-1], "odd_bytes"),
        (tone() + tone(), "too_long"),
        (tone()[:16_000], "short_payload"),
        (b"RIFF" + tone(), "wav_header"),
        (base64.b64encode(tone()), "base64"),
        (b"OggS" + tone(), "wrong_type"),
        (b"\0\0\0\0\7\x80\xf4\x03" + tone(), "schema_registry"),
    ],
)
def test_sound_that_is_not_what_its_headers_say(payload: bytes, code: str) -> None:
    records = with_chunks(AUDIO, chunks(AUDIO, lambda header, _: (header, payload)))
    assert set(problems(check(records))) == {code}


def test_pictures_with_the_content_type_of_others() -> None:
    def picture(header: object, _payload: bytes) -> object:
        return replace(header, content_type=ContentType.OGG_OPUS), b"\0\0\0\x18ftypisom" + bytes(50)  # type: ignore[type-var]

    found = problems(check(with_chunks(AUDIO, chunks(AUDIO, picture))))  # type: ignore[arg-type]
    assert set(found) == {"wrong_type"}
    assert "audio/mp4 or video/mp4" in found["wrong_type"].text


def _changed(**values: Callable[[int], int]) -> list[SentRecord]:
    """The good session with other numbers or times of the sound."""

    def change(header: object, payload: bytes) -> object:
        return replace(header, **{name: of(header.seq) for name, of in values.items()}), payload  # type: ignore[type-var, attr-defined]

    return with_chunks(AUDIO, chunks(AUDIO, change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("records", "codes"),
    [
        (_changed(seq=lambda n: n + 1), set()),
        (_changed(seq=lambda n: n * 1000), set()),
        (_changed(seq=lambda n: n if n < 4 else n + 2), {"sequence_gap"}),
        (_changed(seq=lambda n: n // 2), {"conflict", "media_gap", "end_counts_too_many"}),
        (_changed(start_ms=lambda n: n, duration_ms=lambda _: 1), {"media_time_in_seconds", "short_chunks", "too_long", "stops_early"}),
        (_changed(start_ms=lambda n: n * 1500), {"media_gap", "clock_drift", "end_too_early", "stops_early"}),
        (_changed(start_ms=lambda n: n * 900), {"media_overlap", "clock_drift"}),
        (_changed(captured_ms=lambda _: BEGAN_MS), {"capture_constant"}),
        (_changed(captured_ms=lambda n: BEGAN_MS + 1000 * n + (n % 2) * 400), {"capture_jitter"}),
    ],
)
def test_numbers_and_clocks(records: list[SentRecord], codes: set[str]) -> None:
    assert set(problems(check(records))) == codes


def test_seconds_that_were_taken_for_milliseconds() -> None:
    records = [with_headers(record, ce_time=b"1970-01-21T18:36:%02dZ" % record.at.offset) for record in good_session()]
    assert set(problems(check(records))) == {"capture_unit"}


def test_local_time_with_the_offset_of_another_zone_is_named() -> None:
    records = [
        with_headers(record, ce_time=datetime.fromtimestamp(record.timestamp_ms / 1000 + 7200, UTC).isoformat().encode())
        for record in good_session()
    ]
    found = problems(check(records))
    assert set(found) == {"time_zone"}
    assert "2 h ahead of" in found["time_zone"].text


def test_repeated_and_disordered_chunks() -> None:
    sound = chunks(AUDIO)
    assert set(problems(check(with_chunks(AUDIO, [*sound[:3], sound[2], *sound[3:]])))) == {"repeated"}
    found = problems(check(with_chunks(AUDIO, [sound[1], sound[0], *sound[2:]])))
    assert (set(found), found["out_of_order"].severity) == ({"out_of_order"}, Severity.ERROR)


def test_a_media_clock_that_starts_again_is_a_run_of_its_own() -> None:
    first = chunks(AUDIO, seconds=20)
    again = chunks(
        AUDIO, lambda header, payload: (replace(header, captured_ms=header.captured_ms + 30_000, id=f"again-{header.seq}"), payload)
    )
    end = event_record(SessionEnd(0, 8000, (TrackEnd("customer", {TEXT: 8, AUDIO: 8}),)), BEGAN_MS + 40_000, 3)
    report = check([event_record(START, BEGAN_MS, 0), *first, *again, *chunks(TEXT), end])
    assert set(problems(report)) == {"clock_restarted"}
    assert [s.chunks for s in report.streams if s.modality is AUDIO] == [20, 8]


def test_two_producers_of_one_modality() -> None:
    records = [
        with_headers(record, ce_source=b"other") if record.at.topic.endswith("audio") and record.at.offset % 2 else record
        for record in good_session()
    ]
    assert set(problems(check(records))) == {"several_sources"}


def test_pace_and_bursts() -> None:
    slow = [replace(record, timestamp_ms=BEGAN_MS + 2 * (record.timestamp_ms - BEGAN_MS)) for record in good_session()]
    assert set(problems(check(slow))) == {"slower_than_real_time"}
    bursts = [
        replace(record, timestamp_ms=BEGAN_MS + 4000 * (1 + record.at.offset // 4) + 1000) if "chunks" in record.at.topic else record
        for record in good_session()
    ]
    found = problems(check(bursts))
    assert set(found) <= {"bursts", "late_start"}


def test_events_are_compared_with_what_was_sent() -> None:
    start, *sent, end = good_session()
    assert set(problems(check([*sent, end]))) == {"no_start"}
    assert set(problems(check([start, *sent]))) == {"no_end"}
    assert problems(check([start, *sent], replace(FACTS, read_ms=BEGAN_MS + SECONDS * 1000))) == {}
    plan = SessionStart(0, (TrackPlan("customer", "customer", (TEXT, Modality.VIDEO)),))
    found = problems(check([event_record(plan, BEGAN_MS, 0), *sent, end]))
    assert set(found) == {"announced_not_sent", "sent_not_announced"}
    assert found["announced_not_sent"].text == "video of customer was announced, but never sent"
    early = SessionEnd(0, END.media_ms, (TrackEnd("customer", {TEXT: SECONDS, AUDIO: SECONDS - 2}),))
    assert set(problems(check([start, *sent, event_record(early, BEGAN_MS, 1)]))) == {"end_counts_too_few"}
    assert set(problems(check([start, *sent, event_record(SessionEnd(0, 8000), BEGAN_MS, 1)]))) == {"end_without_counts"}
    assert set(problems(check([start, start, *sent, end]))) == {"several_starts"}


def test_consents_that_say_nothing_or_two_things() -> None:
    def codes(*consents: SessionConsent) -> set[str]:
        records = good_session()
        events = [event_record(consent, BEGAN_MS + 2000 * at, 100 + at) for at, consent in enumerate(consents, 1)]
        return set(problems(check([records[0], *events, *records[1:]])))

    assert codes(SessionConsent(0, 2000, consent=False), SessionConsent(0, 3000, consent=True, track="customer")) == set()
    assert codes(SessionConsent(0, 2000, consent=False, track="costumer")) == {"consent_of_no_track"}
    assert codes(SessionConsent(0, 2000, consent=False), SessionConsent(0, 2000, consent=True)) == {"consents_contradict"}


def test_a_session_of_which_the_beginning_was_not_read_is_not_blamed_for_it() -> None:
    rest = [record for record in good_session() if record.at.offset > 2 or record.value == good_session()[-1].value]
    partial = replace(FACTS, covered_from_ms=BEGAN_MS + 2000)
    found = problems(check(rest, partial))
    assert "no_start" not in found
    assert "sequence_gap" not in found
    assert "older records were not read" in check(rest, partial).findings[-1].text


def test_what_is_missing_because_it_cannot_be_read_is_not_blamed_twice() -> None:
    records = [with_headers(record, ce_sequence=b"seven") if "audio" in record.at.topic else record for record in good_session()]
    assert set(problems(check(records))) == {"bad_header"}


def test_timestamps_of_clients_that_send_none() -> None:
    topics = [replace(topic, retention_ms=604_800_000) for topic in FACTS.topics]
    records = [replace(record, timestamp_ms=0) for record in good_session()]
    assert set(problems(check(records, replace(FACTS, topics=topics)))) == {"kafka_timestamp"}
    assert set(problems(check(good_session(), replace(FACTS, unreadable=2)))) == {"unreadable"}


def test_records_that_are_about_to_be_deleted() -> None:
    topics = [replace(topic, retention_ms=7 * 86_400_000) for topic in FACTS.topics]
    old = replace(FACTS, topics=topics, read_ms=BEGAN_MS + int(6.8 * 86_400_000))
    found = [finding for finding in check(good_session(), old).findings if finding.code == "retention"]
    assert len(found) == len(TOPICS.inputs)
    assert found[0].text.endswith("keeps records for 7 days; the first of this session are 7 days old")


def test_topics_transactions_and_dead_letters() -> None:
    topics = [replace(topic, retention_ms=60_000, compacted=True, max_record_bytes=500_000) for topic in FACTS.topics]
    log = replace(FACTS, topics=topics, aborted=3, waiting_partitions=["partition 1 of chunks.audio"], refused={"wrong_partition": 5})
    found = problems(check(good_session(), log))
    assert set(found) == {"compacted", "retention", "max_message_bytes", "aborted", "open_transaction", "refused"}
    assert (found["aborted"].count, found["refused"].count) == (3, 5)
    uneven = LogFacts([TopicFacts(topic, 6 if "audio" in topic else 4) for topic in TOPICS.inputs], FACTS.read_ms, {})
    assert "partition_counts" in problems(check(good_session(), uneven))
