"""Words in another language are noticed, English ones are not."""

from __future__ import annotations

import pytest

from stream.explain.language import is_foreign


@pytest.mark.parametrize(
    "said",
    [
        "ich habe gestern bei ihnen angerufen und niemand hat mir geholfen",
        "je suis très content de votre service merci beaucoup",
        "estoy muy contento con el servicio muchas gracias",
        "jestem bardzo zadowolony z obsługi dziękuję za wszystko",
        "это просто ужасно",
        "素晴らしい ありがとう",
    ],
)
def test_another_language_is_noticed(said: str) -> None:
    assert is_foreign(said.split())


@pytest.mark.parametrize(
    "said",
    [
        "I called yesterday and nobody helped me",
        "great service thanks",
        "merci beaucoup",
        "",
        "bin blue at f two now set white in p three please",
        "Café, naïve, really good this one",
    ],
)
def test_english_and_what_is_too_short_to_tell_are_not(said: str) -> None:
    assert not is_foreign(said.split())
