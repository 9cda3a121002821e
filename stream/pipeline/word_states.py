"""States of words from the text encoder. A window and the window without a phrase must be encoded in the same way, so both come here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from stream.domain.features import Floats, Word
from stream.domain.media_format import WORD_WIDTH
from stream.encoders.text import Tokenizer, pool_words
from stream.serving.models import Models

KEPT_WORDS = 192
"""Words whose states a track keeps, 300 kB: those of two windows, with and without their phrases."""

Text = tuple[str, ...]


class TextMemory:
    """The newest encoded texts of one track: a partial result, the final one and the window after it often hold the same words.

    A text that is being encoded is not encoded a second time either. Its states do not depend on what shared its request, so nobody can see
    from a result whether they were remembered.
    """

    def __init__(self) -> None:
        self._states: dict[Text, asyncio.Future[Floats]] = {}
        """The most recently used last."""

    async def states(self, text: Text, encode: Callable[[], Awaitable[Floats]]) -> Floats:
        """(n, `WORD_WIDTH`) states of the text's n words, read-only. Raises what `encode` raises, and then remembers nothing."""
        while (known := self._states.pop(text, None)) is not None:
            self._states[text] = known
            if not known.done():
                await asyncio.wait([known])
            # Cancelled: the caller who asked for it has failed or gone, and the next one asks for itself.
            if not known.cancelled():
                return known.result()
        self._states[text] = asked = asyncio.get_running_loop().create_future()
        try:
            states = await encode()
        except BaseException:
            del self._states[text]
            asked.cancel()
            raise
        states.flags.writeable = False
        asked.set_result(states)
        self._forget()
        return states

    def _forget(self) -> None:
        """Drop the texts that were not used for longest, except those that are being encoded."""
        kept = 0
        for text in reversed([text for text, states in self._states.items() if states.done()]):
            kept += len(text)
            if kept > KEPT_WORDS:
                del self._states[text]


async def word_states(
    models: Models,
    tokenizer: Tokenizer,
    words: Sequence[Word],
    words_before: Sequence[str],
    memory: TextMemory | None = None,
    *,
    spare_s: float = 0.0,
) -> Floats:
    """(n, `WORD_WIDTH`) states of n words, which the encoder sees together and after the words with which their sentence began.

    Without a word, nothing is asked. `memory` is that of the words' track. Nobody needs the states within ``spare_s``.
    """
    if not words:
        return np.zeros((0, WORD_WIDTH), np.float32)
    text = (*words_before, *(word.text for word in words))

    async def encode() -> Floats:
        tokenised = tokenizer.tokenise(text)
        return pool_words(await models.encode_text(tokenised, spare_s), tokenised)

    return (await (encode() if memory is None else memory.states(text, encode)))[len(words_before) :]
