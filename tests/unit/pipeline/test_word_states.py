"""Words of a track that were encoded a moment ago are not encoded again."""

from __future__ import annotations

import asyncio
from typing import cast

import numpy as np
import pytest

from stream.domain.features import Floats, Word
from stream.encoders.text import TokenisedWords, default_tokenizer
from stream.pipeline.word_states import KEPT_WORDS, TextMemory, word_states
from stream.serving.models import Models


class Encoder:
    """Encodes when it is let, and can fail."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.error: Exception | None = None

    async def encode_text(self, tokenised: TokenisedWords, spare_s: float = 0.0) -> Floats:
        self.asked += 1
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return np.outer(tokenised.input_ids, np.ones(384)).astype(np.float32)


def said(*texts: str) -> list[Word]:
    return [Word(text, 100 * index, 100 * index + 90) for index, text in enumerate(texts)]


async def states(encoder: Encoder, words: str, memory: TextMemory | None, before: str = "") -> Floats:
    return await word_states(cast(Models, encoder), default_tokenizer(), said(*words.split()), before.split(), memory)


async def test_the_same_words_are_encoded_once_and_have_the_same_states() -> None:
    encoder, memory = Encoder(), TextMemory()
    first, again = await states(encoder, "well then", memory), await states(encoder, "well then", memory)
    assert (encoder.asked, again.tobytes()) == (1, first.tobytes())
    assert first.tobytes() == (await states(Encoder(), "well then", None)).tobytes()
    await states(encoder, "well", memory)
    assert encoder.asked == 2


async def test_a_word_moves_from_the_window_to_the_words_before_it() -> None:
    encoder, memory = Encoder(), TextMemory()
    whole, rest = await states(encoder, "well then", memory), await states(encoder, "then", memory, before="well")
    assert (encoder.asked, rest.tobytes()) == (1, whole[1:].tobytes())


async def test_a_text_that_is_being_encoded_is_not_asked_for_again() -> None:
    encoder, memory = Encoder(), TextMemory()
    encoder.may_answer.clear()
    both = asyncio.gather(states(encoder, "well", memory), states(encoder, "well", memory))
    await asyncio.sleep(0)
    encoder.may_answer.set()
    first, second = await both
    assert (encoder.asked, first.tobytes()) == (1, second.tobytes())


async def test_whoever_waits_for_one_that_is_given_up_asks_for_itself() -> None:
    encoder, memory = Encoder(), TextMemory()
    encoder.may_answer.clear()
    partial, final = (asyncio.ensure_future(states(encoder, "well", memory)) for _ in range(2))
    await asyncio.sleep(0)
    partial.cancel()
    await asyncio.sleep(0.01)
    encoder.may_answer.set()
    async with asyncio.timeout(1):
        assert (len(await final), encoder.asked) == (1, 2)


async def test_an_error_is_not_remembered() -> None:
    encoder, memory = Encoder(), TextMemory()
    encoder.error = RuntimeError("refused")
    with pytest.raises(RuntimeError):
        await states(encoder, "well", memory)
    encoder.error = None
    assert len(await states(encoder, "well", memory)) == 1


async def test_the_texts_that_were_not_used_for_longest_are_forgotten() -> None:
    encoder, memory = Encoder(), TextMemory()
    texts = [f"word{number} " * (KEPT_WORDS // 4) for number in range(5)]
    for text in (*texts[:4], texts[0], texts[4], texts[0]):
        await states(encoder, text, memory)
    assert encoder.asked == 5
    await states(encoder, texts[1], memory)
    assert encoder.asked == 6
    await states(encoder, "many " * (KEPT_WORDS + 1), memory)
    await states(encoder, "many " * (KEPT_WORDS + 1), memory)
    assert encoder.asked == 8, "no text is larger than the memory"
