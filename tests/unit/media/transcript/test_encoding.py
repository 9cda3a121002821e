"""Encodings of transcripts are found by their signs or detected, and said."""

from __future__ import annotations

import pytest

from stream.media.errors import TranscriptError
from stream.media.transcript.read import Transcript, parse_transcript

SENTENCES = {
    "cp1252": "Bonjour, je suis très heureuse d'être là. Ça a été un été magnifique.",
    "cp1251": "Здравствуйте, я очень доволен вашей работой.",
    "koi8-r": "Здравствуйте, я очень доволен вашей работой.",
    "cp932": "こんにちは、とても嬉しいです。",
    "euc_jp": "こんにちは、とても嬉しいです。",
    "gb18030": "你好，我非常高兴。谢谢你的帮助。",  # noqa: RUF001
    "big5": "你好，我非常高興。謝謝你的幫助。",  # noqa: RUF001
    "cp949": "안녕하세요, 정말 기쁩니다. 감사합니다.",
    "cp1250": "Dzień dobry, jestem bardzo zadowolony. Dziękuję, źle się czuję.",
    "cp1254": "Merhaba, çok mutluyum. Teşekkür ederim, görüşürüz.",
    "cp1255": "שלום, אני מאוד מרוצה. תודה רבה!",
    "cp1256": "مرحبا، أنا سعيد جدا. شكرا جزيلا!",
    "cp1257": "Labas, labai džiaugiuosi. Ačiū už pagalbą.",
    "cp1253": "Γεια σας, είμαι πολύ ευχαριστημένος.",
}


def read(raw: bytes, suffix: str = ".srt") -> Transcript:
    return parse_transcript(raw, suffix)


def srt(text: str) -> str:
    return f"1\r\n00:00:00,000 --> 00:00:02,000\r\n{text}\r\n\r\n2\r\n00:00:02,000 --> 00:00:04,000\r\nyes\r\n"


def text(transcript: Transcript) -> str:
    return " ".join(word.text for word in transcript.words)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_utf_8_needs_no_word(encoding: str) -> None:
    transcript = read(srt("tr\u00e8s bien").encode(encoding))
    assert (text(transcript), transcript.notices) == ("tr\u00e8s bien yes", ())


@pytest.mark.parametrize("sentence", ["so good", SENTENCES["cp1251"], SENTENCES["gb18030"]])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", [True, False])
def test_utf_16_with_and_without_a_mark(sentence: str, encoding: str, *, mark: bool) -> None:
    transcript = read((("\ufeff" if mark else "") + srt(sentence)).encode(encoding))
    assert text(transcript) == f"{sentence} yes"
    assert transcript.notices == ("the transcript is UTF-16 text" + ("" if mark else " without a byte order mark"),)


def test_utf_32() -> None:
    transcript = read(srt("so good").encode("utf-32"))
    assert (text(transcript), transcript.notices) == ("so good yes", ("the transcript is UTF-32 text",))


@pytest.mark.parametrize("encoding", SENTENCES)
def test_older_encodings_are_detected_and_said(encoding: str) -> None:
    transcript = read(srt(SENTENCES[encoding]).encode(encoding))
    assert text(transcript) == f"{SENTENCES[encoding]} yes"
    assert transcript.notices == (f"the transcript is not UTF-8 text: it is read as {encoding}",)


@pytest.mark.parametrize(
    "sentence",
    [
        "I don\u2019t know, it\u2019s \u201cfine\u201d\u2026",
        "¿Cómo está usted, señor? Mañana.",
        "Ça va très bien",
        "Grüß Gott",
        "È così, perché no? Più tardi.",
        "déjà vu à la carte",
        "Não, obrigado. Até amanhã, coração.",
    ],
)
def test_western_text_is_read_however_short_it_is(sentence: str) -> None:
    assert text(read(srt(sentence).encode("cp1252"))) == f"{sentence} yes"


def test_a_few_damaged_characters_are_left_out_and_said() -> None:
    transcript = read(
        srt("tr\u00e8s bien, \u00e7a va, d\u00e9j\u00e0 \u00e9t\u00e9 \u00e9t\u00e9 \u00e9t\u00e9 \u00e9t\u00e9")
        .encode()
        .replace(b"bien", b"bi\xc3en")
    )
    assert text(transcript).startswith("tr\u00e8s bien,")
    assert transcript.notices == ("damaged characters of the transcript are left out: 1",)


def test_bytes_of_no_encoding_are_refused_with_their_line() -> None:
    with pytest.raises(TranscriptError, match=r"line 3: the transcript is not UTF-8 text, and its encoding is not recognised"):
        read(b"WEBVTT\n\n\xff\xfe", ".vtt")
