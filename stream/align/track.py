"""Windows of one track: a pure state machine, time is handed in."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic

from stream.align.lane import Lane, LaneSnapshot, Novelty
from stream.align.outcome import ClosedWindow, EncodedChunk, LateChunk, Outcome, R, UnusedChunks
from stream.align.rule import Span, WindowRule
from stream.align.sync import Stamp, correction_ms, is_suspect, measure, moved, updated
from stream.domain.features import AudioFeatures, TextFeatures, VideoFeatures
from stream.domain.identity import TrackKey
from stream.domain.modality import MODALITIES, Modality
from stream.domain.sync import ClockSkew, Sync
from stream.domain.window import SHED, SYNC_SUSPECT, Window


@dataclass(frozen=True, slots=True)
class WindowPolicy:
    """When windows open and close; all in milliseconds, the meanings are those of `config.settings.WindowSettings`."""

    rule: WindowRule
    allowed_lateness_ms: int
    idle_after_ms: int
    partial_every_ms: int
    max_skew_ms: int

    @property
    def final_revision(self) -> int:
        """Revision of every final window: one more than the last partial one can have."""
        return self.rule.longest_ms // self.partial_every_ms + 1 if self.partial_every_ms else 1


@dataclass(frozen=True, slots=True)
class TrackSnapshot:
    """A track at one moment, without its policy; names and meanings are those of `TrackAligner`."""

    track: TrackKey
    role: str
    epoch: int
    lanes: tuple[tuple[Modality, LaneSnapshot], ...]
    closed_until_ms: int
    final_before_ms: int
    advanced_to: float
    shown_ms: int
    end_ms: int | None
    ended: bool
    skew: ClockSkew | None
    compared_ms: int


class TrackAligner(Generic[R]):
    """Collects the chunks of a track and closes its windows in order.

    The window rule says where windows lie, the watermark when they close. The watermark is the least of its modalities' progress, less
    the allowed lateness; a modality that has been quiet for ``idle_after_ms`` no longer counts, and when all are quiet the wall clock
    moves it on.

    Args:
        track: Whose windows these are.
        role: The track's role.
        epoch: The media clock they belong to.
        policy: When windows open and close.
        expected: Modalities to wait for; None waits for all of them until they turn out to be idle.
        final_until_ms: End of the last window that is already final (a replay goes on after it), or None.
        sync: Clock skews as of that window.
        now: Monotonic clock, ms.
    """

    __slots__ = (
        "_advanced_to",
        "_compared_ms",
        "_cutter",
        "_end_ms",
        "_ended",
        "_final_before_ms",
        "_first_held_ms",
        "_lanes",
        "_policy",
        "_shown_ms",
        "_skew",
        "epoch",
        "held",
        "role",
        "track",
    )

    def __init__(
        self,
        track: TrackKey,
        role: str,
        epoch: int,
        policy: WindowPolicy,
        *,
        expected: Iterable[Modality] | None,
        final_until_ms: int | None,
        now: int,
        sync: Sync | None = None,
    ) -> None:
        self.track = track
        self.role = role
        self.epoch = epoch
        self._policy = policy
        self._lanes: dict[Modality, Lane[R]] = {m: Lane(now) for m in (MODALITIES if expected is None else expected)}
        self._cutter = policy.rule.cutter(final_until_ms)
        self._final_before_ms = self._cutter.closed_until_ms
        self._first_held_ms = sys.maxsize
        self._advanced_to: float = -math.inf
        self._shown_ms = 0
        self._end_ms: int | None = None
        self._skew = None if sync is None else sync.get(Modality.VIDEO)
        self._compared_ms = final_until_ms or 0
        self._ended = False
        self.held = 0
        """Chunks that wait for a window to close."""

    def snapshot(self) -> TrackSnapshot:
        """The track as it is now."""
        return TrackSnapshot(
            track=self.track,
            role=self.role,
            epoch=self.epoch,
            lanes=tuple([(modality, lane.snapshot()) for modality, lane in self._lanes.items()]),
            closed_until_ms=self._cutter.closed_until_ms,
            final_before_ms=self._final_before_ms,
            advanced_to=self._advanced_to,
            shown_ms=self._shown_ms,
            end_ms=self._end_ms,
            ended=self._ended,
            skew=self._skew,
            compared_ms=self._compared_ms,
        )

    @classmethod
    def restored(cls, seen: TrackSnapshot, policy: WindowPolicy) -> TrackAligner[R]:
        """A track that goes on from a snapshot."""
        track = cls(seen.track, seen.role, seen.epoch, policy, expected=(), final_until_ms=None, now=0)
        track._lanes = {modality: Lane.restored(lane) for modality, lane in seen.lanes}
        track._cutter.closed_until_ms = seen.closed_until_ms
        for lane in track._lanes.values():
            for held in lane.held:
                track._cutter.add(held.start_ms, held.end_ms, held.features)
        track._final_before_ms = seen.final_before_ms
        track._advanced_to = seen.advanced_to
        track._shown_ms = seen.shown_ms
        track._end_ms = seen.end_ms
        track._ended = seen.ended
        track._skew = seen.skew
        track._compared_ms = seen.compared_ms
        track._count_held()
        return track

    def _count_held(self) -> None:
        """Keep at hand what is asked for with every chunk."""
        waiting = [lane.held for lane in self._lanes.values() if lane.held]
        self.held = sum([len(held) for held in waiting])
        self._first_held_ms = min([held[0].start_ms for held in waiting], default=sys.maxsize)

    @property
    def closed_until_ms(self) -> int:
        """Media time before which no window opens any more; never goes back."""
        return self._cutter.closed_until_ms

    def expect(self, role: str, modalities: Iterable[Modality], now: int) -> None:
        """Wait for these modalities and no others, apart from any that come all the same."""
        self.role = role
        wanted = set(modalities)
        self._lanes = {m: lane for m, lane in self._lanes.items() if m in wanted or lane.heard}
        for modality in wanted - self._lanes.keys():
            self._lanes[modality] = Lane(now)

    def on_chunk(self, chunk: EncodedChunk[R], now: int) -> Outcome[R]:
        """Take in a chunk and close what can be closed."""
        outcome: Outcome[R] = Outcome()
        lane = self._lanes.get(chunk.header.modality)
        if lane is None:
            lane = self._lanes[chunk.header.modality] = Lane(now)
        novelty = lane.note(chunk, now)
        if novelty is Novelty.NEW:
            self._place(chunk, lane, outcome)
            self._advance(self._watermark(), outcome)
            self._look(outcome)
        elif novelty is Novelty.REPEATED:
            outcome.repeated += (chunk,)
        else:
            outcome.conflicts += (chunk,)
        return outcome

    def _place(self, chunk: EncodedChunk[R], lane: Lane[R], outcome: Outcome[R]) -> None:
        header = chunk.header
        end_ms = header.end_ms
        if end_ms <= self._final_before_ms:
            lane.remember(header.seq, chunk.fingerprint)
            outcome.repeated += (chunk,)
        elif self._ended or end_ms <= self._cutter.closed_until_ms:
            lane.remember(header.seq, chunk.fingerprint)
            outcome.late += (LateChunk(chunk, max(1, self._cutter.closed_until_ms - end_ms)),)
        else:
            lane.hold(chunk)
            self._first_held_ms = min(self._first_held_ms, header.start_ms)
            self.held += 1
            if self._cutter.add(header.start_ms, end_ms, chunk.features) and self._advanced_to > -math.inf:
                self._cut(self._advanced_to, outcome, ())

    def on_time(self, now: int) -> Outcome[R]:
        """Let time pass in which everything that existed had been read, so that quiet means silence."""
        outcome: Outcome[R] = Outcome()
        if self.held:
            self._advance(self._watermark_at(now), outcome)
        return outcome

    def due_ms(self, now: int) -> float:
        """When `on_time` can next bring something about, if no chunk comes before."""
        if not self.held:
            return math.inf
        idle_at = [lane.last_sign + self._policy.idle_after_ms for lane in self._lanes.values()]
        waiting = [at for at in idle_at if at > now]
        if waiting:
            return min(waiting)
        until_closed = self._cutter.due_ms(self._first_held_ms) + self._policy.allowed_lateness_ms - self._reached_ms()
        return max(lane.last_sign for lane in self._lanes.values()) + until_closed

    def idle_at(self, now: int) -> float:
        """When the next modality turns out to be quiet, if no chunk comes before."""
        return min([at for lane in self._lanes.values() if (at := lane.last_sign + self._policy.idle_after_ms) > now], default=math.inf)

    def next_end_ms(self, now: int) -> float:
        """Media time before which no window that has not closed yet ends, unless a chunk comes late.

        Infinite when none is to be expected: the track has ended, or nothing waits and all modalities are quiet.
        """
        if self._ended:
            return math.inf
        policy = self._policy
        active = [lane.reached_ms for lane in self._lanes.values() if now - lane.last_sign < policy.idle_after_ms]
        watermark = max(self._advanced_to, min(active) - policy.allowed_lateness_ms) if active else math.inf
        return self._cutter.next_end_ms(self._first_held_ms, watermark)

    def complete(self, counts: dict[Modality, int]) -> bool:
        """True when all the chunks that a session's end has counted for this track are here."""
        done_ms = self._final_before_ms
        return all(m in self._lanes and self._lanes[m].complete(count, done_ms) for m, count in counts.items() if count)

    def end(self, media_ms: int | None) -> Outcome[R]:
        """Close every window that holds a chunk.

        Args:
            media_ms: Where the session ended; the chunks are believed where they contradict it, or where it is None.
        """
        newest_ms = max((lane.held[-1].start_ms for lane in self._lanes.values() if lane.held), default=-1)
        self._end_ms = self._reached_ms() if media_ms is None or media_ms <= newest_ms else media_ms
        self._ended = True
        outcome: Outcome[R] = Outcome()
        self._advance(math.inf, outcome)
        return outcome

    def shed(self) -> Outcome[R]:
        """Close the oldest window that holds a chunk without waiting any longer, to free memory."""
        outcome: Outcome[R] = Outcome()
        if self.held:
            self._cut(max(self._advanced_to, self._cutter.due_ms(self._first_held_ms)), outcome, (SHED,))
        return outcome

    def _reached_ms(self) -> int:
        return max((lane.reached_ms for lane in self._lanes.values()), default=0)

    def _watermark(self) -> float:
        return min([lane.reached_ms for lane in self._lanes.values()]) - self._policy.allowed_lateness_ms

    def _watermark_at(self, now: int) -> float:
        policy = self._policy
        active = [lane.reached_ms for lane in self._lanes.values() if now - lane.last_sign < policy.idle_after_ms]
        if active:
            return min(active) - policy.allowed_lateness_ms
        quiet = min(now - lane.last_sign for lane in self._lanes.values())
        return self._reached_ms() + quiet - policy.allowed_lateness_ms

    def _advance(self, watermark: float, outcome: Outcome[R]) -> None:
        if watermark > self._advanced_to:
            self._cut(watermark, outcome, ())

    def _cut(self, watermark: float, outcome: Outcome[R], warnings: tuple[str, ...]) -> None:
        self._advanced_to = watermark
        cutter = self._cutter
        while self.held and (span := cutter.cut(self._first_held_ms, watermark)) is not None:
            outcome.closed += (self._close(span, warnings),)
        cutter.skip(watermark)
        if self.held and self._first_held_ms < cutter.closed_until_ms:
            receipts, released = self._release()
            if released:
                outcome.unused += (UnusedChunks(self.track, receipts, released),)

    def _close(self, span: Span, warnings: tuple[str, ...]) -> ClosedWindow[R]:
        media_end = span.end_ms if self._end_ms is None else min(span.end_ms, self._end_ms)
        self._skew = self._video_skew(span.start_ms, span.end_ms)
        self._compared_ms = span.end_ms
        final = self._window(span, media_end, self._policy.final_revision, self._skew, warnings)
        return ClosedWindow(final, *self._release())

    def _release(self) -> tuple[tuple[R, ...], int]:
        """Let go of the chunks that are in no further window; their receipts and their number."""
        released = [held for lane in self._lanes.values() for held in lane.release(self._cutter.closed_until_ms)]
        self._count_held()
        return tuple([held.receipt for held in released if held.receipt is not None]), len(released)

    def _look(self, outcome: Outcome[R]) -> None:
        """A partial window each time that all modalities have come a further ``partial_every_ms``."""
        every = self._policy.partial_every_ms
        if self._ended or not every:
            return
        next_ms = self._shown_ms + every
        for lane in self._lanes.values():
            if lane.reached_ms < next_ms and lane.heard:
                return
        reached = min([lane.reached_ms for lane in self._lanes.values() if lane.heard]) // every * every
        self._shown_ms = reached
        span = self._cutter.open_span(reached)
        if span is not None:
            media_end = min(reached, span.end_ms)
            skew = self._skew or self._video_skew(span.start_ms, media_end)
            outcome.partial += (self._window(span, media_end, (reached - span.start_ms) // every, skew, is_final=False),)

    def _video_skew(self, start_ms: int, until_ms: int) -> ClockSkew | None:
        """Skew of video against audio as of a media time, by the chunks of a window that have ended since the last final one.

        Chunks before the window's start do not count: whether they still wait depends on when they came.
        """
        audio = self._stamps(Modality.AUDIO, start_ms, until_ms)
        video = self._stamps(Modality.VIDEO, max(start_ms, self._compared_ms), until_ms)
        return updated(self._skew, measure(audio, video))

    def _stamps(self, modality: Modality, after_ms: int, until_ms: int) -> list[Stamp]:
        """Of the chunks that end in a span and that a replay will see again: one that could not be decoded is gone."""
        lane = self._lanes.get(modality)
        if lane is None:
            return []
        return [
            (held.end_ms, held.captured_ms - held.end_ms)
            for held in lane.held
            if after_ms < held.end_ms <= until_ms and held.features is not None
        ]

    def _window(
        self,
        span: Span,
        media_end_ms: int,
        revision: int,
        skew: ClockSkew | None,
        warnings: tuple[str, ...] = (),
        *,
        is_final: bool = True,
    ) -> Window:
        start, end = span
        found: dict[type, list[Any]] = {TextFeatures: [], AudioFeatures: [], VideoFeatures: []}
        newest_ms, captured_ms = -1, 0
        for modality in MODALITIES:
            if (lane := self._lanes.get(modality)) is None:
                continue
            for held in lane.held:
                if held.start_ms < end and held.end_ms > start:
                    if held.end_ms >= newest_ms:
                        newest_ms, captured_ms = held.end_ms, held.captured_ms
                    if held.features is not None:
                        found[type(held.features)].append(held.features)
        video, shift_ms = found[VideoFeatures], correction_ms(skew, end, self._policy.max_skew_ms)
        return Window(
            track=self.track,
            role=self.role,
            epoch=self.epoch,
            start_ms=start,
            end_ms=end,
            media_end_ms=media_end_ms,
            revision=revision,
            is_final=is_final,
            text=tuple(found[TextFeatures]),
            audio=tuple(found[AudioFeatures]),
            video=tuple([moved(frames, shift_ms) for frames in video] if shift_ms else video),
            media_end_at_ms=None if newest_ms < 0 else captured_ms + media_end_ms - newest_ms,
            sync={} if skew is None else {Modality.VIDEO: skew},
            warnings=(*warnings, SYNC_SUSPECT) if video and is_suspect(skew, end) else warnings,
        )
