from __future__ import annotations

import os
import socket
import tomllib
from pathlib import Path
from typing import Any

import pytest

from benchmarks.language import FOREIGN, english
from stream.policy.language import language_of

ENGLISH = frozenset({"en"})
SENTENCES = tomllib.loads(FOREIGN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("language", SENTENCES)
def test_other_languages_are_recognised(language: str) -> None:
    assert [language_of(sentence.split(), ENGLISH) for sentence in SENTENCES[language]] == [language] * len(SENTENCES[language])
    assert not any(language_of(sentence.split(), {"en", language}) for sentence in SENTENCES[language])


@pytest.mark.parametrize(
    "words",
    [
        "",
        "ja",
        "um um um um um um um um um um",
        "WAIT WAIT WAIT WAIT OKAY OKAY WAIT",
        "Uma Thurman and Winona Ryder are in this one",
        "MORE SENSE UM UM THIS MOVIE THIS MOVIE UM BY",
        "déjà vu at the café you know",
        "12 345 678 90 12 34",
        "\u202e \u200b \ufeff",
        "x" * 100_000,
        "🎉 🎉 🎉 🎉 🎉 🎉",
    ],
)
def test_english_and_what_says_nothing_is_never_taken_for_another_language(words: str) -> None:
    assert language_of(words.split(" "), ENGLISH) is None


def test_line_breaks_do_not_harm() -> None:
    assert language_of(["das ist\nwirklich", "eine\r\nfrechheit", "so kann man das nicht machen"], ENGLISH) == "de"


def test_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    language_of.__globals__["_detector"].cache_clear()
    assert language_of(SENTENCES["de"][0].split(), ENGLISH) == "de"


def test_english_of_the_corpora_is_practically_never_taken_for_another_language() -> None:
    data = os.environ.get("SENTISTREAM_DATA")
    if data is None:
        pytest.skip("SENTISTREAM_DATA is not set")
    texts = [words for samples in english(Path(data)).values() for words in samples]
    wrong = sum(language_of(words, ENGLISH) is not None for words in texts)
    assert wrong <= len(texts) * 0.0005
