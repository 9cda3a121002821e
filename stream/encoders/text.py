"""Words to MiniLM tokens, and token states back to words."""

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
BUCKETS = (16, 32, 64, 128)
"""Token counts that inputs are padded to: few shapes, so that requests of one shape meet in a batch."""

MOST_PIECES = BUCKETS[-1] - 2
"""Room for word pieces between [CLS] and [SEP]."""

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TokenisedWords:
    """Words as the text encoder takes them, T = one of `BUCKETS`.

    Attributes:
        input_ids: (T,) int64.
        attention_mask: (T,) int64, 0 where padded.
        token_type_ids: (T,) int64, all 0.
        word_of_token: (T,) int64, index of the word a token belongs to; -1 for special tokens and padding.
        words: How many words were given.
    """

    input_ids: Ids
    attention_mask: Ids
    token_type_ids: Ids
    word_of_token: Ids
    words: int


class Tokenizer:
    """The word-piece tokenizer of all-MiniLM-L6-v2 (uncased)."""

    def __init__(self, file: Path = TOKENIZER_FILE) -> None:
        self._pieces = tokenizers.Tokenizer.from_file(str(file))
        self._pieces.no_truncation()
        self._pieces.no_padding()
        self._first, self._last = self._special("[CLS]"), self._special("[SEP]")

    def tokenise(self, words: Sequence[str]) -> TokenisedWords:
        """Turn words into one padded row of tokens.

        Every word keeps a piece: when there is too little room the longest are cut. Of more than 126 words only the
        last 126 are encoded, and `pool_words` gives the others zeros.

        Args:
            words: In order, with their punctuation, in any case.
        """
        first_word = max(0, len(words) - MOST_PIECES)
        kept = list(words[first_word:])
        per_word: list[list[int]] = [[] for _ in kept]
        if kept:
            encoding = self._pieces.encode(kept, is_pretokenized=True, add_special_tokens=False)
            for piece, word in zip(encoding.ids, encoding.word_ids, strict=True):
                if word is not None:
                    per_word[word].append(piece)
        room = _pieces_per_word([len(pieces) for pieces in per_word])
        ids, owners = [self._first], [-1]
        for index, pieces in enumerate(per_word):
            ids += pieces[:room]
            owners += [first_word + index] * len(pieces[:room])
        ids.append(self._last)
        owners.append(-1)
        return _padded(ids, owners, len(words))

    def _special(self, token: str) -> int:
        found = self._pieces.token_to_id(token)
        if found is None:
            raise ValueError(f"the tokenizer has no {token}")
        return found


@functools.cache
def default_tokenizer() -> Tokenizer:
    """The packaged tokenizer, read once."""
    return Tokenizer()


def pool_words(hidden: Floats, tokenised: TokenisedWords) -> Floats:
    """Mean state of each word's tokens.

    Args:
        hidden: (T, 384) float32, ``last_hidden_state`` of one row.
        tokenised: What was encoded.

    Returns:
        (words, 384) float32; zeros for a word without a token.

    Raises:
        ValueError: If the states do not fit the tokens.
    """
    if hidden.shape != (tokenised.input_ids.shape[0], WORD_WIDTH):
        raise ValueError(f"token states must be {(tokenised.input_ids.shape[0], WORD_WIDTH)}")
    states = np.zeros((tokenised.words, WORD_WIDTH), dtype=np.float32)
    counts = np.zeros(tokenised.words, dtype=np.float32)
    inside = tokenised.word_of_token >= 0
    owners = tokenised.word_of_token[inside]
    np.add.at(states, owners, hidden[inside])
    np.add.at(counts, owners, 1.0)
    states /= np.maximum(counts, 1.0)[:, None]
    return states


def _pieces_per_word(lengths: Sequence[int]) -> int:
    """Largest number of pieces a word may keep so that all words together fit; at least 1."""
    room = max(lengths, default=1)
    while room > 1 and sum(min(length, room) for length in lengths) > MOST_PIECES:
        room -= 1
    return max(room, 1)


def _padded(ids: list[int], owners: list[int], words: int) -> TokenisedWords:
    size = next(bucket for bucket in BUCKETS if bucket >= len(ids))
    input_ids = np.zeros(size, dtype=np.int64)
    mask = np.zeros(size, dtype=np.int64)
    word_of_token = np.full(size, -1, dtype=np.int64)
    input_ids[: len(ids)] = ids
    mask[: len(ids)] = 1
    word_of_token[: len(ids)] = owners
    return TokenisedWords(input_ids, mask, np.zeros(size, dtype=np.int64), word_of_token, words)
