"""Words whose times are outside their chunk: they are in the windows in which they end, if these are open, and otherwise they are late."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.align.outcome import ClosedWindow, EncodedChunk, Outcome
from stream.align.track import TrackAligner, WindowPolicy
from stream.align.utterance import UtteranceWindower
from stream.domain.features import AudioFeatures, TextFeatures, Word
from stream.domain.media_format import VOICE_WIDTH
from stream.domain.modality import Modality
from stream.domain.window import Window
from tests.fakes.chunks import header
from tests.unit.align.builders import POLICY, TRACK

LENGTH_MS, HOP_MS = 4000, 2000


def text(seq: int, *ends_ms: int) -> EncodedChunk[str]:
    """Text chunk of second ``seq`` with words of up to 200 ms that end there; each is named after its chunk and its end."""
    words = tuple(Word(f"{seq}@{end}", max(0, end - 200), end) for end in ends_ms)
    return EncodedChunk(header(seq), TextFeatures(words), f"text-{seq}")


def track(policy: WindowPolicy = POLICY, final_until_ms: int | None = None) -> TrackAligner[str]:
    return TrackAligner(TRACK, "customer", 0, policy, expected=[Modality.TEXT], final_until_ms=final_until_ms, now=0)


def contents(closed: tuple[ClosedWindow[str], ...]) -> list[tuple[int, list[str]]]:
    return [(one.window.end_ms, [word.text for word in one.window.words()]) for one in closed]


def acks(outcome: Outcome[str]) -> list[str]:
    closed = [ack for one in outcome.closed for ack in one.acks]
    return closed + [ack for one in outcome.unused for ack in one.acks]


def test_a_late_final_of_five_seconds_is_in_every_window_that_is_open() -> None:
    aligner, outcome = track(), Outcome[str]()
    for seq in range(5):
        outcome.extend([aligner.on_chunk(text(seq), 0)])
    assert contents(outcome.closed) == [(4000, [])]
    final = aligner.on_chunk(text(5, 700, 1900, 2300, 3800, 4400, 5800), 0)
    [late] = final.late_words
    assert (late.words, late.late_by_ms) == (2, 1300)
    assert not final.late
    rest = Outcome[str]().extend([aligner.on_chunk(text(6), 0), aligner.on_chunk(text(7), 0), aligner.end(8000)])
    assert contents(rest.closed) == [
        (6000, ["5@2300", "5@3800", "5@4400", "5@5800"]),
        (8000, ["5@4400", "5@5800"]),
        (10_000, []),
    ]


def test_words_after_their_chunk_wait_for_their_windows_and_hold_back_its_acknowledgement() -> None:
    """A recogniser that labels a final with its beginning: chunk 0 has the words of five seconds."""
    aligner, outcome = track(), Outcome[str]()
    outcome.extend([aligner.on_chunk(text(0, 800, 2500, 4900), 0)])
    for seq in range(1, 7):
        outcome.extend([aligner.on_chunk(text(seq), 0)])
    assert contents(outcome.closed) == [(4000, ["0@800", "0@2500"]), (6000, ["0@2500", "0@4900"])]
    assert "text-0" not in acks(outcome), "its last window is [4, 8)"
    rest = Outcome[str]().extend([aligner.on_chunk(text(seq), 0) for seq in (7, 8)])
    assert contents(rest.closed) == [(8000, ["0@4900"])]
    assert "text-0" in acks(rest)
    assert rest.closed[0].window.media_end_at_ms == 1_000_000 + 8000


def test_words_after_the_end_of_the_session_are_believed() -> None:
    aligner = track()
    aligner.on_chunk(text(0), 0)
    aligner.on_chunk(text(1, 1500, 5200), 0)
    closed = aligner.end(2000).closed
    assert contents(closed) == [(4000, ["1@1500"]), (6000, ["1@5200"]), (8000, ["1@5200"])]
    assert [one.window.media_end_ms for one in closed] == [4000, 5200, 5200]


def test_a_chunk_is_late_only_if_all_its_words_are() -> None:
    aligner = track()
    for seq in range(1, 9):
        aligner.on_chunk(text(seq), 0)
    assert aligner.on_chunk(text(0, 500), 0).late
    aligner = track()
    for seq in range(1, 9):
        aligner.on_chunk(text(seq), 0)
    partly = aligner.on_chunk(text(0, 500, 8500), 0)
    assert not partly.late
    assert [late.words for late in partly.late_words] == [1]
    assert contents(aligner.end(9000).closed)[0] == (10_000, ["0@8500"])


def test_an_utterance_gets_the_words_of_a_late_final() -> None:
    """Voice keeps the utterance open until the recogniser finishes; its words end before their chunk starts."""
    policy = WindowPolicy(UtteranceWindower(10_000, 600), 500, 1500, 1000, 1000)
    aligner = TrackAligner[str](TRACK, "customer", 0, policy, expected=[Modality.TEXT, Modality.AUDIO], final_until_ms=None, now=0)
    outcome = Outcome[str]()
    for seq in range(6):
        spans = np.array([[seq * 1000 + 100 * n, seq * 1000 + 100 * (n + 1)] for n in range(10)])
        voice = np.full(10, seq < 4)
        sound = AudioFeatures(spans, np.zeros((10, VOICE_WIDTH), np.float32), voice, voice)
        outcome.extend([aligner.on_chunk(EncodedChunk(header(seq, Modality.AUDIO), sound, f"audio-{seq}"), 0)])
        outcome.extend([aligner.on_chunk(text(seq, 900, 1700, 2600, 3900) if seq == 4 else text(seq), 0)])
    [(end_ms, words)] = contents(outcome.closed)
    assert (end_ms, words) == (4000, ["4@900", "4@1700", "4@2600", "4@3900"])


@st.composite
def _sessions(draw: st.DrawFn) -> list[EncodedChunk[str]]:
    offsets = st.lists(st.integers(-7000, 7000), max_size=3)
    count = draw(st.integers(1, 14))
    return [text(seq, *sorted({max(1, seq * 1000 + offset) for offset in draw(offsets)})) for seq in range(count)]


@given(_sessions(), st.data())
def test_every_word_is_in_all_its_open_windows_or_late_and_a_replay_gives_the_same(
    chunks: list[EncodedChunk[str]], data: st.DataObject
) -> None:
    aligner, late, closed, arrived = track(), 0, list[ClosedWindow[str]](), list[int]()
    outcomes = []
    for chunk in chunks:
        arrived.append(len(closed))
        outcomes.append(aligner.on_chunk(chunk, 0))
        closed += outcomes[-1].closed
        late += sum(one.words for one in outcomes[-1].late_words)
    last = aligner.end(None)
    closed += last.closed
    windows = [one.window for one in closed]
    all_acks = [ack for outcome in (*outcomes, last) for ack in acks(outcome)]
    assert sorted(all_acks) == sorted(chunk.ack or "" for chunk in chunks), "each chunk is acknowledged once"
    unseen = 0
    for chunk, first_open in zip(chunks, arrived, strict=True):
        assert isinstance(chunk.features, TextFeatures)
        for word in chunk.features.words:
            own = [w for w in windows[first_open:] if w.start_ms < word.end_ms <= w.end_ms]
            assert all(word in w.words() for w in own)
            assert not any(word in w.words() for w in windows[:first_open])
            unseen += not own
    assert late == unseen
    if windows:
        done = data.draw(st.integers(1, len(windows)))
        assert _replayed(chunks, closed, done) == windows[done:]


def _replayed(chunks: list[EncodedChunk[str]], closed: list[ClosedWindow[str]], done: int) -> list[Window]:
    """The windows of a worker that takes over when the first ``done`` are final: it reads the chunks that are not acknowledged."""
    gone = {ack for one in closed[:done] for ack in one.acks}
    aligner, replayed = track(final_until_ms=closed[done - 1].window.end_ms), list[Window]()
    for chunk in chunks:
        if chunk.ack not in gone:
            replayed += [one.window for one in aligner.on_chunk(chunk, 0).closed]
    return replayed + [one.window for one in aligner.end(None).closed]
