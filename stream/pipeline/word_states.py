"""States of words from the text encoder. A window and the window without a phrase must be encoded in the same way, so both come here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stream.domain.features import Floats, Word
from stream.domain.media_format import WORD_WIDTH
from stream.encoders.text import Tokenizer, pool_words
from stream.serving.models import Models


async def word_states(models: Models, tokenizer: Tokenizer, words: Sequence[Word], words_before: Sequence[str]) -> Floats:
    """(n, `WORD_WIDTH`) states of n words, which the encoder sees together and after the words with which their sentence began.

    Without a word, nothing is asked.
    """
    if not words:
        return np.zeros((0, WORD_WIDTH), np.float32)
    tokenised = tokenizer.tokenise([*words_before, *(word.text for word in words)])
    return pool_words(await models.encode_text(tokenised), tokenised)[len(words_before) :]
