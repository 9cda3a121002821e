from __future__ import annotations

import pytest

from stream.domain.features import Word
from stream.domain.identity import SessionKey
from stream.domain.kafka_records import chunk_headers, decode_text, parse_chunk
from stream.domain.modality import Modality
from stream.media.errors import TranscriptError
from stream.media.media_info import AudioSource
from stream.media.source import SourcePiece
from stream.produce.session import PlannedChunk, PlannedHeartbeat, SentCounts, SessionPlan, TrackSetup, plan_records

KEY = SessionKey("default", "s1")


def _plan(*tracks: TrackSetup) -> SessionPlan:
    return SessionPlan(KEY, tracks)


def _audio(start_ms: int, duration_ms: int = 1000, channel: int | None = None) -> SourcePiece:
    return SourcePiece(Modality.AUDIO, AudioSource(0, channel), start_ms, duration_ms, b"\0\0")


def _chunks(plan: SessionPlan, pieces: list[SourcePiece]) -> list[PlannedChunk]:
    return [record for record in plan_records(plan, pieces) if isinstance(record, PlannedChunk)]


def test_a_word_goes_into_the_second_in_which_it_ends_and_silent_seconds_are_sent_as_well() -> None:
    words = (Word("a", 100, 1000), Word("b", 900, 1001), Word("c", 3000, 3400))
    plan = _plan(TrackSetup("t", "speaker", audio=AudioSource(0), words=words))
    text = [c for c in _chunks(plan, [_audio(n * 1000) for n in range(5)]) if c.modality is Modality.TEXT]
    assert [(c.seq, c.start_ms, c.duration_ms) for c in text] == [(n, n * 1000, 1000) for n in range(5)]
    assert [[w.text for w in decode_text(c.payload).words] for c in text] == [["a"], ["b"], [], ["c"], []]


def test_a_text_that_ends_a_sentence_is_final() -> None:
    words = (Word("Well.", 0, 400), Word("No", 500, 900), Word("way!", 1000, 1400))
    chunks = _chunks(_plan(TrackSetup("t", "speaker", words=words)), [_audio(0), _audio(1000), _audio(2000)])
    assert [decode_text(c.payload).ends_utterance for c in chunks] == [False, True, False]


def test_records_are_in_order_of_media_time_and_the_last_second_ends_with_the_media() -> None:
    plan = _plan(TrackSetup("t", "speaker", audio=AudioSource(0), video=True, words=()))
    video = [SourcePiece(Modality.VIDEO, None, 20, 980, b"v"), SourcePiece(Modality.VIDEO, None, 1020, 400, b"v")]
    pieces = [_audio(0), video[0], _audio(1000, 300), video[1]]
    chunks = _chunks(plan, pieces)
    assert [c.due_ms for c in chunks] == sorted(c.due_ms for c in chunks)
    assert [(c.start_ms, c.duration_ms) for c in chunks if c.modality is Modality.TEXT] == [(0, 1000), (1000, 420)]


def test_channels_go_to_their_tracks_which_number_their_own_chunks() -> None:
    plan = _plan(TrackSetup("agent", "agent", audio=AudioSource(0, 0)), TrackSetup("customer", "customer", audio=AudioSource(0, 1)))
    chunks = _chunks(plan, [_audio(n * 1000, channel=c) for n in range(3) for c in (0, 1)])
    assert [(c.track.track, c.seq) for c in chunks] == [(name, n) for n in range(3) for name in ("agent", "customer")]


def test_words_without_media_and_words_after_the_media_are_sent() -> None:
    plan = _plan(TrackSetup("t", "speaker", words=(Word("a", 0, 400), Word("b", 2000, 2300))))
    assert [(c.start_ms, c.duration_ms) for c in _chunks(plan, [])] == [(0, 1000), (1000, 1000), (2000, 300)]
    with_media = _plan(TrackSetup("t", "speaker", audio=AudioSource(0), words=(Word("b", 2000, 2300),)))
    assert [c.due_ms for c in _chunks(with_media, [_audio(0)]) if c.modality is Modality.TEXT] == [1000, 2000, 2300]


def test_a_second_without_chunks_becomes_a_heartbeat() -> None:
    plan = _plan(TrackSetup("t", "speaker", video=True))
    video = [SourcePiece(Modality.VIDEO, None, second * 1000, 1000, b"v") for second in (0, 2)]
    assert [type(r) for r in plan_records(plan, video)] == [PlannedChunk, PlannedHeartbeat, PlannedChunk]


def test_a_worker_reads_the_headers_as_they_were_written() -> None:
    plan = _plan(TrackSetup("t", "customer", audio=AudioSource(0)))
    (chunk,) = _chunks(plan, [_audio(0, 500)])
    header = chunk.header(plan, captured_ms=1_700_000_000_500)
    parsed = parse_chunk(str(KEY).encode(), chunk.payload, chunk_headers(header), Modality.AUDIO)
    assert parsed.header == header
    assert (header.role, header.duration_ms, header.seq) == ("customer", 500, 0)


def test_the_start_announces_the_modalities_and_the_end_counts_the_chunks() -> None:
    plan = _plan(
        TrackSetup("t", "speaker", audio=AudioSource(0), words=(Word("a", 0, 1500),)), TrackSetup("mute", "agent", audio=AudioSource(0, 7))
    )
    assert [(t.track, t.modalities) for t in plan.start().tracks] == [
        ("t", (Modality.TEXT, Modality.AUDIO)),
        ("mute", (Modality.AUDIO,)),
    ]
    sent = SentCounts(plan)
    for record in list(plan_records(plan, [_audio(0), _audio(1000, 250)]))[:-1]:
        sent.add(record)
    end = sent.end()
    assert end.media_ms == 1250
    assert [dict(t.chunks) for t in end.tracks] == [{Modality.TEXT: 1, Modality.AUDIO: 2}, {Modality.AUDIO: 0}]


def test_too_many_words_in_a_second_are_refused_without_quoting_them() -> None:
    plan = _plan(TrackSetup("t", "speaker", words=tuple(Word("secret", 0, 500) for _ in range(257))))
    with pytest.raises(TranscriptError) as error:
        list(plan_records(plan, []))
    assert "secret" not in str(error.value)


def test_a_printed_plan_does_not_show_words() -> None:
    plan = _plan(TrackSetup("t", "speaker", words=(Word("secret", 0, 500),)))
    assert "secret" not in repr(plan)
    assert "secret" not in repr(list(plan_records(plan, [])))


def test_a_long_gap_of_the_recording_is_sent_as_rare_heartbeats() -> None:
    plan = _plan(TrackSetup("t", "speaker", audio=AudioSource(0), words=(Word("a", 100, 900), Word("b", 706_100, 706_900))))
    pieces = [*(_audio(n * 1000) for n in range(5)), *(_audio(n * 1000) for n in range(705, 710))]
    records = list(plan_records(plan, pieces))
    beats = [record for record in records if isinstance(record, PlannedHeartbeat)]
    assert [beat.due_ms for beat in beats] == [(second + 1) * 1000 for second in range(5, 705, 60)]
    chunks = [record for record in records if isinstance(record, PlannedChunk)]
    assert [c.start_ms // 1000 for c in chunks if c.modality is Modality.AUDIO] == [*range(5), *range(705, 710)]
    text = [c for c in chunks if c.modality is Modality.TEXT]
    assert [(c.seq, c.start_ms // 1000) for c in text] == list(enumerate([*range(5), *range(705, 710)]))
    assert [c.start_ms for c in text if decode_text(c.payload).words] == [0, 706_000]
    assert [record.due_ms for record in records] == sorted(record.due_ms for record in records)


def test_a_minute_without_media_is_sent_second_by_second() -> None:
    plan = _plan(TrackSetup("t", "speaker", audio=AudioSource(0), words=()))
    records = list(plan_records(plan, [_audio(0), _audio(61_000)]))
    assert [r.due_ms for r in records if isinstance(r, PlannedChunk) and r.modality is Modality.TEXT] == [
        (second + 1) * 1000 for second in range(62)
    ]


def test_words_in_a_long_gap_are_sent_at_their_time() -> None:
    plan = _plan(TrackSetup("t", "speaker", audio=AudioSource(0), words=(Word("hold", 300_200, 300_700),)))
    text = [c for c in _chunks(plan, [_audio(0), _audio(600_000)]) if c.modality is Modality.TEXT]
    assert [(c.start_ms, len(decode_text(c.payload).words)) for c in text] == [(0, 0), (300_000, 1), (600_000, 0)]
