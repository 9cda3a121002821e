"""What an open container holds. The input is hostile: runs in the reader's child process only."""

from __future__ import annotations

from typing import Any

import av

from stream.domain.modality import Modality
from stream.media.media_info import MAX_STREAMS, MAX_TEXT, MediaInfo, StreamInfo, UnreadableReason, UnusableStream


class Unusable(Exception):
    """Nothing of the file can be used."""

    def __init__(self, reason: UnreadableReason) -> None:
        self.reason = reason
        super().__init__(reason)


def media_info(container: Any) -> MediaInfo:
    """The streams of an open container, and its length."""
    audio: list[StreamInfo] = []
    video: list[StreamInfo] = []
    unusable: list[UnusableStream] = []
    for stream in list(container.streams)[:MAX_STREAMS]:
        if stream.type not in (Modality.AUDIO, Modality.VIDEO) or _is_cover(stream):
            continue
        modality = Modality(stream.type)
        reason = _refusal(stream)
        if reason:
            unusable.append(UnusableStream(stream.index, modality, _codec(stream), reason))
        else:
            (audio if modality is Modality.AUDIO else video).append(_stream_info(stream, modality))
    duration_ms = round(container.duration / 1000) if container.duration and container.duration > 0 else None
    return MediaInfo(duration_ms, tuple(audio), tuple(video), tuple(unusable))


def _stream_info(stream: Any, modality: Modality) -> StreamInfo:
    context = stream.codec_context
    sound = modality is Modality.AUDIO
    announced_ms = round(stream.duration * stream.time_base * 1000) if stream.duration and stream.duration > 0 else None
    return StreamInfo(
        index=stream.index,
        modality=modality,
        codec=_codec(stream),
        channels=context.channels if sound else 0,
        layout=_text(context.layout.name) if sound else "",
        title=_text(stream.metadata.get("title", "")),
        language=_text(stream.metadata.get("language", "")),
        announced_ms=announced_ms,
    )


def _refusal(stream: Any) -> str:
    """Why a stream cannot be decoded, or ""."""
    if stream.codec_context is None:
        return "there is no decoder for its codec"
    if stream.type == Modality.AUDIO and not (stream.codec_context.channels and stream.codec_context.sample_rate):
        return "its sample rate and channels are not known"
    return ""


def _codec(stream: Any) -> str:
    return _text(stream.codec_context.name) if stream.codec_context is not None else "unknown"


def _text(text: str) -> str:
    """A tag of the file, fit for a terminal: one line, no control characters, of bounded length."""
    return "".join(character for character in text if character.isprintable())[:MAX_TEXT]


def _is_cover(stream: Any) -> bool:
    """True for the cover picture of a music file, which its container lists as a video stream."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)
