"""Compares the start, heartbeat, consent and end records of a session with the chunks that were sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from stream.config.media_settings import WindowSettings
from stream.domain.modality import Modality
from stream.domain.session_events import KeyedSessionEvent, SessionConsent, SessionEnd, SessionStart
from stream.domain.wording import seconds
from stream.produce.check.finding import Findings, Position
from stream.produce.check.payload import modality_name

STILL_RUNNING_MS = 60_000
"""A session whose newest record is younger than this may still be running: its end record is not missing yet."""

BEHIND_MS = 3000
"""A modality that ends this much before the others of its track has stopped early."""

Sent = Mapping[tuple[str, Modality], "SentStream"]


@dataclass(frozen=True, slots=True)
class SentStream:
    """What was sent of one modality of one track in one epoch: the numbers of its chunks, and the media time that it reached."""

    numbers: frozenset[int]
    end_ms: int


@dataclass(slots=True)
class EventCheck:
    """Collects the records of the sessions topic.

    Args:
        windows: Settings of the workers.
        findings: Receives what is found.
    """

    windows: WindowSettings
    findings: Findings
    _starts: dict[int, list[tuple[SessionStart, int, Position]]] = field(default_factory=lambda: defaultdict(list))
    _consents: dict[int, list[tuple[SessionConsent, Position]]] = field(default_factory=lambda: defaultdict(list))
    _ends: dict[int, list[tuple[SessionEnd, int, Position]]] = field(default_factory=lambda: defaultdict(list))

    @property
    def epochs(self) -> set[int]:
        """Epochs of which there is a start or an end."""
        return {*self._starts, *self._ends}

    def add(self, event: KeyedSessionEvent, written_ms: int, at: Position) -> None:
        """Add an event."""
        if event.at_ms is None:
            self.findings.warn(
                "event_without_time",
                "session events have no ce_time: a worker cannot tell the runs of the media clock apart",
                "send ce_time with every event",
                example=at,
            )
        match event.event:
            case SessionStart():
                self._starts[event.event.epoch].append((event.event, written_ms, at))
            case SessionConsent():
                self._consents[event.event.epoch].append((event.event, at))
            case SessionEnd():
                self._ends[event.event.epoch].append((event.event, written_ms, at))

    def finish(
        self, epoch: int, sent: Sent, unreadable: Set[Modality], *, first_ms: int, newest_ms: int, now_ms: int, from_start: bool
    ) -> None:
        """Report what the events of an epoch say about its chunks.

        Args:
            epoch: The epoch.
            sent: Its chunks.
            unreadable: Modalities of which some chunks cannot be read, so that nothing is said about missing ones.
            first_ms: Kafka's timestamp of its first chunk.
            newest_ms: Kafka's timestamp of the session's newest record.
            now_ms: Now.
            from_start: Nothing was left out before the first record that was read.
        """
        self._check_start(epoch, sent, unreadable, first_ms, from_start=from_start)
        self._check_end(epoch, sent, unreadable, newest_ms, now_ms)
        self._check_consents(epoch, {track for track, _ in sent})
        self._check_lengths(sent)

    def _check_start(self, epoch: int, sent: Sent, unreadable: Set[Modality], first_ms: int, *, from_start: bool) -> None:
        findings, of = self.findings, _of(epoch)
        starts = self._starts[epoch]
        if not starts:
            if from_start:
                text = f"there is no start record{of}: windows wait {self.windows.idle_after_ms} ms for modalities that never come"
                findings.warn(
                    "no_start", text, "send a start record with tracks and modalities to the topic sessions before the first chunk"
                )
            return
        start, written_ms, at = starts[0]
        if len(starts) > 1:
            text = f"there are {len(starts)} start records{of}"
            findings.warn(
                "several_starts",
                text,
                "send one start for each run of the media clock; raise ce_epoch with a restart",
                example=starts[1][2],
            )
        if sent and written_ms > first_ms + self.windows.idle_after_ms:
            text = f"the start record{of} was sent {seconds(written_ms - first_ms)} after the first chunk"
            findings.warn("late_start", text, "send it first, and wait until Kafka has acknowledged it", example=at)
        announced = {(track.track, modality) for track in start.tracks for modality in track.modalities}
        for track, modality in sorted(name for name in announced - sent.keys() if name[1] not in unreadable):
            text = f"{modality_name(track, modality)} was announced{of}, but never sent"
            findings.warn(
                "announced_not_sent", text, "announce only what is sent: windows wait for it, and report it as missing", example=at
            )
        for track, modality in sorted(sent.keys() - announced):
            text = f"{modality_name(track, modality)} was sent{of}, but not announced"
            findings.warn("sent_not_announced", text, "name every track and modality in the start record", example=at)

    def _check_end(self, epoch: int, sent: Sent, unreadable: Set[Modality], newest_ms: int, now_ms: int) -> None:
        findings, of, ends = self.findings, _of(epoch), self._ends[epoch]
        if not ends:
            if now_ms - newest_ms > STILL_RUNNING_MS:
                text = f"there is no end record{of}: the last windows close {seconds(self.windows.expire_after_ms)} after the last record"
                findings.warn("no_end", text, "send an end record with the number of chunks of each track and modality")
            return
        end, _, at = ends[-1]
        if not end.tracks:
            text = f"the end record{of} counts no chunks: a worker cannot know whether the last ones are still on their way"
            findings.warn("end_without_counts", text, "count the chunks of each track and modality in the end record", example=at)
        for track in end.tracks:
            for modality, count in track.chunks.items():
                stream = sent.get((track.track, modality))
                numbers = stream.numbers if stream is not None else frozenset()
                missing = count - len(numbers)
                name = modality_name(track.track, modality)
                if modality in unreadable:
                    continue
                if missing > 0:
                    text = f"{name}: the end record{of} counts {count} chunks, {missing} of them are not there"
                    fix = "count the chunks that Kafka has acknowledged; a worker waits windows.end_grace_ms for the others"
                    findings.error("end_counts_too_many", text, fix, example=at)
                elif missing < 0:
                    text = f"{name}: the end record{of} counts {count} chunks, but there are {len(numbers)}"
                    findings.error("end_counts_too_few", text, "send the end record last, with all chunks counted", example=at)
        reached = max((stream.end_ms for stream in sent.values()), default=0)
        if end.media_ms + 1 < reached:
            text = f"media_ms of the end record{of} is {seconds(reached - end.media_ms)} before the end of the last chunk"
            findings.warn("end_too_early", text, "media_ms is the media time at which the session ends, in milliseconds", example=at)

    def _check_consents(self, epoch: int, tracks: Set[str]) -> None:
        findings, of = self.findings, _of(epoch)
        known = tracks | {plan.track for start, _, _ in self._starts[epoch] for plan in start.tracks}
        said: dict[tuple[str | None, int], bool] = {}
        for consent, at in self._consents[epoch]:
            if consent.track is not None and known and consent.track not in known:
                text = f"a consent record{of} is about a track that the session does not have: it changes nothing"
                findings.warn("consent_of_no_track", text, "name a track of the start record, or leave `track` out for all", example=at)
            if said.setdefault((consent.track, consent.media_ms), consent.consent) != consent.consent:
                text = f"two consent records{of} contradict each other at the same media time: the withdrawal counts"
                findings.warn("consents_contradict", text, "send a later media_ms with what is said later", example=at)

    def _check_lengths(self, sent: Sent) -> None:
        reached: dict[str, int] = defaultdict(int)
        for (track, _), stream in sent.items():
            reached[track] = max(reached[track], stream.end_ms)
        for (track, modality), stream in sent.items():
            if reached[track] - stream.end_ms > BEHIND_MS:
                text = f"{modality_name(track, modality)} ends {seconds(reached[track] - stream.end_ms)} before the rest of its track"
                fix = "send chunks to the end, for text also with an empty list of words: windows wait for what stops early"
                self.findings.warn("stops_early", text, fix)


def _of(epoch: int) -> str:
    return f" of epoch {epoch}" if epoch else ""
