from __future__ import annotations

import numpy as np
import pytest

from stream.encoders.face import normalise, smoothed
from stream.encoders.text import BUCKETS, MAX_PIECES, TOKENIZER_FILE, default_tokenizer, pool_words


def test_tokens_of_words() -> None:
    row = default_tokenizer().tokenise(["HELLO,", "don't", "stop", "now"])
    used = int(row.attention_mask.sum())
    assert row.input_ids[0] == 101
    assert row.input_ids[used - 1] == 102
    assert row.word_of_token[:used].tolist() == [-1, 0, 0, 1, 1, 1, 2, 3, -1]
    assert set(row.word_of_token[used:].tolist()) == {-1}
    assert row.input_ids.shape == (12,)
    assert row.words == 4


def test_case_does_not_matter() -> None:
    upper, lower = (default_tokenizer().tokenise(words) for words in (["GREAT", "MOVIE"], ["great", "movie"]))
    assert np.array_equal(upper.input_ids, lower.input_ids)


@pytest.mark.parametrize("count", [0, 1, 14, 15, 62, 126, 300])
def test_a_row_has_the_length_of_a_bucket(count: int) -> None:
    row = default_tokenizer().tokenise(["word"] * count)
    assert row.input_ids.shape[0] in BUCKETS
    assert row.attention_mask.sum() == min(count, MAX_PIECES) + 2


def test_long_words_leave_room_for_every_word() -> None:
    row = default_tokenizer().tokenise(["antidisestablishmentarianism"] * 60)
    assert row.input_ids.shape[0] == BUCKETS[-1]
    assert set(row.word_of_token.tolist()) == {-1, *range(60)}


def test_too_many_words_keep_the_last() -> None:
    row = default_tokenizer().tokenise(["word"] * 130)
    assert row.word_of_token[1] == 4
    hidden = np.ones((row.input_ids.shape[0], 384), dtype=np.float32)
    states = pool_words(hidden, row)
    assert states.shape == (130, 384)
    assert states[:4].max() == 0.0
    assert states[4:].min() == 1.0


def test_a_words_state_is_the_mean_of_its_tokens() -> None:
    row = default_tokenizer().tokenise(["HELLO,", "stop"])
    hidden = np.arange(row.input_ids.shape[0], dtype=np.float32)[:, None] * np.ones((1, 384), dtype=np.float32)
    assert pool_words(hidden, row)[:, 0].tolist() == [1.5, 3.0]


def test_pooling_refuses_other_shapes() -> None:
    row = default_tokenizer().tokenise(["hello"])
    with pytest.raises(ValueError, match="token states"):
        pool_words(np.zeros((5, 384), dtype=np.float32), row)


def test_a_word_without_tokens_gets_zeros() -> None:
    row = default_tokenizer().tokenise(["\u0000", "hello"])
    states = pool_words(np.ones((row.input_ids.shape[0], 384), dtype=np.float32), row)
    assert states[:, 0].tolist() == [0.0, 1.0]


def test_tokenizer_carries_its_licence() -> None:
    assert "Apache License" in (TOKENIZER_FILE.parent / "LICENSE").read_text(encoding="utf-8")


def test_each_face_is_standardised_by_itself() -> None:
    rng = np.random.default_rng(0)
    dark = rng.integers(0, 60, size=(48, 48), dtype=np.uint8)
    light = (dark.astype(int) * 3 + 40).astype(np.uint8)
    out = normalise(np.stack([dark, light]))
    assert out.shape == (2, 1, 48, 48)
    assert out.dtype == np.float32
    assert np.allclose(out.mean(axis=(1, 2, 3)), 0.0, atol=1e-5)
    assert np.allclose(out[0], out[1], atol=1e-3)


def test_a_flat_face_stays_finite() -> None:
    assert np.array_equal(normalise(np.full((1, 48, 48), 200, dtype=np.uint8)), np.zeros((1, 1, 48, 48), dtype=np.float32))


def test_no_faces() -> None:
    assert normalise(np.zeros((0, 48, 48), dtype=np.uint8)).shape == (0, 1, 48, 48)


def test_a_face_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="48"):
        normalise(np.zeros((1, 64, 64), dtype=np.uint8))


def spans(*starts_ms: int) -> np.ndarray:
    return np.array([(start, start + 200) for start in starts_ms], np.int64).reshape(-1, 2)


def test_a_frame_is_averaged_with_its_neighbours() -> None:
    embeddings = np.array([[0.0, 6.0], [3.0, 0.0], [9.0, 3.0]], np.float32)
    out = smoothed(embeddings, spans(0, 200, 400))
    assert out.tolist() == [[1.5, 3.0], [4.0, 3.0], [6.0, 1.5]]
    assert out.dtype == np.float32
    assert embeddings.tolist() == [[0.0, 6.0], [3.0, 0.0], [9.0, 3.0]], "the embeddings of the model stay as they are"


def test_frames_are_not_averaged_over_a_gap() -> None:
    embeddings = np.array([[1.0], [3.0], [10.0]], np.float32)
    assert smoothed(embeddings, spans(0, 200, 600)).tolist() == [[2.0], [2.0], [10.0]]


def test_a_single_frame_and_none_stay_as_they_are() -> None:
    assert smoothed(np.ones((1, 64), np.float32), spans(0)).tolist() == [[1.0] * 64]
    assert smoothed(np.zeros((0, 64), np.float32), spans()).shape == (0, 64)
