"""The sentence that a window's words belong to: where sentences end, and which words of earlier windows begin the window's first one."""

from __future__ import annotations

from collections.abc import Iterable

from stream.domain.context import OpenSentence
from stream.domain.features import Word
from stream.domain.window import Window

SENTENCE_WORDS = 24
"""Most words of an unfinished sentence that are kept: the text encoder's work is bounded, and so is what Redis holds."""

WORD_CHARACTERS = 32
"""Most characters of each: words come from outside and may be of any length."""

PAUSE_MS = 1_000
"""A pause that ends a sentence."""

_ENDS = (".", "?", "!", "…")
_CLOSING = "\"')]}»”\u2019"


def open_sentence(window: Window) -> OpenSentence | None:
    """The sentence that is unfinished at the window's end; None if the window has no word.

    A sentence ends with a word that has its punctuation, with an utterance of the recogniser, and before a pause. Whether a pause follows
    the window's last word is for the next window to say.
    """
    words = window.words()
    if not words:
        return None
    last_of_utterances = {max(chunk.words, key=lambda word: word.end_ms) for chunk in window.text if chunk.ends_utterance and chunk.words}
    first = 0
    for index, word in enumerate(words, start=1):
        is_before_pause = index < len(words) and words[index].start_ms - word.end_ms >= PAUSE_MS
        if is_before_pause or word in last_of_utterances or ends_sentence(word.text):
            first = index
    kept = words[first:][-SENTENCE_WORDS:]
    texts = tuple(word.text[:WORD_CHARACTERS] for word in kept)
    return OpenSentence(texts, kept[0].start_ms if kept else words[-1].end_ms, words[-1].end_ms, from_before=not first)


def ends_sentence(word: str) -> bool:
    """Whether a word has the punctuation of an end."""
    return word.rstrip(_CLOSING).endswith(_ENDS)


def words_before(words: tuple[Word, ...], earlier: Iterable[OpenSentence | None]) -> tuple[str, ...]:
    """The beginning of a window's first sentence: words of earlier windows, at most `SENTENCE_WORDS`, the newest.

    Args:
        words: The window's words.
        earlier: The unfinished sentences of the earlier windows of its track, newest first.
    """
    if not words:
        return ()
    found: tuple[str, ...] = ()
    next_start_ms = words[0].start_ms
    for sentence in earlier:
        if sentence is None:
            continue
        if not sentence.words or next_start_ms - sentence.end_ms >= PAUSE_MS:
            break
        found = (sentence.words + found)[-SENTENCE_WORDS:]
        next_start_ms = sentence.start_ms
        if not sentence.from_before:
            break
    return found
