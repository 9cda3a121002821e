"""Personal data is taken out of words, and ordinary words stay."""

from __future__ import annotations

import pytest

from stream.domain.disclosure import Disclosure
from stream.domain.features import Word
from stream.explain.redaction.words import disclosed, joined_text, personal, plain, redacted


def words(text: str) -> list[Word]:
    return [Word(part, 100 * index, 100 * index + 80) for index, part in enumerate(text.split(" "))]


def shown(text: str, before: str = "") -> str:
    found = redacted(words(text), before.split())
    return joined_text(found, range(len(found)))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("it is four one one one one one one one one one one one one one one one thanks", "it is [card] thanks"),
        ("card 4111 1111 1111 1111 please", "card [card] please"),
        ("card 4111-1111-1111-1111 please", "card [card] please"),
        ("yes four double one one um triple one and then one one one one one one one one one ok", "yes [card] ok"),
        ("call 415 555 2671 please", "call [phone] please"),
        ("call oh two oh seven nine four six oh nine five eight now", "call [phone] now"),
        ("call plus 44 20 7946 0958 now please", "call plus [phone] now please"),
        ("account DE89 3704 0044 0532 0130 00 there", "account [account] there"),
        ("account twelve thirty four five six yes please", "account [number] yes please"),
        ("born 12/05/1985 in spring", "born [number] in spring"),
        ("the pin 1 2 3 4 was right", "the pin [number] was right"),
        ("full width \uff15\uff15\uff15\uff15 \uff14\uff14\uff14\uff14 digits", "full width [number] digits"),
        ("hidden \u200b4\u200b1\u200b1\u200b1 digits here", "hidden [number] digits here"),
        ("spelled J O H N here", "spelled [spelled] here"),
        ("spelled J-O-H-N here", "spelled [spelled] here"),
        ("take a as in alpha b as in bravo c for charlie please", "take [spelled] please"),
        ("juliet oscar hotel november said so", "[spelled] said so"),
        ("postcode S W 1 A 1 A A right there", "postcode [code] right there"),
        ("order A4F7Z is late", "order [code] is late"),
        ("write john.smith@mail.example now", "write [email] now"),
        ("write to john dot smith at mail dot com now", "write to [email] now"),
        ("write to j smith at mail.example.co.uk now", "write to [email] now"),
        ("see www.example.com/x now", "see [link] now"),
        ("see https://example.com now", "see [link] now"),
        ("at twelve old mill road today", "at [address] today"),
        ("we live at 12 Mill Lane here", "we live at [address] here"),
        ("Hi John, how are you", "Hi [name] how are you"),
        ("hi john smith my order is late", "hi [name] my order is late"),
        ("my name is priya kapoor and i wait", "my name is [name] and i wait"),
        ("well this is Priya calling", "well this is [name] calling"),
        ("with mr geller and Zebulon today", "with mr [name] and [name] today"),
        ("Elizabeth's order", "[name] order"),
        ("so sorry. Jack, what is it", "so sorry. [name] what is it"),
    ],
)
def test_personal_data_is_replaced_by_what_it_is(said: str, expected: str) -> None:
    assert shown(said) == expected


@pytest.mark.parametrize(
    "said",
    [
        "my ip is 192.168.13.7 here",
        "address 2001:db8::ff00:42:8329 here",
        "mac 00:1B:44:11:3A:B7 is it",
        "social 078-05-1120 please",
        "wallet 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa yes",
        "my nhs number is 943 476 5919 ok",
        "my number AB123456C please",
        "passport 912803456 please",
        "card S1234567D please",
        "tax file 876 543 210 please",
        "tax 912-70-1234 please",
        "driving licence H12234567 please",
        "medical licence AB1234563 please",
        "iban GB29NWBK60161331926819 please",
        "account 945456787654 please",
        "vat IT00743110157 please",
        "pan ABCPE1234F please",
        "aadhaar 3675 9834 6012 please",
        "plate KA01AB1234 please",
        "company 51 824 753 556 please",
        "key 3f2b7c1e-8a4d-4e6b-9c0d-1a2b3c4d5e6f please",
    ],
)
def test_identifiers_that_other_redactors_have_patterns_for_are_replaced(said: str) -> None:
    """Those of Microsoft Presidio's pattern recognisers."""
    left = shown(said)
    assert "[" in left
    assert not any(c.isdigit() for c in left)


@pytest.mark.parametrize(
    "said",
    [
        "This is terrible service, I'm so unhappy.",
        "we waited two hours and 45 minutes for nothing",
        "one of the best things I have seen",
        "that was a two for one deal",
        "Oh, okay, what's that?",
        "it opens at 8am on Monday and closes at 5pm",
        "may I mark the bill as paid? Will you? Hope so.",
        "I think it's great. Really great! They said no.",
        "way too long to close the place",
    ],
)
def test_ordinary_words_stay(said: str) -> None:
    assert shown(said) == said


def test_a_link_that_the_end_of_a_window_cuts_is_replaced() -> None:
    assert shown("it is at www") == "it is at [link]"
    assert shown("it is at www dot") == "it is at [link]"


def test_a_number_that_the_edge_of_a_window_cuts_is_replaced() -> None:
    assert shown("3 7 thank you so much") == "[number] thank you so much"
    assert shown("my card is five five") == "my card is [number]"
    assert shown("five thank you so much", before="four one one one um") == "[number] thank you so much"
    assert shown("five thank you so much", before="take all the") == "five thank you so much"


def test_what_was_personal_in_an_overlapping_window_stays_so() -> None:
    said = words("my name is zebulon and i wait")
    hidden = personal(said[:4])
    assert hidden == ((300, 380, "[name]"),)
    assert [w.text for w in redacted(said[3:], (), hidden)] == ["[name]", "and", "i", "wait"]
    assert personal(said[3:], (), hidden) == hidden, "and goes on to the next window"


def test_digits_that_are_spread_over_a_window_are_replaced_together() -> None:
    assert shown("so four one banana one two banana three three banana four here we go") == (
        "so [number] banana [number] banana [number] banana [number] here we go"
    )


def test_each_word_keeps_its_time() -> None:
    before = words("call 415 555 2671 please")
    assert [(w.start_ms, w.end_ms) for w in redacted(before)] == [(w.start_ms, w.end_ms) for w in before]
    assert [w.text for w in redacted(before)] == ["call", "[phone]", "[phone]", "[phone]", "please"]


def test_markup_and_reversed_text_lose_their_signs() -> None:
    assert plain("<b>bad</b>") == "b bad b"
    assert plain("a\u202eb\u2066c\x00") == "abc"
    assert plain("`[name]`") == "name"
    assert plain("***") == "…"
    assert plain("don't, really?!") == "don't, really?!"


def test_what_is_shown_can_be_chosen() -> None:
    said = words("hi john <b>")
    assert [w.text for w in disclosed(said, (), Disclosure.FULL)] == ["hi", "john", "b"]
    assert [w.text for w in disclosed(said, personal(said), Disclosure.REDACTED)] == ["hi", "[name]", "b"]
    assert [(w.text, w.start_ms) for w in disclosed(said, (), Disclosure.NONE)] == [("", 0), ("", 100), ("", 200)]
