"""The check of one session: a function of its records, in the order in which they are in Kafka."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from stream.align.media_clock import MediaClock
from stream.config.media_settings import WindowSettings
from stream.domain.chunk import Chunk, ChunkHeader
from stream.domain.identity import SessionKey
from stream.domain.kafka_records import BadRecordError, parse_chunk, parse_session
from stream.domain.modality import MODALITIES, Modality
from stream.domain.odd_records import LOOKED_AT, is_structured, similar_header
from stream.domain.topics import Topics
from stream.domain.wording import seconds
from stream.produce.check.clocks import StreamCheck, StreamSummary
from stream.produce.check.events import EventCheck, SentStream
from stream.produce.check.finding import Finding, Findings, Position
from stream.produce.check.fine import say_what_is_fine
from stream.produce.check.log import check_log
from stream.produce.check.payload import PayloadCheck, modality_name
from stream.produce.check.placement import PlacementCheck
from stream.produce.check.record import LogFacts, SentRecord
from stream.produce.check.unreadable import explain

RECENT_SESSIONS = 20
SYNC_LIMIT_MS = 185
"""Viewers notice a larger difference between sound and picture, and the workers flag it."""

LAG_MS = 5000
"""Results are late when one modality comes this much later than the others."""


@dataclass(frozen=True, slots=True)
class SessionReport:
    """What was found about a session.

    Attributes:
        records: Number of the session's records.
        streams: Its modalities, track by track.
        findings: Errors first, then warnings, then what is fine.
        recent: The newest sessions that were seen, without the one that was asked for; newest first.
    """

    records: int
    streams: tuple[StreamSummary, ...]
    findings: tuple[Finding, ...]
    recent: tuple[str, ...]


class SessionCheck:
    """Collects records and reports what is wrong or risky with those of one session. Its memory does not hold payloads.

    Args:
        session: The session.
        topics: Names of the topics.
        windows: Settings of the workers.
        partitions: Number of partitions of each input topic.
    """

    def __init__(self, session: SessionKey, topics: Topics, windows: WindowSettings, partitions: dict[str, int]) -> None:
        self.records = 0
        self._session = session
        self._key = str(session).encode("ascii")
        self._named = re.compile(rb"(?<![\w.-])" + re.escape(session.session.encode("ascii")) + rb"(?![\w.-])")
        self._windows = windows
        self._modality_of = {topics.chunks(modality): modality for modality in MODALITIES}
        self._findings = Findings()
        self._events = EventCheck(windows, self._findings)
        self._clocks: dict[tuple[str, Modality, int], MediaClock] = {}
        self._runs: dict[tuple[str, Modality, int], list[StreamCheck]] = defaultdict(list)
        self._payloads: dict[tuple[str, Modality], PayloadCheck] = {}
        self._roles: dict[str, set[str]] = defaultdict(set)
        self._ids: set[str] = set()
        self._written: list[int] = []
        self._first_chunk_ms: dict[int, int] = {}
        self._placement = PlacementCheck(self._key, partitions)
        self._unreadable: set[Modality] = set()
        self._recent: dict[str, int] = {}

    def add(self, record: SentRecord) -> None:
        """Add a record of any session, in the order of its partition."""
        if not self.belongs(record):
            self._note_other(record)
            return
        self.records += 1
        self._written.append(record.timestamp_ms)
        self._placement.add(record)
        modality = self._modality_of.get(record.at.topic)
        try:
            if modality is None:
                event = parse_session(record.key, record.value, _present(record))
                self._events.add(event, record.timestamp_ms, record.at)
            else:
                self._add_chunk(parse_chunk(record.key, record.value, _present(record), modality), record)
        except BadRecordError as error:
            if modality is not None:
                self._unreadable.add(modality)
            found = explain(record, error, is_event=modality is None)
            self._findings.error(found.code, f"{record.at.topic}: {found.text}", found.fix, example=record.at)

    def report(self, log: LogFacts) -> SessionReport:
        """What was found."""
        if self.records:
            self._check_streams(log, from_start=self._from_start(log))
            self._placement.report(self._findings)
            check_log(log, min(self._written), max(self._written), self._findings)
            if self._runs:
                say_what_is_fine(self._findings, from_start=self._from_start(log))
        streams = [stream.summary(*name) for name, runs in self._runs.items() for stream in runs]
        recent = sorted(self._recent, key=lambda name: -self._recent[name])[:RECENT_SESSIONS]
        order = sorted(streams, key=lambda summary: (summary.track, summary.epoch, MODALITIES.index(summary.modality)))
        return SessionReport(self.records, tuple(order), self._findings.by_severity(), tuple(recent))

    def belongs(self, record: SentRecord) -> bool:
        """Whether a record is meant for the session, even if its key or its headers are wrong."""
        if record.key == self._key:
            return True
        subject, tenant = (_similar_value(record, name) for name in ("ce_subject", "ce_tenant"))
        if subject is not None:
            return subject == self._session.session and tenant in {None, self._session.tenant}
        if record.key is not None:
            # A key in UTF-16 has a zero byte beside each letter.
            return _session_of(record.key) is None and self._named.search(record.key.replace(b"\0", b"")) is not None
        value = (record.value or b"")[:LOOKED_AT]
        return is_structured(value, record.attributes) and self._named.search(value) is not None

    def _note_other(self, record: SentRecord) -> None:
        other = _session_of(record.key)
        if record.key is None or other is None:
            return
        self._recent[str(other)] = max(self._recent.get(str(other), 0), record.timestamp_ms)
        self._placement.add(record)

    def _add_chunk(self, chunk: Chunk, record: SentRecord) -> None:
        header, findings, at = chunk.header, self._findings, record.at
        track, modality, epoch = header.track.track, header.modality, header.epoch
        restarted = self._is_restarted(header, at)
        runs = self._runs[track, modality, epoch]
        if restarted or not runs:
            name = modality_name(track, modality) + (f", epoch {epoch}" if epoch else "")
            runs.append(StreamCheck(name, self._windows, findings))
        if runs[-1].add(header, chunk.payload, record.timestamp_ms, at) and header.id in self._ids:
            text = "different records have the same ce_id"
            findings.warn("same_id", text, "give every record an id of its own, for example a UUID", example=at)
        self._ids.add(header.id)
        self._roles[track].add(header.role)
        self._first_chunk_ms[epoch] = min(self._first_chunk_ms.get(epoch, record.timestamp_ms), record.timestamp_ms)
        payload = self._payloads.setdefault((track, modality), PayloadCheck(modality_name(track, modality), findings))
        payload.add(chunk, at)

    def _is_restarted(self, header: ChunkHeader, at: Position) -> bool:
        """Whether the media clock has started again. Each modality has a clock here: the topics are not read in the order of sending."""
        stream = (header.track.track, header.modality, header.epoch)
        clock = self._clocks.get(stream)
        restarted = clock is not None and clock.is_restarted(header.end_ms, header.media_start_at_ms)
        if clock is None or restarted:
            clock = self._clocks[stream] = MediaClock(self._windows.max_ahead_ms, self._windows.max_back_ms)
        if restarted:
            text = "the media clock starts again without a new ce_epoch: the workers number such epochs themselves"
            fix = "raise ce_epoch and begin ce_sequence at 0 whenever the media clock starts again"
            self._findings.warn("clock_restarted", text, fix, example=at)
        if clock.is_future(header.media_start_at_ms):
            text = f"chunks run ahead of their capture time by more than windows.max_ahead_ms ({seconds(self._windows.max_ahead_ms)})"
            fix = "ce_mediastart counts milliseconds of media since the session's start; ce_time is the capture of the chunk's last sample"
            self._findings.error("future", text, fix, example=at)
        clock.advance(header.end_ms, header.media_start_at_ms)
        return restarted

    def _from_start(self, log: LogFacts) -> bool:
        """Whether the session's first record is among those that were read: nothing of it came for long before."""
        return log.covered_from_ms is None or min(self._written) - log.covered_from_ms > self._windows.expire_after_ms

    def _check_streams(self, log: LogFacts, *, from_start: bool) -> None:
        findings = self._findings
        append_time = {topic.name: bool(topic.append_time) for topic in log.topics}
        topic_of = {modality: name for name, modality in self._modality_of.items()}
        for (_, modality, _), runs in self._runs.items():
            for stream in runs:
                broker_sets_time = append_time.get(topic_of[modality], False)
                stream.finish(is_text=modality is Modality.TEXT, append_time=broker_sets_time)
                if len(stream.sources) > 1:
                    text = f"{stream.name}: {len(stream.sources)} producers send it (ce_source)"
                    fix = "one producer sends a modality of a track: two number their chunks alike"
                    findings.warn("several_sources", text, fix, count=0)
        for payload in self._payloads.values():
            payload.finish()
        for track, roles in self._roles.items():
            if len(roles) > 1:
                text = f"the track {track} has {len(roles)} roles (ce_role)"
                findings.warn("several_roles", text, "a track keeps its role: give each participant a track of its own", count=0)
        for epoch in sorted({epoch for _, _, epoch in self._runs} | self._events.epochs):
            latest = {(track, modality): runs[-1] for (track, modality, of_epoch), runs in self._runs.items() if of_epoch == epoch}
            self._compare_modalities(latest)
            sent = {name: SentStream(frozenset(stream.seen), stream.reached_ms) for name, stream in latest.items()}
            first_ms = self._first_chunk_ms.get(epoch, 0)
            newest_ms = max(self._written)
            self._events.finish(
                epoch, sent, self._unreadable, first_ms=first_ms, newest_ms=newest_ms, now_ms=log.read_ms, from_start=from_start
            )
        self._check_silence()

    def _compare_modalities(self, streams: Mapping[tuple[str, Modality], StreamCheck]) -> None:
        """Compare the clocks and the delays of the modalities of each track."""
        for track in sorted({track for track, _ in streams}):
            of_track = {modality: stream for (name, modality), stream in streams.items() if name == track}
            sound, picture = (of_track[m].media_start_at_ms if m in of_track else None for m in (Modality.AUDIO, Modality.VIDEO))
            if sound is not None and picture is not None and abs(sound - picture) > SYNC_LIMIT_MS:
                text = f"sound and picture of {track} are {seconds(int(abs(sound - picture)))} apart by their capture times"
                fix = "take ce_time before encoding, from one clock for both; start both media clocks at the same moment (docs/records.md)"
                self._findings.warn("skew", text, fix, count=0)
            delays = {modality: delay for modality, stream in of_track.items() if (delay := stream.delay_ms) is not None}
            for modality, delay in delays.items():
                behind_ms = int(delay - min(delays.values()))
                if behind_ms > LAG_MS:
                    text = f"{modality_name(track, modality)} comes {seconds(behind_ms)} later than the rest of its track"
                    self._findings.warn("modality_lags", text, "send it sooner: windows wait for it, and results with them", count=0)

    def _check_silence(self) -> None:
        written = sorted(self._written)
        longest = max((after - before for before, after in pairwise(written)), default=0)
        if longest > self._windows.expire_after_ms:
            text = f"nothing was sent for {seconds(longest)}: workers close a session after {seconds(self._windows.expire_after_ms)}"
            self._findings.error("expired", text, "send a heartbeat every 30 s while nothing is recorded")
        elif longest > self._windows.expire_after_ms / 4:
            text = f"nothing was sent for {seconds(longest)}"
            self._findings.warn("heartbeat_gap", text, "send a heartbeat every 30 s while nothing is recorded")


def _similar_value(record: SentRecord, name: str) -> str | None:
    """The value of a header whose name may be written differently, without quotes; None if there is none."""
    attributes = record.attributes
    found = name if name in attributes else similar_header(name, attributes)
    return None if found is None else attributes[found].strip(b'"').decode("ascii", errors="replace")


def _session_of(key: bytes | None) -> SessionKey | None:
    """The session that a key names; None if it is no key of a session."""
    try:
        return SessionKey.parse((key or b"").decode("ascii"))
    except ValueError:
        return None


def _present(record: SentRecord) -> list[tuple[str, bytes]]:
    return [(name, value) for name, value in record.headers if value is not None]
