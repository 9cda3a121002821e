"""Replaces personal data in the words of a window by what kind it is: ``[name]``, ``[card]``, ``[email]``."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace

from stream.domain.context import RedactedWord
from stream.domain.disclosure import Disclosure
from stream.domain.features import Word
from stream.explain.redaction.codes import ACCOUNT, CARD, CODE, NUMBER, PHONE, SPELLED, codes
from stream.explain.redaction.contacts import ADDRESS, EMAIL, LINK, contacts
from stream.explain.redaction.names import NAME, names
from stream.explain.redaction.tokens import tokens_of, without_controls

PLACEHOLDERS = frozenset((NAME, NUMBER, CARD, PHONE, ACCOUNT, SPELLED, CODE, EMAIL, LINK, ADDRESS))

WORD_SIGNS = frozenset("'\u2019-%€£$")
"""Signs that belong to a word."""

KEPT_SIGNS = WORD_SIGNS | frozenset(".,?!:;…")
"""Signs that stay in a word; any other may be markup."""

NOTHING_LEFT = "…"
"""A word of which nothing may be shown."""


def personal(words: Sequence[Word], before: Sequence[str] = (), known: Iterable[RedactedWord] = ()) -> tuple[RedactedWord, ...]:
    """The words that are personal, with what takes their place.

    Args:
        words: The words of a window, in order of time.
        before: What is known of the words before them; a number may have begun there.
        known: Words that were personal in windows that overlap this one.
    """
    texts = [*before, *(word.text for word in words)]
    tokens = tokens_of(texts)
    marks = names(tokens) | codes(tokens) | contacts(tokens)
    placeholders: dict[int, list[str]] = {}
    for place, placeholder in sorted(marks.items()):
        placeholders.setdefault(tokens[place].word, []).append(placeholder)
    kept = {(start_ms, end_ms): shown for start_ms, end_ms, shown in known}
    found = list[RedactedWord]()
    for index, word in enumerate(words, start=len(before)):
        shown = " ".join(dict.fromkeys(placeholders.get(index, ()))) or kept.get((word.start_ms, word.end_ms), "")
        if shown:
            found.append((word.start_ms, word.end_ms, shown))
    return tuple(found)


def redacted(words: Sequence[Word], before: Sequence[str] = (), known: Iterable[RedactedWord] = ()) -> tuple[Word, ...]:
    """The same words at the same times. Each word that is personal is replaced by a placeholder, the others are freed from markup.

    The arguments are those of `personal`.
    """
    return _hidden(words, personal(words, before, known))


def disclosed(words: Sequence[Word], hidden: Iterable[RedactedWord], disclosure: Disclosure) -> tuple[Word, ...]:
    """The words as they may be shown. `hidden` are those of them that are `personal`."""
    match disclosure:
        case Disclosure.NONE:
            return tuple(replace(word, text="") for word in words)
        case Disclosure.FULL:
            return tuple(replace(word, text=plain(word.text)) for word in words)
        case Disclosure.REDACTED:
            return _hidden(words, hidden)


def _hidden(words: Sequence[Word], hidden: Iterable[RedactedWord]) -> tuple[Word, ...]:
    placeholders = {(start_ms, end_ms): shown for start_ms, end_ms, shown in hidden}
    return tuple([_with_text(word, placeholders.get((word.start_ms, word.end_ms)) or plain(word.text)) for word in words])


def _with_text(word: Word, text: str) -> Word:
    return word if text == word.text else replace(word, text=text)


def joined_text(words: Sequence[Word], phrase: range) -> str:
    """The words of a phrase, each placeholder once."""
    texts = [words[index].text for index in phrase]
    kept = [text for index, text in enumerate(texts) if text and not (index and text == texts[index - 1] and text in PLACEHOLDERS)]
    return " ".join(kept)


def plain(text: str) -> str:
    """A word without markup, control characters and bidirectional overrides: letters, digits and ordinary punctuation."""
    if text.isascii() and text.isalnum():
        return text
    normal = without_controls(unicodedata.normalize("NFC", text))
    kept = "".join(c if unicodedata.category(c)[0] in "LMN" or c in KEPT_SIGNS else " " for c in normal)
    return " ".join(kept.split()) or NOTHING_LEFT
