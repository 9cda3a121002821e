"""The aligner of one epoch of one session: its tracks, its plan and its end. A pure state machine; time is passed in."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Generic, NamedTuple

from stream.align.context import ContextQueue
from stream.align.expiry import Expiry
from stream.align.media_clock import MediaClock
from stream.align.outcome import A, EncodedChunk, Outcome
from stream.align.track import NOTHING_WITHHELD, TrackAligner, WindowPolicy
from stream.domain.chunk import ChunkHeader
from stream.domain.clock_skew import ClockSkews
from stream.domain.context import ContextWindow
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.modality import Modality
from stream.domain.session_events import SessionEnd, SessionStart


class ExpectedTrack(NamedTuple):
    """A track that is expected but has sent nothing yet: since when, and up to which media time its windows are final."""

    since: int
    final_until_ms: int | None


class SessionAligner(Generic[A]):
    """Aligns the chunks of one epoch of one session.

    A closed window is released with the finished windows that are its context (`stream.align.context`). It waits for the other tracks of
    the session as a track waits for its modalities: for tracks that have begun, are in the session's plan or had windows before, until
    they are quiet.

    Args:
        session: The session.
        epoch: The epoch of its media clock.
        policy: When windows open and close.
        end_grace_ms: How long to wait for chunks that a session's end has counted.
        expire_after_ms: A session without any record for this long ends by itself.
        max_ahead_ms: How far a chunk's media time may run ahead of the clock that it was captured by.
        max_back_ms: How far media time may go back while the capture clock advances.
        max_held: Most chunks that are held until a window closes; with more, the oldest window closes early.
        now: Milliseconds on a clock that runs while everything that exists has been read: see `CaughtUpClock`.
    """

    __slots__ = (
        "_context",
        "_end",
        "_expected",
        "_expiry",
        "_last_tick",
        "_max_held",
        "_plan",
        "_policy",
        "_tracks",
        "accepted",
        "ended",
        "epoch",
        "media_clock",
        "session",
        "shed_windows",
    )

    def __init__(
        self,
        session: SessionKey,
        epoch: int,
        policy: WindowPolicy,
        *,
        end_grace_ms: int,
        expire_after_ms: int,
        max_ahead_ms: int,
        max_back_ms: int,
        max_held: int,
        now: int,
    ) -> None:
        self.session = session
        self.epoch = epoch
        self.media_clock = MediaClock(max_ahead_ms, max_back_ms)
        """The epoch's media clock."""
        self._policy = policy
        self._expiry = Expiry(end_grace_ms, expire_after_ms, now)
        self._max_held = max_held
        self._tracks: dict[str, TrackAligner[A]] = {}
        self._plan: SessionStart | None = None
        self._end: SessionEnd | None = None
        self._expected: dict[str, ExpectedTrack] = {}
        self._last_tick = now
        self._context: ContextQueue[A] = ContextQueue()
        self.ended = False
        """True once every window has closed; nothing more is expected."""
        self.accepted = 0
        """Chunks that were neither late nor repeated."""
        self.shed_windows = 0
        """Windows that were closed early because too many chunks were held."""

    @property
    def held(self) -> int:
        """Chunks that are held until a window closes, or are in a closed window that waits for its context."""
        held = self._context.held_chunks if self._context.waiting else 0
        for track in self._tracks.values():
            held += track.held
        return held

    def watermark_lag_ms(self, now: int) -> float:
        """Media time from the watermark of the slowest track to its newest chunk."""
        return max([track.watermark_lag_ms(now) for track in self._tracks.values()], default=0.0)

    @property
    def tracks(self) -> Collection[str]:
        """Names of the tracks that have been opened."""
        return self._tracks.keys()

    def add_final_windows(self, windows: Iterable[ContextWindow], now: int) -> None:
        """Add windows of any track that were already final; called before a track is opened. Open tracks keep their windows."""
        final = sorted([window for window in windows if window.track not in self._tracks], key=lambda window: window.end_ms)
        self._context.add_final_windows(final)
        for track, _, end_ms in final:
            since, _ = self._expected.get(track, (now, None))
            self._expected[track] = ExpectedTrack(since, end_ms)

    def open_track(
        self,
        track: TrackKey,
        role: str,
        final_until_ms: int | None,
        now: int,
        clock_skews: ClockSkews | None = None,
        *,
        final_at_ms: int | None = None,
        expected_before: Iterable[Modality] = (),
        withheld: Mapping[Modality, int] = NOTHING_WITHHELD,
    ) -> None:
        """Begin a track.

        Args:
            track: The track.
            role: Its role, unless the session's plan gives another.
            final_until_ms: Windows that end there or before are final already.
            now: Monotonic clock, ms.
            clock_skews: Clock skews at the last final window.
            final_at_ms: Wall clock at which the last final window's end was captured.
            expected_before: Modalities that were expected at the last final window.
            withheld: See `withhold`.
        """
        if final_until_ms is not None and final_at_ms is not None:
            self.media_clock.advance(final_until_ms, final_at_ms - final_until_ms)
        planned = {} if self._plan is None else {p.track: p for p in self._plan.tracks}
        plan = planned.get(track.track)
        opened: TrackAligner[A] = TrackAligner(
            track,
            plan.role if plan else role,
            self.epoch,
            self._policy,
            expected=None if plan is None else plan.modalities,
            final_until_ms=final_until_ms,
            now=now,
            clock_skews=clock_skews,
            expected_before=expected_before,
            withheld=withheld,
        )
        self._tracks[track.track] = opened
        self._expected.pop(track.track, None)
        if self.ended:
            opened.end(None)

    def on_start(self, event: SessionStart, now: int) -> None:
        """Apply the session's plan: which modalities each track will have."""
        self._expiry.on_record(now)
        self._plan = event
        for plan in event.tracks:
            track = self._tracks.get(plan.track)
            if track is not None:
                track.expect(plan.role, plan.modalities, now)
            else:
                self._expected.setdefault(plan.track, ExpectedTrack(now, None))

    def role_of(self, track: str) -> str | None:
        """The role of a track that is open or planned; None of others."""
        opened = self._tracks.get(track)
        if opened is not None:
            return opened.role
        return next((plan.role for plan in (() if self._plan is None else self._plan.tracks) if plan.track == track), None)

    def withhold(self, track: str, withheld: Mapping[Modality, int], now: int) -> None:
        """Set which modalities of an open track may not be used, and from which media time on: windows do not wait for them."""
        self._tracks[track].withhold(withheld, now)

    def pass_over(self, chunk: EncodedChunk[A], now: int) -> Outcome[A]:
        """Count a chunk of an open track that may not be used, while another modality of the track is used."""
        if self.media_clock.is_future(chunk.header.media_start_at_ms):
            return Outcome()
        self._expiry.on_record(now)
        outcome = self._attach_context(self._tracks[chunk.header.track.track].pass_over(chunk, now))
        return outcome if self._end is None else outcome.extend([self._finish_if_complete(expired=False)])

    def on_heartbeat(self, now: int) -> None:
        """The session continues."""
        self._expiry.on_record(now)

    def on_end(self, event: SessionEnd, now: int) -> Outcome[A]:
        """The session has ended; its windows close when its chunks are complete."""
        self._expiry.on_record(now)
        if self._end is None:
            self._end = event
        return self._finish_if_complete(expired=False)

    def retire(self, now: int) -> None:
        """A newer epoch has begun: end after the time in which the last chunks of this one may still arrive."""
        self._expiry.retire(now)

    def admits(self, header: ChunkHeader) -> bool:
        """Whether a chunk belongs to this epoch; False if its media clock has started again.

        Called for each chunk in the order of arrival, before it is encoded.
        """
        if self.media_clock.is_restarted(header.end_ms, header.media_start_at_ms):
            return False
        if not self.media_clock.is_future(header.media_start_at_ms):
            self.media_clock.advance(header.end_ms, header.media_start_at_ms)
        return True

    def on_begun(self, header: ChunkHeader) -> Outcome[A]:
        """A chunk of an open track, which `admits` has accepted and which may be used, is being encoded. See `TrackAligner.on_begun`."""
        if self.media_clock.is_future(header.media_start_at_ms):
            return Outcome()
        return self._attach_context(self._tracks[header.track.track].on_begun(header))

    def on_chunk(self, chunk: EncodedChunk[A], now: int) -> Outcome[A]:
        """Add an encoded chunk of an open track, which `admits` has accepted."""
        if self.media_clock.is_future(chunk.header.media_start_at_ms):
            return Outcome(future=(chunk,))
        outcome = self._attach_context(self._tracks[chunk.header.track.track].on_chunk(chunk, now))
        if not outcome.repeated and not outcome.conflicts:
            self._expiry.on_record(now)
            self.accepted += not outcome.late
        if self._end is not None:
            outcome.extend([self._finish_if_complete(expired=False)])
        while self.held > self._max_held:
            outcome.extend([self.shed()])
        return outcome

    def on_time(self, now: int) -> Outcome[A]:
        """Let time pass. Once the end is known, its grace period takes the place of idleness."""
        if self._end is not None:
            return self._finish_if_complete(expired=now >= self._expiry.end_grace_over_at)
        self._last_tick = now
        outcome: Outcome[A] = Outcome()
        self._attach_context(outcome.extend([track.on_time(now) for track in self._tracks.values()]))
        if now >= self._expires_at:
            outcome.extend([self.finish()])
        return outcome

    def notify_at(self, now: int) -> float:
        """The next time at which `on_time` can have an effect, if nothing arrives before."""
        if self.ended:
            return math.inf
        if self._end is not None:
            return self._expiry.end_grace_over_at
        tracks = self._tracks.values()
        times = [self._expires_at, *(track.notify_at(now) for track in tracks)]
        if not self._is_only_track:
            # Other tracks wait for a track until it is idle.
            times += [at for track in self._expected.values() if (at := track.since + self._policy.idle_after_ms) > now]
            times += [track.idle_at(now) for track in tracks]
        return min(times)

    @property
    def _expires_at(self) -> float:
        return self._expiry.expires_at(is_leftover=self._plan is None and not self.accepted)

    @property
    def _is_only_track(self) -> bool:
        """Whether there is no other track to wait for."""
        return len(self._tracks) + len(self._expected) == 1

    def _attach_context(self, outcome: Outcome[A]) -> Outcome[A]:
        """Hold closed windows back until their context is complete, and give every window of the outcome its context."""
        if not (outcome.closed or outcome.unused or outcome.partial or outcome.spoken or self._context.waiting):
            return outcome
        if self._is_only_track and not self._context.waiting:
            if outcome.closed:
                outcome.closed = tuple([self._context.hand_out(closed) for closed in outcome.closed])
        elif outcome.closed or outcome.unused or self._context.waiting:
            self._context.enqueue(outcome)
            self._context.release_ready(self._next_ends(), outcome)
        if outcome.partial:
            outcome.partial = tuple([self._context.with_context(window) for window in outcome.partial])
        if outcome.spoken:
            outcome.spoken = tuple([self._context.with_context(window) for window in outcome.spoken])
        return outcome

    def _next_ends(self) -> dict[str, float]:
        """For each track the media time before which no further window of it ends."""
        found = {name: track.next_end_ms(self._last_tick) for name, track in self._tracks.items()}
        for name, (since, final_until_ms) in self._expected.items():
            if not self.ended and self._last_tick - since < self._policy.idle_after_ms:
                found[name] = self._policy.windower.build(final_until_ms).next_end_ms(sys.maxsize, -math.inf)
        return found

    def shed(self) -> Outcome[A]:
        """Free memory: release the oldest window that waits for its context, or else close the oldest window of the fullest track."""
        if self._context.waiting:
            forced: Outcome[A] = Outcome()
            self._context.force_release(forced)
            return forced
        fullest = max(self._tracks.values(), key=lambda track: track.held, default=None)
        outcome = Outcome() if fullest is None else fullest.shed()
        self.shed_windows += len(outcome.closed)
        return self._attach_context(outcome)

    def finish(self) -> Outcome[A]:
        """Close every window now."""
        self.ended = True
        media_ms = None if self._end is None else self._end.media_ms
        outcome: Outcome[A] = Outcome()
        return self._attach_context(outcome.extend([track.end(media_ms) for track in self._tracks.values()]))

    def _finish_if_complete(self, *, expired: bool) -> Outcome[A]:
        if self._end is None or self.ended or not (expired or _has_all_chunks(self._tracks, self._end)):
            return Outcome()
        return self.finish()


def _has_all_chunks(tracks: Mapping[str, TrackAligner[A]], end: SessionEnd) -> bool:
    """Whether every chunk that the session's end has counted is here."""
    counted = {t.track: t.chunks for t in end.tracks}
    return all(
        (track := tracks.get(name)) is not None and track.is_complete(counts, end.media_ms)
        for name, counts in counted.items()
        if any(counts.values())
    )
