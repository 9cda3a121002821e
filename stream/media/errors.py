"""Errors of media. Their messages never hold content: no words, no pixels, no file names taken from a record."""

from __future__ import annotations

REASONS: dict[str, str] = {
    "bad_media": "the media cannot be decoded to its end",
    "wrong_type": "the bytes are not of the declared content type",
    "unsupported": "the codec, channel count or sample rate is not supported",
    "no_media": "the container holds no samples or frames of this modality",
    "odd_bytes": "16-bit samples need an even number of bytes",
    "too_large": "the picture has more pixels, or the chunk more frames, than allowed",
    "too_long": "the media is longer than a chunk may be",
    "decoder_crash": "the decoder process died on this chunk",
    "decoder_timeout": "the decoder process did not finish this chunk in time",
}
"""Every reason for refusing a chunk's media, and the sentence that explains it."""


class MediaError(Exception):
    """Media that cannot be used.

    Attributes:
        reason: Short code for headers, counters and logs; for chunks, a key of `REASONS`.
        detail: One sentence without content.
    """

    def __init__(self, reason: str, detail: str | None = None) -> None:
        self.reason = reason
        self.detail = detail or REASONS[reason]
        super().__init__(self.detail)


class SandboxStartError(MediaError):
    """No decoder process can be started on this machine; the message says why and what to do."""

    def __init__(self, detail: str) -> None:
        super().__init__("decoder_unavailable", detail)


class SourceError(MediaError):
    """A user's media file that cannot be read. The message is for this user, so it may name the file."""

    def __init__(self, detail: str) -> None:
        super().__init__("bad_source", detail)


class TranscriptError(MediaError):
    """A transcript that cannot be read.

    Attributes:
        line: Number of the wrong line, from 1; None when the error concerns the whole file.
    """

    def __init__(self, detail: str, line: int | None = None) -> None:
        self.line = line
        super().__init__("bad_transcript", f"line {line}: {detail}" if line is not None else detail)
