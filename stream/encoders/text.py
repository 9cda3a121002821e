"""From words to MiniLM tokens, and from token states back to words."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tokenizers

from stream.domain.features import Floats
from stream.domain.media_format import WORD_WIDTH

TOKENIZER_FILE = Path(__file__).parent / "minilm_tokenizer" / "tokenizer.json"
BUCKETS = (8, 12, 16, 20, 24, 28, 32, 40, 48, 64, 96, 128)
"""Token counts that inputs are padded to. Padding costs as much as words do, but only inputs of the same length can share a request."""

MAX_PIECES = BUCKETS[-1] - 2
"""Word pieces that fit between [CLS] and [SEP]."""

KEPT_WORDS = 4096
"""Words whose pieces are remembered, of all sessions together: most of what is said consists of few different words."""

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TokenisedWords:
    """Words as the text encoder takes them. T is one of `BUCKETS`.

    Attributes:
        input_ids: (T,) int64.
        attention_mask: (T,) int64, 0 where padded.
        token_type_ids: (T,) int64, all 0.
        word_of_token: (T,) int64, index of the word that a token belongs to; -1 for special tokens and padding.
        words: Number of words that were given.
    """

    input_ids: Ids
    attention_mask: Ids
    token_type_ids: Ids
    word_of_token: Ids
    words: int


class Tokenizer:
    """The word-piece tokenizer of all-MiniLM-L6-v2 (uncased)."""

    def __init__(self, file: Path = TOKENIZER_FILE) -> None:
        self._tokenizer = tokenizers.Tokenizer.from_file(str(file))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._cls, self._sep = self._special("[CLS]"), self._special("[SEP]")
        self._pieces = functools.lru_cache(KEPT_WORDS)(self._pieces_of)

    def tokenise(self, words: Sequence[str]) -> TokenisedWords:
        """Turn words into one padded row of tokens.

        Every word keeps at least one piece: when there is too little room, the longest words are cut. Of more than 126 words only the
        last 126 are encoded, and `pool_words` gives the others zeros.

        Args:
            words: In order, with their punctuation, in upper or lower case.
        """
        first_word = max(0, len(words) - MAX_PIECES)
        per_word = [self._pieces(word) for word in words[first_word:]]
        limit = _max_pieces_per_word([len(pieces) for pieces in per_word])
        ids, word_indices = [self._cls], [-1]
        for index, pieces in enumerate(per_word):
            ids += pieces[:limit]
            word_indices += [first_word + index] * len(pieces[:limit])
        ids.append(self._sep)
        word_indices.append(-1)
        return _padded(ids, word_indices, len(words))

    def _pieces_of(self, word: str) -> list[int]:
        """The pieces of a word. They do not depend on the words around it."""
        ids: list[int] = self._tokenizer.encode([word], is_pretokenized=True, add_special_tokens=False).ids
        return ids

    def _special(self, token: str) -> int:
        token_id = self._tokenizer.token_to_id(token)
        if token_id is None:
            raise ValueError(f"the tokenizer has no {token}")
        return token_id


@functools.cache
def default_tokenizer() -> Tokenizer:
    """The packaged tokenizer, read once."""
    return Tokenizer()


def pool_words(hidden: Floats, tokenised: TokenisedWords) -> Floats:
    """Mean state of each word's tokens.

    Args:
        hidden: (T, 384) float32, ``last_hidden_state`` of one row.
        tokenised: The words that were encoded.

    Returns:
        (words, 384) float32; zeros for a word without a token, such as one of control characters only.

    Raises:
        ValueError: The states do not fit the tokens.
    """
    if hidden.shape != (tokenised.input_ids.shape[0], WORD_WIDTH):
        raise ValueError(f"token states must be {(tokenised.input_ids.shape[0], WORD_WIDTH)}")
    states = np.zeros((tokenised.words, WORD_WIDTH), dtype=np.float32)
    is_word = tokenised.word_of_token >= 0
    rows, word_indices = hidden[is_word], tokenised.word_of_token[is_word]
    is_first = np.diff(word_indices, prepend=-1) > 0
    states[word_indices[is_first]] = rows[is_first]
    # `states[…] += …` would add only the last of a word's further tokens. Few words have some, and `np.add.at` is slow.
    np.add.at(states, word_indices[~is_first], rows[~is_first])
    states /= np.maximum(np.bincount(word_indices, minlength=tokenised.words), 1).astype(np.float32)[:, None]
    return states


def _max_pieces_per_word(lengths: Sequence[int]) -> int:
    """Largest number of pieces that a word may keep so that all words fit; at least 1."""
    limit = max(lengths, default=1)
    while limit > 1 and sum(min(length, limit) for length in lengths) > MAX_PIECES:
        limit -= 1
    return max(limit, 1)


def _padded(ids: list[int], word_indices: list[int], words: int) -> TokenisedWords:
    size = next(bucket for bucket in BUCKETS if bucket >= len(ids))
    input_ids = np.zeros(size, dtype=np.int64)
    mask = np.zeros(size, dtype=np.int64)
    word_of_token = np.full(size, -1, dtype=np.int64)
    input_ids[: len(ids)] = ids
    mask[: len(ids)] = 1
    word_of_token[: len(ids)] = word_indices
    return TokenisedWords(input_ids, mask, np.zeros(size, dtype=np.int64), word_of_token, words)
