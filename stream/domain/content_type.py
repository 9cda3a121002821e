"""Reads the ``content-type`` of a chunk: a media type with parameters, as RFC 9110 writes it.

Names are compared without regard to case, the order of parameters, quotes and spaces do not matter, and a parameter that says nothing
about the samples is ignored. A type is read once and then remembered: a producer sends the same one with every record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.message import Message
from functools import lru_cache, partial

from stream.domain.chunk import ContentType
from stream.domain.media_format import SAMPLE_RATE
from stream.domain.modality import Modality

MAX_CHARACTERS = 256
"""A longer header is refused: reading quoted parameters takes time that grows with the square of their length."""

REMEMBERED = 256

ALLOWED = {
    Modality.TEXT: f"{ContentType.WORDS} or {ContentType.FEATURES}",
    Modality.AUDIO: f"{ContentType.PCM}, {ContentType.OGG_OPUS} with Opus, {ContentType.AUDIO_MP4} with AAC or Opus, "
    f"or {ContentType.FEATURES}",
    Modality.VIDEO: f"{ContentType.VIDEO_MP4} with H.264, {ContentType.JPEG} or {ContentType.FEATURES}",
}
"""What a chunk of each modality may be, for messages."""

_PCM = {"channels": "1", "bits": "16", "endianness": "little"}
"""Parameters of raw sound that may be left out, and the only value that fits."""

Parameters = Mapping[str, str]
"""The parameters of a media type: names and values in lower case."""


class ContentTypeError(ValueError):
    """A content type that the topic does not take; the message is one sentence that says what it takes, and quotes nothing."""


@lru_cache(maxsize=REMEMBERED)
def read_content_type(text: str, modality: Modality) -> str:
    """The `ContentType` that a header means. Raises `ContentTypeError`."""
    if len(text) > MAX_CHARACTERS:
        raise ContentTypeError(f"content-type is longer than {MAX_CHARACTERS} characters")
    message = Message()
    message["content-type"] = text
    (name, _), *parameters = message.get_params([("", "")])
    found: dict[str, str] = {}
    for key, value in parameters:
        # An extended parameter (RFC 8187) is a tuple of charset, language and value.
        plain = (value if isinstance(value, str) else value[-1]).strip().lower()
        if found.setdefault(key.lower(), plain) != plain:
            raise ContentTypeError("content-type gives a parameter twice, with different values")
    read = _READERS[modality].get(name.strip().lower())
    if read is None:
        raise ContentTypeError(f"content-type of a chunk of {modality} must be {ALLOWED[modality]}")
    return read(found)


def _words(parameters: Parameters) -> str:
    if parameters.get("charset", "utf-8") not in ("utf-8", "utf8", "us-ascii"):
        raise ContentTypeError("charset in content-type must be utf-8")
    return ContentType.WORDS


def _pcm(parameters: Parameters) -> str:
    fits = parameters.get("rate") == str(SAMPLE_RATE) and all(parameters.get(name, value) == value for name, value in _PCM.items())
    if not fits:
        raise ContentTypeError(
            f"content-type of raw sound must be {ContentType.PCM}: 16-bit little-endian samples at {SAMPLE_RATE} Hz, mono"
        )
    return ContentType.PCM


def _container(content_type: str, codecs: tuple[str, ...], parameters: Parameters) -> str:
    """The type of a container. Its ``codecs`` (RFC 6381), where they are given, must name one of those that can be decoded.

    One is enough: a recording may have sound beside its picture, of which only the picture is used.
    """
    named = [codec.strip().strip("'\"") for codec in parameters.get("codecs", codecs[0]).split(",")]
    if not any(codec == fit or codec.startswith(f"{fit}.") for codec in named for fit in codecs):
        raise ContentTypeError(f"codecs in the content-type {content_type} must name {' or '.join(codecs)}: nothing else can be decoded")
    return content_type


def _features(_parameters: Parameters) -> str:
    return ContentType.FEATURES


def _jpeg(_parameters: Parameters) -> str:
    return ContentType.JPEG


_OGG = partial(_container, ContentType.OGG_OPUS, ("opus",))
_FEATURES = {ContentType.FEATURES: _features}
_READERS: Mapping[Modality, Mapping[str, Callable[[Parameters], str]]] = {
    Modality.TEXT: {ContentType.WORDS: _words, **_FEATURES},
    Modality.AUDIO: {
        "audio/l16": _pcm,
        "audio/pcm": _pcm,
        "audio/ogg": _OGG,
        "application/ogg": _OGG,
        "audio/mp4": partial(_container, ContentType.AUDIO_MP4, ("mp4a.40", "opus")),
        **_FEATURES,
    },
    Modality.VIDEO: {
        "video/mp4": partial(_container, ContentType.VIDEO_MP4, ("avc1", "avc3")),
        "image/jpeg": _jpeg,
        "image/jpg": _jpeg,
        **_FEATURES,
    },
}
"""By modality and name of a media type: what reads its parameters."""
