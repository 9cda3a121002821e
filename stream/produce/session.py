"""Plans a session's records and their order: pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from stream.domain.chunk import ChunkHeader, ContentType
from stream.domain.features import Word
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.kafka_records import MAX_WORDS_PER_CHUNK, encode_words
from stream.domain.media_format import MAX_CHUNK_MS
from stream.domain.modality import MODALITIES, Modality
from stream.domain.session_events import SessionConsent, SessionEnd, SessionHeartbeat, SessionStart, TrackEnd, TrackPlan
from stream.media.errors import TranscriptError
from stream.media.media_info import AudioSource
from stream.media.source import SourcePiece

SOURCE = "sentistream/produce"
SENTENCE_ENDS = (".", "!", "?", "…")
"""A chunk whose last word ends with one of these is sent as final, as a live recogniser does at the end of an utterance."""

MAX_QUIET_S = 60
"""Longest time without media and words for which text chunks and heartbeats are sent second by second."""

HEARTBEAT_S = 60
"""Time between two heartbeats in a longer gap: a tenth of the time after which a silent session expires by default."""

_CONTENT_TYPES = {Modality.TEXT: ContentType.WORDS, Modality.AUDIO: ContentType.PCM, Modality.VIDEO: ContentType.VIDEO_MP4}


@dataclass(frozen=True, slots=True)
class TrackSetup:
    """One speaker of a session, and the source of their media.

    Attributes:
        track: Name of the track.
        role: Role of the speaker, such as agent or customer.
        audio: The speaker's sound in the file, or None when there is none.
        video: The track has video.
        words: The speaker's transcript, or None when there is none. An empty transcript says that the speaker says nothing.
    """

    track: str
    role: str
    audio: AudioSource | None = None
    video: bool = False
    words: tuple[Word, ...] | None = field(default=None, repr=False)

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities that the track will send."""
        has = {Modality.TEXT: self.words is not None, Modality.AUDIO: self.audio is not None, Modality.VIDEO: self.video}
        return tuple(m for m in MODALITIES if has[m])


@dataclass(frozen=True, slots=True)
class Statements:
    """What the records of a session say about its people.

    Attributes:
        consent: Whether they have consented to the use of their voices and faces; None: nothing is said.
        withdrawn_at_ms: Media time at which the consent is withdrawn; None if it is not.
        language: Language that they speak, as a tag such as ``en``; None: nothing is said.
    """

    consent: bool | None = None
    withdrawn_at_ms: int | None = None
    language: str | None = None


NOTHING_SAID = Statements()


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """A session to be sent.

    Attributes:
        key: The session.
        tracks: Its tracks.
        epoch: Epoch of its media clock.
        source: Name of the producer.
        statements: What is said about its people.
    """

    key: SessionKey
    tracks: tuple[TrackSetup, ...]
    epoch: int = 0
    source: str = SOURCE
    statements: Statements = NOTHING_SAID

    def start(self) -> SessionStart:
        """The session's first record."""
        language = self.statements.language
        tracks = (TrackPlan(t.track, t.role, t.modalities, language=language) for t in self.tracks)
        return SessionStart(self.epoch, tuple(tracks), self.statements.consent)

    def withdrawal(self) -> SessionConsent | None:
        """The withdrawal of the consent in mid-session; None if there is none."""
        at_ms = self.statements.withdrawn_at_ms
        return None if at_ms is None else SessionConsent(self.epoch, at_ms, consent=False)


@dataclass(frozen=True, slots=True)
class PlannedChunk:
    """A chunk before it is sent: everything but its capture time."""

    track: TrackSetup
    modality: Modality
    seq: int
    start_ms: int
    duration_ms: int
    payload: bytes = field(repr=False)

    @property
    def due_ms(self) -> int:
        """Media time at which its last sample is captured."""
        return self.start_ms + self.duration_ms

    def header(self, plan: SessionPlan, captured_ms: int) -> ChunkHeader:
        """The header of its record."""
        return ChunkHeader(
            id=uuid4().hex,
            source=plan.source,
            track=TrackKey(plan.key, self.track.track),
            role=self.track.role,
            modality=self.modality,
            seq=self.seq,
            epoch=plan.epoch,
            start_ms=self.start_ms,
            duration_ms=self.duration_ms,
            captured_ms=captured_ms,
            content_type=_CONTENT_TYPES[self.modality],
        )


@dataclass(frozen=True, slots=True)
class PlannedHeartbeat:
    """Stands for a second in which no track has a chunk, so that the worker knows that the session continues."""

    due_ms: int

    def event(self, plan: SessionPlan) -> SessionHeartbeat:
        """The event of its record."""
        return SessionHeartbeat(plan.epoch, self.due_ms)


PlannedRecord = PlannedChunk | PlannedHeartbeat


def plan_records(plan: SessionPlan, pieces: Iterable[SourcePiece]) -> Iterator[PlannedRecord]:
    """Chunks and heartbeats of a session in the order in which they are due, second by second.

    A track with a transcript has a text chunk for every second. Where nothing is said the chunk is empty: the aligner then knows that the
    speaker is silent and does not wait for late words. A word goes into the chunk of the second in which it ends, as a live recogniser
    would send it, so it may begin before its chunk. In a long gap of the recording without words, such as a hold, there are only rare
    heartbeats: no window is needed there, and a gap of a day would take minutes to send.

    Args:
        plan: The session.
        pieces: The file's pieces, in order of their ends; none of them crosses a full second.

    Raises:
        TranscriptError: More words end in one second than a chunk may hold.
    """
    words = {track.track: _words_by_second(track.words) for track in plan.tracks if track.words is not None}
    word_seconds = sorted({second for by_second in words.values() for second in by_second})
    builder = _ChunkBuilder(plan.tracks)
    source = iter(pieces)
    next_piece = next(source, None)
    second = 0
    while (next_second := _next_second(next_piece, word_seconds, second)) is not None:
        if next_second - second > MAX_QUIET_S:
            yield from _quiet(second, next_second)
            second = next_second
        until_ms = (second + 1) * MAX_CHUNK_MS
        in_second: list[SourcePiece] = []
        while next_piece is not None and next_piece.start_ms < until_ms:
            in_second.append(next_piece)
            next_piece = next(source, None)
        if _next_second(next_piece, word_seconds, second + 1) is None:
            # The last second ends with its media and words: a full second of text would make the session longer than its recording.
            word_ends_ms = (word.end_ms for by_second in words.values() for word in by_second.get(second, ()))
            until_ms = max([piece.end_ms for piece in in_second] + [*word_ends_ms, second * MAX_CHUNK_MS + 1])
        chunks = [*builder.media_chunks(in_second), *builder.text_chunks(words, second, until_ms)]
        yield from sorted(chunks, key=lambda chunk: chunk.due_ms)
        if not chunks:
            yield PlannedHeartbeat(until_ms)
        second += 1


def _next_second(next_piece: SourcePiece | None, word_seconds: Sequence[int], second: int) -> int | None:
    """The first second from this one on that has media or words; None at the end."""
    at = bisect_left(word_seconds, second)
    candidates = [] if next_piece is None else [max(second, next_piece.start_ms // MAX_CHUNK_MS)]
    return min([*candidates, *word_seconds[at : at + 1]], default=None)


def _quiet(second: int, until: int) -> Iterator[PlannedHeartbeat]:
    """Heartbeats for the seconds of a long gap: the first at once, so that the worker knows what follows is no silence."""
    for beat in range(second, until, HEARTBEAT_S):
        yield PlannedHeartbeat((beat + 1) * MAX_CHUNK_MS)


def _words_by_second(words: Sequence[Word]) -> dict[int, list[Word]]:
    """Words by the second in which they end. A word that ends at 1,000 ms belongs to second 0, whose chunk ends there, too."""
    by_second: dict[int, list[Word]] = defaultdict(list)
    for word in words:
        second = max(0, -(-word.end_ms // MAX_CHUNK_MS) - 1)
        by_second[second].append(word)
        if len(by_second[second]) > MAX_WORDS_PER_CHUNK:
            raise TranscriptError(f"more than {MAX_WORDS_PER_CHUNK} words end in second {second}")
    return dict(by_second)


def _ends_sentence(words: Sequence[Word]) -> bool:
    return bool(words) and words[-1].text.endswith(SENTENCE_ENDS)


class _ChunkBuilder:
    """Makes chunks and numbers them within each track and modality."""

    def __init__(self, tracks: Sequence[TrackSetup]) -> None:
        self._tracks = tracks
        self._next_seq: Counter[tuple[str, Modality]] = Counter()

    def media_chunks(self, pieces: Iterable[SourcePiece]) -> Iterator[PlannedChunk]:
        for piece in pieces:
            for track in self._tracks:
                belongs = track.video if piece.source is None else track.audio == piece.source
                if belongs:
                    seq = self._take_seq(track, piece.modality)
                    yield PlannedChunk(track, piece.modality, seq, piece.start_ms, piece.duration_ms, piece.payload)

    def text_chunks(self, words: dict[str, dict[int, list[Word]]], second: int, until_ms: int) -> Iterator[PlannedChunk]:
        start_ms = second * MAX_CHUNK_MS
        for track in self._tracks:
            if track.words is not None:
                ending = words[track.track].get(second, [])
                payload = encode_words(ending, final=_ends_sentence(ending))
                yield PlannedChunk(track, Modality.TEXT, self._take_seq(track, Modality.TEXT), start_ms, until_ms - start_ms, payload)

    def _take_seq(self, track: TrackSetup, modality: Modality) -> int:
        seq = self._next_seq[track.track, modality]
        self._next_seq[track.track, modality] += 1
        return seq


@dataclass(slots=True)
class SentCounts:
    """Counts a session's sent records: the content of its end record."""

    plan: SessionPlan
    media_ms: int = 0
    chunks: Counter[tuple[str, Modality]] = field(default_factory=Counter)
    payload_bytes: Counter[Modality] = field(default_factory=Counter)

    def add(self, record: PlannedRecord) -> None:
        """Count a record that was sent."""
        self.media_ms = max(self.media_ms, record.due_ms)
        if isinstance(record, PlannedChunk):
            self.chunks[record.track.track, record.modality] += 1
            self.payload_bytes[record.modality] += len(record.payload)

    def by_modality(self) -> dict[Modality, int]:
        """Number of chunks of all tracks, by modality."""
        return {m: sum(n for (_, modality), n in self.chunks.items() if modality is m) for m in MODALITIES}

    def bytes_per_minute(self) -> dict[Modality, int]:
        """Bytes of the chunks of all tracks, without their headers, for each minute of the session, by modality."""
        return {m: round(self.payload_bytes[m] * 60_000 / max(1, self.media_ms)) for m in MODALITIES}

    def end(self) -> SessionEnd:
        """The session's last record.

        It counts every modality of the plan, with 0 where nothing was sent: the worker then knows that no chunk is missing.
        """
        tracks = (TrackEnd(t.track, {m: self.chunks[t.track, m] for m in t.modalities}) for t in self.plan.tracks)
        return SessionEnd(self.plan.epoch, self.media_ms, tuple(tracks))
