from __future__ import annotations

import cv2
import numpy as np
import pytest

from stream.domain.chunk import ContentType
from stream.media.errors import REASONS, MediaError
from stream.media.pcm import read_pcm, trim
from stream.media.sniff import check_type, jpeg_size, sniff


def _jpeg(width: int, height: int, progressive: int = 0) -> bytes:
    picture = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive, cv2.IMWRITE_JPEG_RST_INTERVAL, 2])[1])


def test_pcm_is_little_endian() -> None:
    assert read_pcm(b"\x01\x00\xff\xff", 1000).tolist() == [1, -1]


@pytest.mark.parametrize(("payload", "duration_ms", "reason"), [(b"abc", 1000, "odd_bytes"), (bytes(2 * 17), 1, "too_long")])
def test_impossible_pcm_is_refused(payload: bytes, duration_ms: int, reason: str) -> None:
    with pytest.raises(MediaError) as error:
        read_pcm(payload, duration_ms)
    assert (error.value.reason, str(error.value)) == (reason, REASONS[reason])


def test_trim_drops_samples_beyond_the_duration() -> None:
    assert len(trim(np.zeros(19_200, np.int16), 1000)) == 16_000
    assert len(trim(np.zeros(100, np.int16), 1000)) == 100


@pytest.mark.parametrize("progressive", [0, 1])
def test_jpeg_size_reads_the_whole_structure(progressive: int) -> None:
    whole = _jpeg(60, 40, progressive)
    assert jpeg_size(whole) == (60, 40)
    for cut in (2, 3, 20, len(whole) // 2, len(whole) - 1):
        with pytest.raises(MediaError):
            jpeg_size(whole[:cut])


def test_the_first_bytes_tell_the_content_type() -> None:
    assert sniff(b"OggS....") == {ContentType.OGG_OPUS}
    assert sniff(b"\0\0\0\x18ftypisom") == {ContentType.AUDIO_MP4, ContentType.VIDEO_MP4}
    assert sniff(b"\x89PNG\r\n") == frozenset()
    with pytest.raises(MediaError, match="declared"):
        check_type(_jpeg(8, 8), ContentType.VIDEO_MP4)
