"""The probes of the live stream are those of the battery, chunk by chunk, and the same whenever a chunk is read."""

from __future__ import annotations

import numpy as np

from stream.domain.identity import SessionKey, TrackKey
from stream.domain.sampling import STRETCH_MS, is_probed
from stream.nuisances.marks import FILLERS
from stream.nuisances.probes import FACE_PROBES, SOUND_PROBES, filler_and_place, live_marks, marked_faces, marked_sounds
from stream.reveal.windows import RawWindow

SOUND = np.round(6000 * np.sin(np.arange(64_000) / 9) * np.linspace(0.2, 1, 64_000)).astype(np.int16)
FACES = np.random.default_rng(0).integers(0, 256, (3, 48, 48)).astype(np.uint8)


def test_a_chunk_that_is_read_again_gets_the_same_noise_and_another_chunk_another() -> None:
    first, again, later = (marked_sounds(SOUND[:16_000], start_ms)["hiss"] for start_ms in (0, 0, 1000))
    assert (first == again).all()
    assert not (first == later).all()
    assert not (first == SOUND[:16_000]).all()
    assert [*marked_faces(FACES, 0)] == [mark.name for mark in FACE_PROBES]


def test_the_loudest_sound_is_cut_off_and_does_not_turn_over() -> None:
    loud = np.full(800, 32_767, np.int16)
    loud[::2] = -32_768
    for marked in marked_sounds(loud, 0).values():
        assert (np.sign(marked.astype(int)) == np.sign(loud.astype(int))).mean() > 0.99


def test_a_window_with_a_live_mark_is_its_chunks_with_the_mark() -> None:
    window = RawWindow(("well",), SOUND, FACES)
    by_name = {mark.name: mark for mark in live_marks()}
    on_media = [mark.name for mark in SOUND_PROBES] + [mark.name for mark in FACE_PROBES]
    assert [*by_name] == on_media + [f"word {word}" for word in FILLERS]
    marked = window.with_mark(by_name["hiss"], by_name["hiss"].usual, np.random.default_rng(9)).samples
    chunks = [marked_sounds(SOUND[first : first + 16_000], first // 16)["hiss"] for first in range(0, 64_000, 16_000)]
    assert (marked == np.concatenate(chunks)).all()


def test_a_window_always_gets_the_same_filler_and_windows_get_different_ones() -> None:
    found = [filler_and_place(f"t/s/track/0-{end}", 5) for end in range(4000, 204_000, 2000)]
    assert found == [filler_and_place(f"t/s/track/0-{end}", 5) for end in range(4000, 204_000, 2000)]
    assert {word for word, _ in found} == set(FILLERS)
    assert {place for _, place in found} == set(range(6))


def test_a_window_is_probed_if_all_its_stretches_are() -> None:
    track = TrackKey(SessionKey("default", "call"), "agent")
    probed = [is_probed(track, number * STRETCH_MS, (number + 1) * STRETCH_MS, 0.5) for number in range(400)]
    assert 150 < sum(probed) < 250
    for number in range(399):
        start_ms = (number + 1) * STRETCH_MS - 1000
        assert is_probed(track, start_ms, start_ms + 4000, 0.5) == (probed[number] and probed[number + 1])
    assert not is_probed(track, 0, 4000, 0.0)
    assert is_probed(track, 0, 10 * STRETCH_MS, 1.0)
