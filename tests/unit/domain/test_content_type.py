from __future__ import annotations

import pytest

from stream.domain.chunk import ContentType
from stream.domain.content_type import ContentTypeError, read_content_type
from stream.domain.modality import Modality

TEXT, AUDIO, VIDEO = Modality.TEXT, Modality.AUDIO, Modality.VIDEO


@pytest.mark.parametrize(
    ("text", "modality", "meant"),
    [
        ("audio/L16;rate=16000;channels=1", AUDIO, ContentType.PCM),
        ("audio/L16; rate=16000; channels=1", AUDIO, ContentType.PCM),
        ("AUDIO/l16;Channels=1;RATE=16000", AUDIO, ContentType.PCM),
        ('audio/L16 ; channels="1" ; rate="16000"', AUDIO, ContentType.PCM),
        ("audio/L16;rate=16000", AUDIO, ContentType.PCM),
        ("audio/L16;rate=16000;channels=1;ptime=20", AUDIO, ContentType.PCM),
        ("audio/pcm;rate=16000;bits=16;endianness=little", AUDIO, ContentType.PCM),
        ("audio/ogg", AUDIO, ContentType.OGG_OPUS),
        ("audio/ogg; codecs=opus", AUDIO, ContentType.OGG_OPUS),
        ('audio/ogg;codecs="opus"', AUDIO, ContentType.OGG_OPUS),
        ("Audio/Ogg; Codecs=Opus", AUDIO, ContentType.OGG_OPUS),
        ("audio/ogg;\tcodecs=opus;", AUDIO, ContentType.OGG_OPUS),
        ("audio/ogg; codecs*=utf-8''opus", AUDIO, ContentType.OGG_OPUS),
        ("application/ogg; codecs=opus", AUDIO, ContentType.OGG_OPUS),
        ('audio/mp4; codecs="mp4a.40.2"', AUDIO, ContentType.AUDIO_MP4),
        ("audio/mp4; codecs=opus", AUDIO, ContentType.AUDIO_MP4),
        ('video/mp4; codecs="avc1.64001f, mp4a.40.2"', VIDEO, ContentType.VIDEO_MP4),
        ('video/mp4; profiles="isom"; codecs="avc3.42E01E"', VIDEO, ContentType.VIDEO_MP4),
        ("image/jpeg; quality=80", VIDEO, ContentType.JPEG),
        ("image/jpg", VIDEO, ContentType.JPEG),
        ("application/vnd.sentistream.words+json; charset=utf-8", TEXT, ContentType.WORDS),
        ('application/vnd.sentistream.words+json;charset="UTF-8"', TEXT, ContentType.WORDS),
        ("application/vnd.sentistream.features; version=1", VIDEO, ContentType.FEATURES),
    ],
)
def test_every_standard_form_of_a_type_means_the_same(text: str, modality: Modality, meant: str) -> None:
    assert read_content_type(text, modality) == meant


@pytest.mark.parametrize(
    ("text", "modality", "named"),
    [
        ("audio/L16;rate=48000;channels=2", AUDIO, "audio/L16;rate=16000;channels=1"),
        ("audio/L16;channels=1", AUDIO, "audio/L16;rate=16000;channels=1"),
        ("audio/L16;rate=16000;channels=2", AUDIO, "audio/L16;rate=16000;channels=1"),
        ("audio/pcm;rate=16000;bits=24", AUDIO, "16-bit"),
        ("audio/pcm;rate=16000;endianness=big", AUDIO, "little-endian"),
        ("audio/ogg; codecs=vorbis", AUDIO, "opus"),
        ("audio/ogg; codecs=opus; codecs=vorbis", AUDIO, "twice"),
        ('audio/mp4; codecs="ac-3"', AUDIO, "mp4a.40 or opus"),
        ('video/mp4; codecs="hvc1.1.6.L93.B0"', VIDEO, "avc1 or avc3"),
        ('video/mp4; codecs="avc10"', VIDEO, "avc1 or avc3"),
        ("application/vnd.sentistream.words+json; charset=iso-8859-1", TEXT, "utf-8"),
        ("audio/wav", AUDIO, "audio/L16;rate=16000;channels=1, audio/ogg with Opus, audio/mp4 with AAC or Opus"),
        ("image/png", VIDEO, "video/mp4 with H.264, image/jpeg or application/vnd.sentistream.features"),
        ("application/json", TEXT, "application/vnd.sentistream.words+json or application/vnd.sentistream.features"),
        ("audio/ogg", VIDEO, "video/mp4"),
        ("audio", AUDIO, "audio/ogg"),
        ("", AUDIO, "audio/ogg"),
        (";;=;", AUDIO, "audio/ogg"),
        ("audio/ogg; x=" + '"' * 1000, AUDIO, "256 characters"),
    ],
)
def test_a_type_that_is_not_taken_is_refused_with_what_is_allowed(text: str, modality: Modality, named: str) -> None:
    with pytest.raises(ContentTypeError, match="content-type") as error:
        read_content_type(text, modality)
    assert named in str(error.value)
