from __future__ import annotations

import math

import numpy as np

from stream.align.outcome import EncodedChunk, Outcome
from stream.align.track import TrackAligner, WindowPolicy
from stream.align.utterance import UtteranceWindower
from stream.domain.features import AudioFeatures, TextFeatures, VideoFeatures, Word
from stream.domain.media_format import FACE_WIDTH, VOICE_WIDTH
from stream.domain.modality import Modality
from tests.fakes.chunks import header
from tests.unit.align.builders import TRACK

TEXT, AUDIO, VIDEO = Modality.TEXT, Modality.AUDIO, Modality.VIDEO
POLICY = WindowPolicy(UtteranceWindower(10_000, 600), allowed_lateness_ms=500, idle_after_ms=1500, partial_every_ms=1000, max_skew_ms=1000)
Spans = tuple[tuple[int, int], ...]


def aligner(*modalities: Modality, final_until_ms: int | None = None) -> TrackAligner[str]:
    return TrackAligner(TRACK, "customer", 0, POLICY, expected=modalities, final_until_ms=final_until_ms, now=0)


def words(seq: int, *spans: tuple[int, int], ends_utterance: bool = False) -> EncodedChunk[str]:
    features = TextFeatures(tuple(Word("word", start, end) for start, end in spans), ends_utterance)
    return EncodedChunk(header(seq, TEXT), features, f"text-{seq}")


def voice(seq: int, *spans: tuple[int, int]) -> EncodedChunk[str]:
    starts = np.arange(seq * 1000, seq * 1000 + 1000, 100)
    voiced = np.array([any(start <= at < end for start, end in spans) for at in starts])
    segments = np.stack([starts, starts + 100], axis=1)
    return EncodedChunk(
        header(seq, AUDIO), AudioFeatures(segments, np.zeros((10, VOICE_WIDTH), np.float32), voiced, voiced), f"audio-{seq}"
    )


def face(seq: int, *, visible: bool = True) -> EncodedChunk[str]:
    starts = np.arange(seq * 1000, seq * 1000 + 1000 * visible, 200)
    frames = VideoFeatures(
        np.stack([starts, starts + 200], axis=1),
        np.zeros((len(starts), FACE_WIDTH), np.float32),
        np.zeros((len(starts), 4), np.float32),
        int(visible),
        5,
    )
    return EncodedChunk(header(seq, VIDEO), frames, f"video-{seq}")


def feed(track: TrackAligner[str], *chunks: EncodedChunk[str]) -> Outcome[str]:
    total: Outcome[str] = Outcome()
    return total.extend([track.on_chunk(chunk, chunk.header.end_ms) for chunk in chunks])


def closed(outcome: Outcome[str]) -> list[tuple[int, int]]:
    return [(c.window.start_ms, c.window.end_ms) for c in outcome.closed]


def test_an_utterance_is_reported_to_be_spoken_once_its_final_text_is_there() -> None:
    track = aligner(TEXT, AUDIO)
    outcome = feed(track, words(0, (100, 900)), voice(0, (100, 900)), words(1, (1000, 1500)), voice(1, (1000, 1500)))
    assert outcome.spoken == (), "it may go on"
    (spoken,) = feed(track, words(2, (2000, 2500), ends_utterance=True)).spoken
    assert (spoken.start_ms, spoken.end_ms, len(spoken.words())) == (0, 2500, 3)
    assert closed(feed(track, voice(2, (2000, 2500)), words(3), voice(3))) == [(0, 2500)]


def test_the_timeline_of_the_documentation() -> None:
    track = aligner(TEXT, AUDIO)
    seconds = {
        0: (words(0), voice(0)),
        1: (words(1, (1200, 1900)), voice(1, (1200, 2000))),
        2: (words(2, (2000, 2300)), voice(2, (2000, 2400))),
        3: (words(3), voice(3)),
        4: (words(4, (4500, 4900)), voice(4, (4500, 5000))),
        5: (words(5, (5000, 5400), ends_utterance=True), voice(5, (5000, 6000))),
        6: (words(6, (5500, 6100)), voice(6, (6000, 6200))),
        7: (words(7), voice(7)),
    }
    found = {second + 1: closed(feed(track, *chunks)) for second, chunks in seconds.items()}
    assert {at: spans for at, spans in found.items() if spans} == {4: [(1200, 2400)], 6: [(4500, 5400)], 8: [(5400, 6200)]}


def test_silence_has_no_window_and_its_chunks_are_released_a_pause_later() -> None:
    track = aligner(AUDIO)
    outcome = feed(track, *(voice(seq) for seq in range(5)))
    assert not outcome.closed
    assert [ack for unused in outcome.unused for ack in unused.acks] == ["audio-0", "audio-1", "audio-2"]
    assert track.held == 2
    assert track._logic.closed_until_ms == 5000 - 500 - 600


def test_speech_without_a_pause_is_cut_at_the_longest_length() -> None:
    track = aligner(AUDIO)
    spans = closed(feed(track, *(voice(seq, (0, 99_000)) for seq in range(25))))
    assert spans == [(0, 10_000), (10_000, 20_000)]


def test_a_listener_has_a_window_until_somebody_speaks() -> None:
    track = aligner(AUDIO, VIDEO)
    chunks = [chunk for seq in range(16) for chunk in (voice(seq, (12_000, 13_500)), face(seq))]
    assert closed(feed(track, *chunks)) == [(0, 10_000), (10_000, 12_000), (12_000, 13_500)]


def test_a_face_just_before_speech_belongs_to_it() -> None:
    track = aligner(AUDIO, VIDEO)
    chunks = [chunk for seq in range(6) for chunk in (voice(seq, (2400, 3300)), face(seq, visible=seq == 2))]
    assert closed(feed(track, *chunks)) == [(2000, 3300)]


def test_a_noise_begins_no_window() -> None:
    track = aligner(AUDIO)
    assert closed(feed(track, *(voice(seq, (1000, 1200), (3000, 3300)) for seq in range(6)))) == [(3000, 3300)]


def test_a_word_begins_a_window_however_short_it_is() -> None:
    track = aligner(TEXT)
    assert closed(feed(track, words(0), words(1, (1500, 1500)), words(2), words(3))) == [(1499, 1500)]


def test_a_final_text_without_words_ends_no_window() -> None:
    track = aligner(TEXT, AUDIO)
    chunks = [c for seq in range(4) for c in (words(seq, ends_utterance=True), voice(seq, (0, 2000)))]
    assert closed(feed(track, *chunks)) == [(0, 2000)]


def test_a_replay_continues_where_the_last_final_window_ended() -> None:
    whole = aligner(AUDIO)
    chunks = [voice(seq, (0, 14_000)) for seq in range(16)]
    assert closed(feed(whole, *chunks)) == [(0, 10_000), (10_000, 14_000)]
    replayed = aligner(AUDIO, final_until_ms=10_000)
    outcome = feed(replayed, *chunks[9:])
    assert closed(outcome) == [(10_000, 14_000)]
    assert [chunk.ack for chunk in outcome.repeated] == ["audio-9"]


def test_a_partial_window_ends_with_the_last_speech() -> None:
    track = aligner(AUDIO)
    outcome = feed(track, *(voice(seq, (400, 3200)) for seq in range(6)))
    partials = [(w.start_ms, w.end_ms, w.media_end_ms, w.revision, w.is_final) for w in outcome.partial]
    assert partials == [(0, 1000, 1000, 1, False), (0, 2000, 2000, 2, False), (0, 3000, 3000, 3, False)]
    (final,) = outcome.closed
    assert (final.window.start_ms, final.window.end_ms, final.window.revision) == (0, 3200, 11)


def test_the_clock_closes_an_utterance_when_all_input_stops() -> None:
    track = aligner(AUDIO)
    feed(track, voice(0, (0, 1000)), voice(1, (1000, 2000)))
    assert closed(track.on_time(3499)) == []
    assert closed(track.on_time(3500)) == [(0, 2000)]


def test_shedding_closes_the_open_utterance() -> None:
    track = aligner(AUDIO)
    feed(track, voice(0, (0, 1000)), voice(1, (1000, 2000)))
    (shed,) = track.shed().closed
    assert (shed.window.start_ms, shed.window.end_ms, shed.window.warnings) == (0, 2000, ("shed",))
    assert track.held == 0


def test_the_end_closes_the_open_utterance_and_releases_silence() -> None:
    track = aligner(AUDIO)
    feed(track, voice(0, (0, 1000)), voice(1))
    outcome = track.end(2000)
    assert closed(outcome) == [(0, 1000)]
    assert [unused.acks for unused in outcome.unused] == [("audio-1",)]
    assert track.held == 0


def test_no_window_ends_before_the_next_end() -> None:
    logic = POLICY.windower.build(None)
    assert logic.next_end_ms(0, -math.inf) == 1
    logic.on_chunk(0, 1000, words(0, (100, 900)).features)
    assert [logic.next_end_ms(0, watermark) for watermark in (800, 1400, math.inf)] == [800, 900, 900]
    logic = POLICY.windower.build(500)
    logic.on_chunk(1000, 2000, voice(1, (1200, 1300)).features)
    assert [logic.next_end_ms(1000, watermark) for watermark in (1100, 1800, 2000, math.inf)] == [1100, 1200, 2000, math.inf]
