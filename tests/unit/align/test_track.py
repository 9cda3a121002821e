from __future__ import annotations

import random
from collections.abc import Iterable

from msgspec import structs

from stream.align.outcome import ClosedWindow, Outcome
from stream.align.track import TrackAligner
from stream.domain.modality import Modality
from tests.fakes.chunks import header
from tests.unit.align.builders import POLICY, TRACK, chunk

AUDIO, TEXT, VIDEO = Modality.AUDIO, Modality.TEXT, Modality.VIDEO


def aligner(expected: Iterable[Modality] | None = (AUDIO,), final_until_ms: int | None = None) -> TrackAligner[str]:
    return TrackAligner(TRACK, "customer", 0, POLICY, expected=expected, final_until_ms=final_until_ms, now=0)


def ends(outcome: Outcome[str]) -> list[int]:
    return [closed.window.end_ms for closed in outcome.closed]


def feed(track: TrackAligner[str], seqs: Iterable[int], modality: Modality = AUDIO) -> Outcome[str]:
    total: Outcome[str] = Outcome()
    return total.extend([track.on_chunk(chunk(seq, modality), now=seq * 1000 + 1000) for seq in seqs])


def test_a_window_closes_once_the_watermark_reaches_its_end() -> None:
    track = aligner()
    assert ends(feed(track, range(4))) == []
    assert ends(feed(track, [4])) == [4000]


def test_a_chunk_is_released_with_its_last_window() -> None:
    track = aligner()
    outcome = feed(track, range(7))
    assert [set(c.acks) for c in outcome.closed] == [{"audio-0", "audio-1"}, {"audio-2", "audio-3"}]


def test_a_window_does_not_wait_for_the_content_of_a_chunk_after_it() -> None:
    track = aligner((AUDIO, VIDEO))
    feed(track, range(5))
    assert ends(feed(track, range(3), VIDEO)) == []
    assert ends(track.on_begun(header(3, VIDEO))) == [], "this one is in the window"
    assert ends(feed(track, [3], VIDEO)) == []
    assert ends(track.on_begun(header(4, VIDEO))) == [4000]
    assert ends(feed(track, [4, 5])) == []
    assert track.held == 6
    assert ends(feed(track, [4], VIDEO)) == []
    assert ends(track.on_begun(header(6, VIDEO))) == [], "the sound has not come so far"
    assert ends(track.on_begun(header(6, AUDIO))) == [6000]


def test_nothing_is_promised_by_words_nor_by_chunks_out_of_order() -> None:
    track = aligner((AUDIO, TEXT))
    feed(track, range(5))
    feed(track, range(4), TEXT)
    assert ends(track.on_begun(header(4, TEXT))) == []
    assert ends(feed(track, [4], TEXT)) == [4000]
    alone = aligner()
    feed(alone, range(4))
    for seq, start_ms in ((2, 2000), (9, 3500), (2, 4000)):
        assert ends(alone.on_begun(header(seq, AUDIO, start_ms=start_ms))) == []


def test_windows_are_the_same_whether_chunks_were_announced_or_not() -> None:
    for seed in range(20):
        chance, tracks = random.Random(seed), [aligner((AUDIO, VIDEO, TEXT)) for _ in range(2)]
        waiting = {modality: list(range(14)) for modality in (AUDIO, VIDEO, TEXT)}
        found: list[list[ClosedWindow[str]]] = [[], []]
        while any(waiting.values()):
            modality = chance.choice([modality for modality, seqs in waiting.items() if seqs])
            seq = waiting[modality].pop(0 if chance.random() < 0.9 else min(1, len(waiting[modality]) - 1))
            found[0] += tracks[0].on_begun(header(seq, modality)).closed
            for own, track in zip(found, tracks, strict=True):
                own.extend(feed(track, [seq], modality).closed)
        for own, track in zip(found, tracks, strict=True):
            own.extend(track.end(14_000).closed)
        assert [closed.window for closed in found[0]] == [closed.window for closed in found[1]]
        assert [closed.released for closed in found[0]] == [closed.released for closed in found[1]]


def test_the_slower_modality_holds_the_window_open() -> None:
    track = aligner((AUDIO, VIDEO))
    assert ends(feed(track, range(8))) == []
    assert ends(feed(track, range(5), VIDEO)) == [4000]


def test_the_watermark_lags_behind_the_slower_modality_and_not_behind_a_quiet_one() -> None:
    track = aligner((AUDIO, VIDEO))
    assert track.watermark_lag_ms(0) == 0
    feed(track, range(5), VIDEO)
    feed(track, range(8))
    assert track.watermark_lag_ms(8000) == POLICY.allowed_lateness_ms, "the picture is quiet"
    feed(track, [5], VIDEO)
    assert track.watermark_lag_ms(6000) == 2000 + POLICY.allowed_lateness_ms
    assert track.watermark_lag_ms(60_000) == 0, "all are quiet"


def test_an_idle_modality_no_longer_holds_windows() -> None:
    track = aligner((AUDIO, VIDEO))
    feed(track, range(6))
    assert ends(track.on_time(1400)) == []
    assert ends(track.on_time(6000)) == [4000]


def test_the_clock_closes_windows_when_all_input_stops() -> None:
    track = aligner()
    feed(track, range(3))
    assert ends(track.on_time(4400)) == []
    assert ends(track.on_time(4600)) == [4000]


def test_the_end_closes_everything_and_sets_where_the_media_ended() -> None:
    track = aligner()
    feed(track, range(5))
    outcome = track.end(4700)
    assert [(c.window.end_ms, c.window.media_end_ms) for c in outcome.closed] == [(6000, 4700), (8000, 4700)]
    assert outcome.closed[0].window.media_end_at_ms == 1_000_000 + 4700


def test_the_order_of_arrival_does_not_change_windows() -> None:
    orders = ([0, 1, 2, 3, 4, 5], [1, 0, 3, 2, 5, 4])
    contents = []
    for order in orders:
        track = aligner()
        closed = feed(track, order).closed + track.end(6000).closed
        contents.append([(c.window.end_ms, c.window.text) for c in closed])
    assert contents[0] == contents[1]


def test_a_repeated_chunk_changes_nothing() -> None:
    track = aligner()
    feed(track, range(3))
    again = track.on_chunk(chunk(1), now=3000)
    assert [c.ack for c in again.repeated] == ["audio-1"]
    assert track.held == 3


def test_a_chunk_that_arrives_after_its_windows_closed_is_late() -> None:
    track = aligner()
    feed(track, [0, 2, 3, 4, 5, 6])
    outcome = track.on_chunk(chunk(1), now=8000)
    assert [(late.chunk.ack, late.late_by_ms) for late in outcome.late] == [("audio-1", 2000)]


def test_a_replay_continues_after_the_last_final_window() -> None:
    track = aligner(final_until_ms=4000)
    outcome = feed(track, range(1, 7))
    assert [c.ack for c in outcome.repeated] == ["audio-1"]
    assert ends(outcome) == [6000]


def test_windows_without_any_chunk_are_skipped() -> None:
    track = aligner()
    feed(track, [0])
    late = track.on_chunk(chunk(1, start_ms=60_000), now=61_000)
    assert ends(late) == [4000]
    assert ends(track.end(61_000)) == [62_000, 64_000]


def test_partial_windows_have_rising_revisions_below_the_final_revision() -> None:
    track = aligner()
    outcome = feed(track, range(5))
    revisions = [(w.end_ms, w.revision, w.is_final) for w in outcome.partial]
    assert revisions == [(4000, 1, False), (4000, 2, False), (4000, 3, False), (6000, 3, False)]
    assert outcome.closed[0].window.revision == POLICY.final_revision > 3


def test_a_window_whose_words_are_all_there_is_reported_once_before_it_closes() -> None:
    track = aligner((AUDIO, TEXT))
    feed(track, range(3))
    assert feed(track, range(3), TEXT).spoken == ()
    (spoken,) = feed(track, [3], TEXT).spoken
    assert (spoken.start_ms, spoken.end_ms, spoken.is_final, spoken.words()[-1].end_ms) == (0, 4000, False, 4000)
    assert feed(track, [4], TEXT).spoken == (), "once is enough"
    assert ends(feed(track, [3, 4])) == [4000]
    assert [window.end_ms for window in feed(track, [5], TEXT).spoken] == [6000]


def test_shedding_closes_the_oldest_window_with_a_warning() -> None:
    track = aligner((AUDIO, VIDEO))
    feed(track, range(6))
    (closed,) = track.shed().closed
    assert closed.window.end_ms == 4000
    assert closed.window.warnings == ("shed",)


def test_another_chunk_with_the_same_number_is_a_conflict_while_the_first_is_held_and_after() -> None:
    track = aligner()
    feed(track, range(6))
    for seq in (0, 5):
        other = structs.replace(chunk(seq), digest=b"other")
        assert track.on_chunk(other, now=6000).conflicts == (other,)
        assert len(track.on_chunk(chunk(seq), now=6000).repeated) == 1


def test_an_end_that_contradicts_the_chunks_is_ignored() -> None:
    track = aligner()
    feed(track, range(6))
    assert [c.window.media_end_ms for c in track.end(1000).closed] == [6000, 6000]


def test_a_chunk_after_the_end_gives_no_partial_window() -> None:
    track = aligner()
    feed(track, range(3))
    track.end(3000)
    assert not track.on_chunk(chunk(4), now=9000).partial


def expected_in(outcome: Outcome[str]) -> list[tuple[Modality, ...]]:
    return [closed.window.modalities_expected for closed in outcome.closed]


def test_the_planned_modalities_are_expected() -> None:
    track = aligner((VIDEO, AUDIO))
    feed(track, range(4))
    assert expected_in(track.end(4000)) == [(AUDIO, VIDEO), (AUDIO, VIDEO)]


def test_without_a_plan_a_modality_is_expected_from_its_first_chunk_on() -> None:
    track = aligner(None)
    feed(track, range(12))
    feed(track, (4, 5), VIDEO)
    closed = track.end(12_000)
    assert [w.window.end_ms for w in closed.closed] == [4000, 6000, 8000, 10_000, 12_000, 14_000]
    assert expected_in(closed) == [(AUDIO,), (AUDIO, VIDEO), (AUDIO, VIDEO), (AUDIO, VIDEO), (AUDIO, VIDEO), (AUDIO, VIDEO)]


def test_a_replay_expects_what_was_expected_at_the_last_final_window() -> None:
    whole = aligner(None)
    feed(whole, range(8))
    feed(whole, [0], VIDEO)
    expected = expected_in(whole.end(8000))
    assert expected == [(AUDIO, VIDEO)] * 4
    again = TrackAligner[str](TRACK, "customer", 0, POLICY, expected=None, final_until_ms=4000, now=0, expected_before=expected[0])
    feed(again, range(2, 8))
    assert expected_in(again.end(8000)) == expected[1:]


def test_a_chunk_that_could_not_be_decoded_makes_no_modality_expected() -> None:
    track = aligner(None)
    feed(track, range(4))
    track.on_chunk(structs.replace(chunk(0, VIDEO), features=None, ack=None), now=4000)
    assert expected_in(track.end(4000)) == [(AUDIO,), (AUDIO,)]


def test_an_open_window_says_what_is_expected() -> None:
    track = aligner(None)
    (first,) = feed(track, [0]).partial
    feed(track, [0, 1], TEXT)
    (second,) = feed(track, [1]).partial
    assert (first.modalities_expected, second.modalities_expected) == ((AUDIO,), (TEXT, AUDIO))
