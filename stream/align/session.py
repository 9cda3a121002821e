"""The aligner of one session: its tracks, its plan and its end. A pure state machine, time is handed in."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, NamedTuple

from stream.align.outcome import EncodedChunk, Outcome, R
from stream.align.past import PastQueue, PastSnapshot
from stream.align.track import TrackAligner, TrackSnapshot, WindowPolicy
from stream.domain.chunk import ChunkHeader
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.lifecycle import SessionEnd, SessionStart
from stream.domain.past import PastWindow
from stream.domain.sync import Sync


class AbsentTrack(NamedTuple):
    """A track that is expected: since when, and up to which media time its windows are final."""

    since: int
    final_until_ms: int | None


@dataclass(frozen=True, slots=True)
class SessionSnapshot:
    """A session at one moment, without its limits; names and meanings are those of `SessionAligner`.

    Of the chunks that wait it holds times, features and fingerprints, but no receipts: whoever restores it can close their windows, not
    acknowledge their records. Times of arrival are on the clock that was handed in; it must go on.
    """

    session: SessionKey
    epoch: int
    tracks: tuple[TrackSnapshot, ...]
    clock_zero_ms: int | None
    newest_ms: int
    newest_zero_ms: int
    retire_at: float
    plan: SessionStart | None
    end: SessionEnd | None
    quiet_since: int
    ended: bool
    accepted: int
    shed_windows: int
    absent: tuple[tuple[str, AbsentTrack], ...]
    heard_at: int
    past: PastSnapshot


class SessionAligner(Generic[R]):
    """Aligns the chunks of one epoch of one session.

    A closed window is handed out with the finished windows that it hears (`stream.align.past`). It waits for the other tracks of the
    session as a track waits for its modalities: for those that have begun, are in the session's plan or had windows before, until they are
    quiet.

    Args:
        session: Which conversation.
        epoch: Which of its media clocks.
        policy: When windows open and close.
        end_grace_ms: How long to wait for chunks that a session's end has counted.
        expire_after_ms: A session that is quiet for so long ends by itself.
        max_ahead_ms: How far a chunk's media time may run ahead of the clock that it was captured by.
        max_back_ms: How far media time may go back while the clock that it is captured by goes on.
        max_held: Most chunks that wait for a window to close; with more, the oldest window closes at once.
        now: Milliseconds on a clock that runs while everything that exists has been read: see `ListeningClock`.
    """

    __slots__ = (
        "_absent",
        "_clock_zero_ms",
        "_end",
        "_end_grace_ms",
        "_expire_after_ms",
        "_heard_at",
        "_max_ahead_ms",
        "_max_back_ms",
        "_max_held",
        "_newest_ms",
        "_newest_zero_ms",
        "_past",
        "_plan",
        "_policy",
        "_quiet_since",
        "_retire_at",
        "_tracks",
        "accepted",
        "ended",
        "epoch",
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
        self._policy = policy
        self._end_grace_ms = end_grace_ms
        self._expire_after_ms = expire_after_ms
        self._max_ahead_ms = max_ahead_ms
        self._max_back_ms = max_back_ms
        self._max_held = max_held
        self._clock_zero_ms: int | None = None
        self._newest_ms = 0
        self._newest_zero_ms = 0
        self._tracks: dict[str, TrackAligner[R]] = {}
        self._plan: SessionStart | None = None
        self._end: SessionEnd | None = None
        self._quiet_since = now
        self._retire_at = math.inf
        self._absent: dict[str, AbsentTrack] = {}
        self._heard_at = now
        self._past: PastQueue[R] = PastQueue()
        self.ended = False
        """True once every window has closed; nothing more is to be expected."""
        self.accepted = 0
        """Chunks that were neither late nor repeated."""
        self.shed_windows = 0
        """Windows that were closed before their time because too many chunks waited."""

    def snapshot(self) -> SessionSnapshot:
        """The session as it is now."""
        return SessionSnapshot(
            session=self.session,
            epoch=self.epoch,
            tracks=tuple([track.snapshot() for track in self._tracks.values()]),
            clock_zero_ms=self._clock_zero_ms,
            newest_ms=self._newest_ms,
            newest_zero_ms=self._newest_zero_ms,
            retire_at=self._retire_at,
            plan=self._plan,
            end=self._end,
            quiet_since=self._quiet_since,
            ended=self.ended,
            accepted=self.accepted,
            shed_windows=self.shed_windows,
            absent=tuple(self._absent.items()),
            heard_at=self._heard_at,
            past=self._past.snapshot(),
        )

    def restore(self, seen: SessionSnapshot) -> None:
        """Go on from a snapshot; whatever this aligner held before is gone. Its limits stay its own."""
        self.session, self.epoch = seen.session, seen.epoch
        self._tracks = {track.track.track: TrackAligner.restored(track, self._policy) for track in seen.tracks}
        self._clock_zero_ms = seen.clock_zero_ms
        self._newest_ms, self._newest_zero_ms = seen.newest_ms, seen.newest_zero_ms
        self._plan, self._end = seen.plan, seen.end
        self._quiet_since, self._retire_at = seen.quiet_since, seen.retire_at
        self.ended, self.accepted, self.shed_windows = seen.ended, seen.accepted, seen.shed_windows
        self._absent, self._heard_at = dict(seen.absent), seen.heard_at
        self._past.restore(seen.past)

    @property
    def held(self) -> int:
        """Chunks that wait for a window to close, or are in a closed one that waits for its past."""
        held = self._past.chunks if self._past.waiting else 0
        for track in self._tracks.values():
            held += track.held
        return held

    @property
    def _patience_ms(self) -> int:
        """A session that has brought nothing but repeats is left over from one that is done."""
        return self._end_grace_ms if self._plan is None and not self.accepted else self._expire_after_ms

    @property
    def newest_zero_ms(self) -> int | None:
        """Wall clock at which media began by what the newest chunk says; None before the first."""
        return self._newest_zero_ms if self._newest_ms else None

    @property
    def tracks(self) -> int:
        """Tracks that have been opened."""
        return len(self._tracks)

    def knows(self, track: TrackKey) -> bool:
        """True when the track has been opened."""
        return track.track in self._tracks

    def remember(self, past: Iterable[PastWindow], now: int) -> None:
        """Before a track is opened: windows that are final already, of whichever track; those of tracks that have been opened are known."""
        windows = sorted([window for window in past if window.track not in self._tracks], key=lambda window: window.end_ms)
        self._past.remember(windows)
        for track, end_ms in windows:
            since, _ = self._absent.get(track, (now, None))
            self._absent[track] = AbsentTrack(since, end_ms)

    def open_track(
        self, track: TrackKey, role: str, final_until_ms: int | None, now: int, sync: Sync | None = None, *, final_at_ms: int | None = None
    ) -> None:
        """Begin a track.

        Args:
            track: Which.
            role: Its role, unless the session's plan knows better.
            final_until_ms: Windows that end there or before are final already.
            now: Monotonic clock, ms.
            sync: Clock skews as of that window.
            final_at_ms: Wall clock at which that window's end was captured.
        """
        if final_until_ms is not None and final_at_ms is not None:
            self._see(final_until_ms, final_at_ms - final_until_ms)
        planned = {} if self._plan is None else {p.track: p for p in self._plan.tracks}
        plan = planned.get(track.track)
        expected = None if plan is None else plan.modalities
        opened: TrackAligner[R] = TrackAligner(
            track,
            plan.role if plan else role,
            self.epoch,
            self._policy,
            expected=expected,
            final_until_ms=final_until_ms,
            now=now,
            sync=sync,
        )
        self._tracks[track.track] = opened
        self._absent.pop(track.track, None)
        if self.ended:
            opened.end(None)

    def on_start(self, event: SessionStart, now: int) -> None:
        """The session's plan: which modalities each track will have."""
        self._quiet_since = now
        self._plan = event
        for plan in event.tracks:
            track = self._tracks.get(plan.track)
            if track is not None:
                track.expect(plan.role, plan.modalities, now)
            else:
                self._absent.setdefault(plan.track, AbsentTrack(now, None))

    def on_heartbeat(self, now: int) -> None:
        """The session goes on."""
        self._quiet_since = now

    def on_end(self, event: SessionEnd, now: int) -> Outcome[R]:
        """The session is over; its windows close when its chunks are complete."""
        self._quiet_since = now
        if self._end is None:
            self._end = event
        return self._finish_if_complete(expired=False)

    def retire(self, now: int) -> None:
        """A newer epoch has begun: end by itself, after the time in which the last chunks of this one may still come."""
        self._retire_at = min(self._retire_at, now + self._end_grace_ms)

    def admits(self, header: ChunkHeader) -> bool:
        """Whether a chunk is of this media clock, False if the clock began anew; to be asked in the order of arrival, before encoding."""
        if self._is_restarted(header.end_ms, header.zero_ms):
            return False
        if not self._is_future(header.zero_ms):
            self._see(header.end_ms, header.zero_ms)
        return True

    def on_chunk(self, chunk: EncodedChunk[R], now: int) -> Outcome[R]:
        """Take in a chunk of a track that has been opened; `admits` has been asked about it."""
        if self._is_future(chunk.header.zero_ms):
            return Outcome(future=(chunk,))
        outcome = self._in_turn(self._tracks[chunk.header.track.track].on_chunk(chunk, now))
        if not outcome.repeated and not outcome.conflicts:
            self._quiet_since = now
            self.accepted += not outcome.late
        if self._end is not None:
            outcome.extend([self._finish_if_complete(expired=False)])
        while self.held > self._max_held:
            outcome.extend([self.shed()])
        return outcome

    def on_time(self, now: int) -> Outcome[R]:
        """Let time pass. Once the end is known, its grace takes the place of idleness."""
        if self._end is not None:
            return self._finish_if_complete(expired=now >= self._grace_over_ms)
        self._heard_at = now
        outcome: Outcome[R] = Outcome()
        self._in_turn(outcome.extend([track.on_time(now) for track in self._tracks.values()]))
        if now - self._quiet_since >= self._patience_ms or now >= self._retire_at:
            outcome.extend([self.finish()])
        return outcome

    def due_ms(self, now: int) -> float:
        """When `on_time` can next bring something about, if nothing comes before."""
        if self.ended:
            return math.inf
        if self._end is not None:
            return self._grace_over_ms
        return min(
            [
                self._quiet_since + self._patience_ms,
                self._retire_at,
                *self._quiet_at(now),
                *(track.due_ms(now) for track in self._tracks.values()),
            ]
        )

    def _quiet_at(self, now: int) -> list[float]:
        """When tracks that others wait for turn out to be quiet."""
        if self._is_alone:
            return []
        absent = [at for track in self._absent.values() if (at := track.since + self._policy.idle_after_ms) > now]
        return [*absent, *(track.idle_at(now) for track in self._tracks.values())]

    @property
    def _is_alone(self) -> bool:
        """Whether there is no other track to wait for."""
        return len(self._tracks) + len(self._absent) == 1

    def _in_turn(self, outcome: Outcome[R]) -> Outcome[R]:
        """Let closed windows wait for their past, hand out those that need not wait any longer, and tell open ones theirs."""
        if not (outcome.closed or outcome.unused or outcome.partial or self._past.waiting):
            return outcome
        if self._is_alone and not self._past.waiting:
            if outcome.closed:
                outcome.closed = tuple([self._past.pass_on(closed) for closed in outcome.closed])
        elif outcome.closed or outcome.unused or self._past.waiting:
            self._past.take(outcome)
            self._past.hand_out(self._next_ends(), outcome)
        if outcome.partial:
            outcome.partial = tuple([self._past.choose(window) for window in outcome.partial])
        return outcome

    def _next_ends(self) -> dict[str, float]:
        """For each track the media time before which no further window of it ends."""
        found = {name: track.next_end_ms(self._heard_at) for name, track in self._tracks.items()}
        for name, (since, final_until_ms) in self._absent.items():
            if not self.ended and self._heard_at - since < self._policy.idle_after_ms:
                found[name] = self._policy.rule.cutter(final_until_ms).next_end_ms(sys.maxsize, -math.inf)
        return found

    @property
    def _grace_over_ms(self) -> float:
        return min(self._quiet_since + self._end_grace_ms, self._retire_at)

    def _is_future(self, zero_ms: int) -> bool:
        """The first chunk says at which wall clock media time began; no other may put that much earlier."""
        if self._clock_zero_ms is None:
            self._clock_zero_ms = zero_ms
        return self._clock_zero_ms - zero_ms > self._max_ahead_ms

    def _see(self, end_ms: int, zero_ms: int) -> None:
        """Media has come to ``end_ms``; by what came there, it began at ``zero_ms`` on the wall clock."""
        if end_ms > self._newest_ms:
            self._newest_ms, self._newest_zero_ms = end_ms, zero_ms

    def _is_restarted(self, end_ms: int, zero_ms: int) -> bool:
        """Captured after the newest chunk, but far before it in media time. A late chunk was captured earlier; a call on hold goes on."""
        back_ms = self._newest_ms - end_ms
        return back_ms > self._max_back_ms and zero_ms - self._newest_zero_ms > back_ms

    def shed(self) -> Outcome[R]:
        """Free memory: hand out the oldest window that waits for its past, else close the oldest of the track that holds most chunks."""
        if self._past.waiting:
            hurried: Outcome[R] = Outcome()
            self._past.hurry(hurried)
            return hurried
        fullest = max(self._tracks.values(), key=lambda track: track.held, default=None)
        outcome = Outcome() if fullest is None else fullest.shed()
        self.shed_windows += len(outcome.closed)
        return self._in_turn(outcome)

    def finish(self) -> Outcome[R]:
        """Close every window now."""
        self.ended = True
        media_ms = None if self._end is None else self._end.media_ms
        outcome: Outcome[R] = Outcome()
        return self._in_turn(outcome.extend([track.end(media_ms) for track in self._tracks.values()]))

    def _finish_if_complete(self, *, expired: bool) -> Outcome[R]:
        if self._end is None or self.ended or not (expired or self._complete(self._end)):
            return Outcome()
        return self.finish()

    def _complete(self, end: SessionEnd) -> bool:
        counted = {t.track: t.chunks for t in end.tracks}
        return all(
            (track := self._tracks.get(name)) is not None and track.complete(counts)
            for name, counts in counted.items()
            if any(counts.values())
        )
