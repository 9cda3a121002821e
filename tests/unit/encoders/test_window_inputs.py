from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from stream.domain.features import AudioFeatures, Floats, Halves, TextFeatures, VideoFeatures, Word
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.media_format import FACE_CELLS, FACE_WIDTH, VOICE_WIDTH
from stream.domain.modality import Modality
from stream.domain.window import Window
from stream.encoders.window_inputs import build

TRACK = TrackKey(SessionKey("default", "s"), "t")


def window(
    *, end_ms: int = 14_000, words: tuple[Word, ...] = (), audio: AudioFeatures | None = None, video: VideoFeatures | None = None
) -> Window:
    return Window(
        track=TRACK,
        role="speaker",
        epoch=0,
        start_ms=10_000,
        end_ms=end_ms,
        media_end_ms=end_ms,
        revision=0,
        is_final=True,
        text=(TextFeatures(words),) if words else (),
        audio=(audio,) if audio else (),
        video=(video,) if video else (),
    )


def states(count: int) -> Floats:
    return np.arange(count, dtype=np.float32)[:, None] * np.ones((1, 384), dtype=np.float32)


def audio(spans: list[tuple[int, int]], audible: list[bool]) -> AudioFeatures:
    embeddings = np.arange(len(spans), dtype=np.float32)[:, None] * np.ones((1, VOICE_WIDTH), dtype=np.float32)
    return AudioFeatures(np.array(spans, dtype=np.int64), embeddings, np.array(audible))


def test_an_empty_window_is_all_padding() -> None:
    inputs = build(window(), np.zeros((0, 384), dtype=np.float32))
    assert (inputs.words.shape, inputs.audio.shape, inputs.video.shape) == ((32, 384), (40, VOICE_WIDTH), (20, FACE_WIDTH))
    assert inputs.word_mask.sum() == inputs.audio_mask.sum() == inputs.video_mask.sum() == 0
    assert inputs.word_nodes == ()
    assert window().present() == ()


@pytest.mark.parametrize(("length_ms", "words"), [(500, 8), (1_000, 8), (3_900, 32), (10_000, 80)])
def test_capacity_follows_length_alone(length_ms: int, words: int) -> None:
    inputs = build(window(end_ms=10_000 + length_ms), np.zeros((0, 384), dtype=np.float32))
    assert inputs.words.shape[0] == words
    assert inputs.audio.shape[0] == words // 8 * 10
    assert inputs.video.shape[0] == words // 8 * 5


def test_words_come_first_with_times_in_seconds() -> None:
    words = (Word("a", 9_900, 10_200), Word("b", 10_200, 10_500))
    inputs = build(window(words=words), states(2))
    assert inputs.word_mask.tolist() == [1.0, 1.0] + [0.0] * 30
    assert np.allclose(inputs.word_times[:2], [[-0.1, 0.2], [0.2, 0.5]])
    assert inputs.words[1, 0] == 1.0
    assert inputs.word_nodes == words


def test_last_words_are_kept_when_there_are_too_many() -> None:
    words = tuple(Word(str(i), 10_000 + 90 * i, 10_000 + 90 * i + 90) for i in range(40))
    inputs = build(window(words=words), states(40))
    assert inputs.words_dropped == 8
    assert inputs.words[0, 0] == 8.0
    assert inputs.word_nodes == words[8:]


def test_states_must_fit_words() -> None:
    with pytest.raises(ValueError, match="word states"):
        build(window(words=(Word("a", 10_000, 10_100),)), states(2))


def test_only_audible_segments_inside_become_nodes() -> None:
    spans = [(9_900, 10_000), (10_100, 10_200), (10_000, 10_100), (10_200, 10_300), (14_000, 14_100)]
    inputs = build(window(audio=audio(spans, [True, True, True, False, True])), np.zeros((0, 384), dtype=np.float32))
    assert inputs.audio_spans_ms == ((10_000, 10_100), (10_100, 10_200))
    assert inputs.audio[:2, 0].tolist() == [2.0, 1.0]
    beside_a_word = window(words=(Word("a", 10_000, 10_100),), audio=audio(spans, [True, True, True, False, True]))
    assert beside_a_word.present() == (Modality.TEXT, Modality.AUDIO)
    assert inputs.audio_mask.sum() == 2


def test_faces_become_nodes_and_the_earliest_are_dropped_when_there_are_too_many() -> None:
    spans = np.array([[10_000 + 100 * i, 10_100 + 100 * i] for i in range(30)], dtype=np.int64)
    video = VideoFeatures(spans, np.ones((30, FACE_WIDTH), dtype=np.float32), np.zeros((30, 4), dtype=np.float32), 1, 30)
    inputs = build(window(video=video), np.zeros((0, 384), dtype=np.float32))
    assert inputs.video_mask.sum() == 20
    assert inputs.video_spans_ms[0] == (11_000, 11_100)


def cells_of(values: list[float]) -> Halves:
    return np.array(values, np.float16).reshape(-1, 1, 1) * np.ones(FACE_CELLS, np.float16)


def test_the_cells_of_faces_follow_the_order_of_the_faces() -> None:
    late, early = ([[11_000, 11_200], [11_200, 11_400]], [[10_000, 10_200]])
    chunks = tuple(
        VideoFeatures(np.array(spans), np.zeros((len(spans), FACE_WIDTH), np.float32), np.zeros((len(spans), 4), np.float32), 1, 5, cells)
        for spans, cells in ((late, cells_of([2.0, 3.0])), (early, cells_of([1.0])))
    )
    nothing = VideoFeatures(np.zeros((0, 2), np.int64), np.zeros((0, FACE_WIDTH), np.float32), np.zeros((0, 4), np.float32), 0, 5)
    no_words = np.zeros((0, 384), dtype=np.float32)
    found = build(structs.replace(window(), video=(*chunks, nothing)), no_words).video_cells
    assert found is not None
    assert found.shape == (3, *FACE_CELLS)
    assert found[:, 0, 0].tolist() == [1.0, 2.0, 3.0]
    foreign = replace(chunks[1], cells=None)
    assert build(structs.replace(window(), video=(chunks[0], foreign)), no_words).video_cells is None
    assert build(window(), no_words).video_cells is None
