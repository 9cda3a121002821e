"""Compares the bytes of chunks with what their headers say."""

from __future__ import annotations

from collections import Counter

import numpy as np

from stream.domain.chunk import Chunk, ContentType
from stream.domain.features import TextFeatures
from stream.domain.kafka_records import BadRecordError, decode_text, decode_words
from stream.domain.media_format import SAMPLE_RATE
from stream.domain.modality import Modality
from stream.domain.odd_records import odd_json, odd_media, odd_samples
from stream.media.errors import MediaError
from stream.media.pcm import read_pcm
from stream.media.sniff import jpeg_size, sniff
from stream.produce.check.clocks import LEAST_CHUNKS, ROUNDING_MS
from stream.produce.check.finding import Findings, Position
from stream.produce.check.unreadable import FIXES

FAR_MS = 1000
"""A word that ends this far from its chunk may miss a window."""

ROUGHER = 2.0
"""With its bytes swapped, sound turns into noise: its samples then jump several times as far. This much smoother is certain."""


class PayloadCheck:
    """Checks the payloads of one modality of one track.

    Args:
        name: How the modality of the track is named in findings.
        findings: Receives what is found.
    """

    def __init__(self, name: str, findings: Findings) -> None:
        self._name = name
        self._findings = findings
        self._pcm_chunks = 0
        self._silent_chunks = 0
        self._jumps = self._jumps_swapped = 0.0
        self._words = _Words()

    def add(self, chunk: Chunk, at: Position) -> None:
        """Check one chunk."""
        match chunk.header.content_type:
            case ContentType.WORDS:
                self._check_words(chunk, at)
            case ContentType.PCM:
                self._check_pcm(chunk, at)
            case ContentType.FEATURES:
                pass
            case _:
                self._check_container(chunk, at)

    def finish(self) -> None:
        """Report what only the whole stream shows."""
        name, findings = self._name, self._findings
        if self._pcm_chunks >= LEAST_CHUNKS:
            if self._silent_chunks == self._pcm_chunks:
                findings.warn("silence", f"{name}: every sample is zero", "check which device or channel the producer records")
            elif self._jumps > ROUGHER * self._jumps_swapped:
                findings.error(
                    "byte_order",
                    f"{name}: the samples are noise, and sound when their bytes are swapped: they are big-endian",
                    "send little-endian samples (s16le), although audio/L16 is big-endian elsewhere",
                )
        self._words.report(name, findings)

    def _check_words(self, chunk: Chunk, at: Position) -> None:
        try:
            text = decode_text(chunk.payload)
        except BadRecordError as error:
            odd = odd_json(chunk.payload)
            code, what, fix = (error.reason, str(error), FIXES["bad_words"]) if odd is None else (odd.code, odd.text, odd.fix)
            self._findings.error(code, f"{self._name}: {what}", fix, example=at)
            return
        self._words.add(text, chunk, at)
        try:
            decode_words(chunk.payload, chunk.header.start_ms, chunk.header.duration_ms)
        except BadRecordError as error:
            self._words.refused = self._words.refused or (str(error), at)

    def _check_pcm(self, chunk: Chunk, at: Position) -> None:
        header, payload, findings, name = chunk.header, chunk.payload, self._findings, self._name
        found = sniff(payload)
        if payload[:4] == b"RIFF":
            findings.error(
                "wav_header",
                f"{name}: a chunk of samples begins with a WAV header, which is heard as a click",
                "leave the header out",
                example=at,
            )
            return
        odd = odd_samples(payload, str(header.duration_ms).encode())
        if odd is not None:
            findings.error(odd.code, f"{name}: {odd.text}", odd.fix, example=at)
            return
        if found:
            what = " or ".join(sorted(found))
            findings.error("wrong_type", f"{name}: the bytes are {what}, not samples", "set content-type to what the bytes are", example=at)
            return
        try:
            samples = read_pcm(payload, header.duration_ms)
        except MediaError as error:
            self._refused(error, at, f"{len(payload)} bytes are {len(payload) // 2 * 1000 // SAMPLE_RATE} ms at 16 kHz, 16 bit, mono")
            return
        played_ms = len(samples) * 1000 // SAMPLE_RATE
        if header.duration_ms - played_ms > ROUNDING_MS:
            findings.warn(
                "short_payload",
                f"{name}: chunks hold less sound than ce_mediaduration says: the rest of them is a gap",
                "ce_mediaduration is the number of samples divided by 16, in milliseconds; send 16 kHz, not 8 kHz",
                example=at,
            )
        self._pcm_chunks += 1
        self._silent_chunks += not samples.any()
        self._jumps += _jump(samples)
        self._jumps_swapped += _jump(samples.byteswap())

    def _check_container(self, chunk: Chunk, at: Position) -> None:
        payload, content_type, findings = chunk.payload, chunk.header.content_type, self._findings
        found = sniff(payload)
        if content_type not in found:
            odd = None if found else odd_media(payload)
            if odd is not None:
                findings.error(odd.code, f"{self._name}: {odd.text}", odd.fix, example=at)
            else:
                what = "are " + " or ".join(sorted(found)) if found else "are in no format that a chunk may have"
                fix = "every chunk must be decodable by itself, with its container's header; content-type says what the bytes are"
                findings.error("wrong_type", f"{self._name}: content-type is {content_type}, but the bytes {what}", fix, example=at)
        elif content_type == ContentType.JPEG:
            try:
                jpeg_size(payload)
            except MediaError as error:
                self._refused(error, at, "the JPEG is not complete or of an unusual kind")

    def _refused(self, error: MediaError, at: Position, detail: str) -> None:
        fix = "a chunk holds as much media as ce_mediaduration says" if error.reason == "too_long" else "send complete samples or pictures"
        text = f"{self._name}: {error.detail}"
        self._findings.error(error.reason, text, f"{fix} (here {detail})", example=at)


class _Words:
    """What the words of a stream have in common."""

    def __init__(self) -> None:
        self._chunks = 0
        self._counts: Counter[str] = Counter()
        self._first: dict[str, Position] = {}
        self.refused: tuple[str, Position] | None = None
        """Why and where a worker refuses words for their times."""

    def add(self, text: TextFeatures, chunk: Chunk, at: Position) -> None:
        start_ms, end_ms = chunk.header.start_ms, chunk.header.end_ms
        self._chunks += 1
        for word in text.words:
            self._counts["words"] += 1
            if not start_ms - FAR_MS < word.end_ms <= end_ms + FAR_MS:
                self._count("outside", at)
                # In the first chunk of a session all these times are the same, or nearly: it begins at 0.
                if start_ms >= 1000 and start_ms - 500 <= word.end_ms * 1000 <= end_ms + 500:
                    self._count("seconds", at)
                elif start_ms >= chunk.header.duration_ms and word.end_ms <= chunk.header.duration_ms:
                    self._count("relative", at)

    def report(self, name: str, findings: Findings) -> None:
        counts, words = self._counts, self._counts["words"]
        if self._chunks >= LEAST_CHUNKS and not words:
            findings.warn("no_words", f"{name}: no chunk holds a word", "check the recogniser, or announce no text for this track")
        outside = counts["outside"]
        if not outside:
            return
        example = self._first["outside"]
        if counts["relative"] > outside / 2:
            findings.error(
                "relative_times",
                f"{name}: word times count from the start of their chunk",
                "add ce_mediastart to the times of words: they count from the start of the session",
                count=counts["relative"],
                example=self._first["relative"],
            )
        elif counts["seconds"] > outside / 2:
            findings.error(
                "word_times_in_seconds",
                f"{name}: word times are in seconds",
                "multiply them by 1,000: they are whole milliseconds since the start of the session",
                count=counts["seconds"],
                example=self._first["seconds"],
            )
        elif self.refused is not None:
            findings.error("bad_words", f"{name}: {self.refused[0]}", FIXES["bad_words"], example=self.refused[1])
        else:
            findings.warn(
                "words_outside",
                f"{name}: words end more than {FAR_MS // 1000} s outside of their chunk; those whose windows have closed are late",
                "send words as soon as they are recognised, each with the chunk in which it ends",
                count=outside,
                example=example,
            )

    def _count(self, what: str, at: Position) -> None:
        self._counts[what] += 1
        self._first.setdefault(what, at)


def _jump(samples: np.ndarray[tuple[int], np.dtype[np.int16]]) -> float:
    """How far samples jump from one to the next, for one chunk (sum of absolute differences)."""
    return float(np.abs(np.diff(samples.astype(np.int32))).sum())


def modality_name(track: str, modality: Modality) -> str:
    """How findings name a modality of a track."""
    return f"{modality} of {track}"
