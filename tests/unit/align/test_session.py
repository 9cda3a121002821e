from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from stream.align.outcome import EncodedChunk
from stream.align.session import SessionAligner
from stream.domain.modality import Modality
from stream.domain.session_events import SessionEnd, SessionStart, TrackEnd, TrackPlan
from tests.fakes.chunks import header
from tests.unit.align.builders import POLICY, SESSION, TRACK, chunk

AUDIO, VIDEO = Modality.AUDIO, Modality.VIDEO
PLAN = SessionStart(0, (TrackPlan("customer", "customer", (AUDIO,)),))


def unplanned(max_held: int = 1000) -> SessionAligner[str]:
    return SessionAligner(
        SESSION, 0, POLICY, end_grace_ms=3000, expire_after_ms=60_000, max_ahead_ms=60_000, max_back_ms=10_000, max_held=max_held, now=0
    )


def session() -> SessionAligner[str]:
    aligner = unplanned()
    aligner.on_start(PLAN, 0)
    aligner.open_track(TRACK, "customer", None, 0)
    return aligner


def test_an_end_that_arrives_before_the_last_chunk_waits_for_it() -> None:
    aligner = session()
    end = SessionEnd(0, 3000, (TrackEnd("customer", {AUDIO: 3}),))
    for seq in (0, 1):
        aligner.on_chunk(chunk(seq), 1000)
    assert not aligner.on_end(end, 2000).closed
    assert not aligner.ended
    outcome = aligner.on_chunk(chunk(2), 2100)
    assert aligner.ended
    assert [c.window.end_ms for c in outcome.closed] == [4000, 6000]


def test_windows_close_after_the_grace_period_when_a_chunk_is_missing() -> None:
    aligner = session()
    aligner.on_chunk(chunk(0), 1000)
    aligner.on_end(SessionEnd(0, 3000, (TrackEnd("customer", {AUDIO: 3}),)), 2000)
    assert not aligner.on_time(4900).closed
    assert [c.window.end_ms for c in aligner.on_time(5000).closed] == [4000]
    assert aligner.ended


def test_a_chunk_after_the_end_is_late() -> None:
    aligner = session()
    aligner.on_chunk(chunk(0), 1000)
    aligner.on_end(SessionEnd(0, 1000, (TrackEnd("customer", {AUDIO: 1}),)), 1000)
    assert aligner.ended
    assert [late.chunk.ack for late in aligner.on_chunk(chunk(9), 1100).late] == ["audio-9"]


def test_a_replay_of_a_finished_session_ends_without_windows() -> None:
    aligner = session()
    aligner.on_end(SessionEnd(0, 3000, (TrackEnd("customer", {AUDIO: 3}),)), 0)
    assert not aligner.on_time(3000).closed
    assert aligner.ended


def test_a_silent_session_expires() -> None:
    aligner = session()
    aligner.on_chunk(chunk(0), 0)
    aligner.on_time(59_000)
    assert not aligner.ended
    aligner.on_time(70_000)
    assert aligner.ended


def test_windows_do_not_wait_for_modalities_that_are_not_in_the_plan() -> None:
    aligner = unplanned()
    aligner.open_track(TRACK, "customer", None, 0)
    for seq in range(5):
        assert not aligner.on_chunk(chunk(seq), 1000).closed
    aligner.on_start(PLAN, 1000)
    assert [c.window.end_ms for c in aligner.on_chunk(chunk(5), 1000).closed] == [4000]


def test_a_chunk_of_a_new_track_after_the_end_is_late() -> None:
    aligner = session()
    aligner.finish()
    other = header(0, AUDIO, track="agent")
    aligner.open_track(other.track, "agent", None, 0)
    assert len(aligner.on_chunk(EncodedChunk(other, None, "ack"), 0).late) == 1


def test_a_replay_that_holds_only_repeats_completes_the_end() -> None:
    aligner = unplanned()
    aligner.open_track(TRACK, "customer", 6000, 0)
    aligner.on_end(SessionEnd(0, 3000, (TrackEnd("customer", {AUDIO: 3}),)), 0)
    assert not aligner.ended
    for seq in range(3):
        aligner.on_chunk(chunk(seq), 0)
    assert aligner.ended


def test_the_end_waits_for_a_first_chunk_that_arrives_last() -> None:
    aligner = session()
    aligner.on_chunk(chunk(1), 0)
    aligner.on_end(SessionEnd(0, 2000, (TrackEnd("customer", {AUDIO: 2}),)), 0)
    assert not aligner.ended
    aligner.on_chunk(chunk(0), 0)
    assert aligner.ended


def test_a_media_time_from_the_future_is_rejected_and_closes_nothing() -> None:
    aligner = session()
    aligner.on_chunk(chunk(0), 0)
    ahead = EncodedChunk(replace(header(1, AUDIO), start_ms=1000 + 60_001), None, "ack")
    assert aligner.on_chunk(ahead, 0).future == (ahead,)
    assert not aligner.on_chunk(chunk(1), 0).late


def test_a_recording_that_is_sent_all_at_once_is_not_from_the_future() -> None:
    aligner = session()
    assert not any(aligner.on_chunk(chunk(seq), 0).future for seq in range(200))


def test_a_session_that_holds_too_much_closes_its_oldest_window() -> None:
    aligner = unplanned(max_held=3)
    aligner.open_track(TRACK, "customer", None, 0)
    closed = [c for seq in range(4) for c in aligner.on_chunk(chunk(seq), 0).closed]
    assert [(c.window.end_ms, c.window.warnings) for c in closed] == [(4000, ("shed",))]
    assert aligner.held == 2
    assert aligner.shed_windows == 1


def captured(about: EncodedChunk[str], *, later_ms: int) -> EncodedChunk[str]:
    return structs.replace(about, header=replace(about.header, captured_ms=about.header.captured_ms + later_ms))


def test_a_media_clock_that_starts_again_is_neither_a_repeat_nor_late() -> None:
    aligner = session()
    for seq in range(20):
        assert aligner.admits(chunk(seq).header)
        aligner.on_chunk(chunk(seq), seq * 1000)
    restarted = captured(chunk(0), later_ms=60_000)
    assert not aligner.admits(restarted.header)
    assert not aligner.on_chunk(chunk(20), 80_000).repeated


def test_a_late_chunk_is_not_a_restart() -> None:
    aligner = session()
    for seq in range(1, 20):
        assert aligner.admits(chunk(seq).header)
        aligner.on_chunk(chunk(seq), seq * 1000)
    assert aligner.admits(chunk(0).header)
    assert len(aligner.on_chunk(chunk(0), 80_000).late) == 1


def test_a_call_on_hold_is_not_a_restart() -> None:
    aligner = session()
    for seq in range(20):
        assert aligner.admits(chunk(seq).header)
    for seq in range(20, 40):
        assert aligner.admits(captured(chunk(seq), later_ms=600_000).header)
    assert aligner.admits(chunk(60, start_ms=5500).header)


def test_a_worker_that_takes_over_continues_the_media_clock() -> None:
    aligner = unplanned()
    aligner.open_track(TRACK, "customer", 20_000, 0, final_at_ms=1_020_000)
    restarted = captured(chunk(0), later_ms=100_000)
    assert not aligner.admits(restarted.header)
    assert not aligner.on_chunk(chunk(19), 0).future
    assert len(aligner.on_chunk(chunk(5), 0).repeated) == 1


def test_media_that_is_sent_faster_than_real_time_may_be_read_out_of_order() -> None:
    """A recording sent at three times its speed: the first video of a backlog is read after its audio, and was captured earlier."""
    aligner = session()
    chunks = [
        EncodedChunk(replace(header(seq, m), captured_ms=1_000_000 + seq * 333), None, f"{m}-{seq}")
        for m in (AUDIO, VIDEO)
        for seq in range(25)
    ]
    for encoded in chunks:
        assert aligner.admits(encoded.header)
        aligner.on_chunk(encoded, 0)
