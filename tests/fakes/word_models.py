"""Models whose score is the sum of what the words are worth, as the words around them have it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stream.domain.features import Floats
from stream.domain.inference import COALITIONS, Coalitions, Inference, WindowInputs
from stream.domain.media_format import WORD_WIDTH
from stream.domain.modality import Modality
from stream.domain.result import ModelVersion
from stream.encoders.text import TokenisedWords, default_tokenizer
from tests.fakes.windows import MODEL, make_inference


class WordModels:
    """Values words that are one word piece each; "not" before or after them turns their values round.

    Args:
        worth: Score points of words, in lower case; 0 for others.
        relevance: What the nodes of the words get as their relevance; their worth if None.
    """

    def __init__(self, worth: Mapping[str, float], relevance: Floats | None = None) -> None:
        self._worth = {self._piece(word): value for word, value in worth.items()}
        self._not = self._piece("not")
        self._relevance = relevance
        self.encoded: list[int] = []
        """Number of words of each request to the text encoder."""
        self.asked: list[WindowInputs] = []

    async def named(self, version: str) -> ModelVersion:
        return MODEL

    async def encode_text(self, tokenised: TokenisedWords, spare_s: float = 0.0) -> Floats:
        self.encoded.append(tokenised.words)
        states = np.zeros((tokenised.input_ids.shape[0], WORD_WIDTH), np.float32)
        states[:, 0] = [self._worth.get(int(piece), 0.0) for piece in tokenised.input_ids]
        return -states if self._not in tokenised.input_ids else states

    async def infer(self, inputs: WindowInputs, version: str = "1", extras: frozenset[object] = frozenset()) -> Inference:
        self.asked.append(inputs)
        said = inputs.words[:, 0] * inputs.word_mask
        scores = [float(said.sum()) if index & Modality.TEXT.bit else 0.0 for index in range(COALITIONS)]
        return make_inference(scores, words=(said if self._relevance is None else self._relevance).tolist())

    async def coalitions(self, inputs: WindowInputs, version: str = "1") -> Coalitions:
        return await self.infer(inputs, version)

    @staticmethod
    def _piece(word: str) -> int:
        tokenised = default_tokenizer().tokenise([word])
        piece: int = tokenised.input_ids[1]
        return int(piece)
