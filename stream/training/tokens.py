"""Batches of word pieces for the training of a text encoder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from stream.encoders.text import default_tokenizer

MOST_WORDS = 80
"""Most words of a text together with the context before it."""

BUCKET = 16
"""Number of batches whose texts are sorted by length together."""

Indices = npt.NDArray[np.int64]


class Tokens(NamedTuple):
    """Word pieces of B texts, padded to the longest text.

    Attributes:
        ids: (B, T) int64.
        mask: (B, T), 0 for padding.
        own: (B, T), 1 for the pieces of the text itself, 0 for the pieces of the context before it.
    """

    ids: Tensor
    mask: Tensor
    own: Tensor


@dataclass(frozen=True, slots=True)
class TokenTable:
    """Word pieces of n texts: (T,) ids of each, and (T,) 1 for the pieces of the text itself."""

    ids: tuple[Indices, ...]
    own: tuple[Indices, ...]

    @property
    def lengths(self) -> Indices:
        """(n,) number of pieces of each text."""
        return np.array([ids.size for ids in self.ids], dtype=np.int64)

    def batch(self, rows: Sequence[int]) -> Tokens:
        """The batch of some rows, padded to the longest of them."""
        longest = max(self.ids[row].size for row in rows)
        ids, own, mask = (np.zeros((len(rows), longest), dtype=np.int64) for _ in range(3))
        for index, row in enumerate(rows):
            size = self.ids[row].size
            ids[index, :size], own[index, :size], mask[index, :size] = self.ids[row], self.own[row], 1
        return Tokens(torch.from_numpy(ids), torch.from_numpy(mask).float(), torch.from_numpy(own).float())


def tokenised(texts: Iterable[tuple[str, Sequence[str]]]) -> TokenTable:
    """Tokenise (text, words before it) pairs; as many of the newest words before a text are kept as `MOST_WORDS` allows."""
    tokenizer = default_tokenizer()
    ids, own = [], []
    for text, earlier in texts:
        words = text.split()[:MOST_WORDS]
        room = MOST_WORDS - len(words)
        before = list(earlier[-room:]) if room else []
        row_tokens = tokenizer.tokenise(before + words)
        size = int(row_tokens.attention_mask.sum())
        mine = row_tokens.word_of_token[:size] >= len(before)
        if not mine.any():  # an empty text: the mean over its own pieces would be 0 / 0
            mine[:] = True
        ids.append(row_tokens.input_ids[:size])
        own.append(mine.astype(np.int64))
    return TokenTable(tuple(ids), tuple(own))


def shuffled_by_length(rows: Indices, lengths: Indices, size: int, rng: np.random.Generator) -> Indices:
    """Shuffle rows so that the texts of a batch have similar lengths, which saves padding.

    Rows are sorted by length within every `BUCKET` batches of `size` rows; then the batches are shuffled. An incomplete batch
    comes last. `lengths` are indexed by row.
    """
    order = rng.permutation(rows)
    batches = []
    for start in range(0, order.size, size * BUCKET):
        own = order[start : start + size * BUCKET]
        own = own[np.argsort(lengths[own], kind="stable")]
        batches += [own[first : first + size] for first in range(0, own.size, size)]
    full, rest = [own for own in batches if own.size == size], [own for own in batches if own.size < size]
    return np.concatenate([*(full[index] for index in rng.permutation(len(full))), *rest])
