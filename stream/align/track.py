"""The windows of one track. A pure state machine; time is passed in."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic

from stream.align.clock_skew import VideoSkew, correction_ms, is_suspect, moved
from stream.align.content import content_of
from stream.align.lateness import Timeliness, reject, timeliness
from stream.align.modality_state import ModalityState, Novelty
from stream.align.outcome import A, ClosedWindow, EncodedChunk, LateWords, Outcome, UnusedChunks
from stream.align.windower import Span, Windower
from stream.domain.chunk import ChunkHeader
from stream.domain.clock_skew import ClockSkew, ClockSkews
from stream.domain.features import AudioFeatures, TextFeatures, VideoFeatures, Word
from stream.domain.identity import TrackKey
from stream.domain.modality import MODALITIES, Modality
from stream.domain.warning_codes import WarningCode
from stream.domain.window import Window
from stream.domain.withheld import Reason

NOTHING_WITHHELD: Mapping[Modality, int] = {}
_FEATURES: Mapping[Modality, type] = {
    Modality.TEXT: TextFeatures,
    Modality.AUDIO: AudioFeatures,
    Modality.VIDEO: VideoFeatures,
}


@dataclass(frozen=True, slots=True)
class WindowPolicy:
    """When windows open and close, in milliseconds, as in `stream.config.media_settings.WindowSettings`."""

    windower: Windower
    allowed_lateness_ms: int
    idle_after_ms: int
    partial_every_ms: int
    max_skew_ms: int

    @property
    def final_revision(self) -> int:
        """Revision of every final window: one more than the last partial result can have."""
        return self.windower.longest_ms // self.partial_every_ms + 1 if self.partial_every_ms else 1


class TrackAligner(Generic[A]):
    """Collects the chunks of a track and closes its windows in order.

    The windower decides where windows lie, the watermark when they close. The watermark is the least progress of the track's modalities,
    minus the allowed lateness. A modality that has been quiet for ``idle_after_ms`` no longer counts; when all are quiet, the clock moves
    the watermark on.

    Args:
        track: The track.
        role: The track's role.
        epoch: The epoch of the session's media clock.
        policy: When windows open and close.
        expected: Modalities to wait for; None waits for all of them until they turn out to be idle.
        final_until_ms: End of the last window that is already final, after which a replay continues; None when no window is final.
        clock_skews: Clock skews at that window.
        expected_before: Modalities that were expected at that window, see `Window.modalities_expected`.
        withheld: See `withhold`.
        now: Monotonic clock, ms.
    """

    __slots__ = (
        "_advanced_to",
        "_content_end_ms",
        "_end_ms",
        "_ended",
        "_expected_before",
        "_final_before_ms",
        "_first_held_start_ms",
        "_last_partial_ms",
        "_logic",
        "_modalities",
        "_newest_ms",
        "_planned",
        "_policy",
        "_skew",
        "_spoken_until_ms",
        "_waited",
        "_withheld",
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
        clock_skews: ClockSkews | None = None,
        expected_before: Iterable[Modality] = (),
        withheld: Mapping[Modality, int] = NOTHING_WITHHELD,
    ) -> None:
        self.track = track
        self.role = role
        self.epoch = epoch
        self._policy = policy
        self._planned = frozenset[Modality]() if expected is None else frozenset(expected)
        self._expected_before = frozenset(expected_before)
        self._modalities: dict[Modality, ModalityState[A]] = {m: ModalityState(now) for m in (MODALITIES if expected is None else expected)}
        self._withheld: Mapping[Modality, int] = {}
        self._waited: tuple[ModalityState[A], ...] = ()
        self._logic = policy.windower.build(final_until_ms)
        self._final_before_ms = self._logic.closed_until_ms
        self._first_held_start_ms = sys.maxsize
        self._advanced_to: float = -math.inf
        self._last_partial_ms = 0
        self._spoken_until_ms = 0
        self._content_end_ms = 0
        self._newest_ms = -1
        self._end_ms: int | None = None
        self._skew = VideoSkew(None if clock_skews is None else clock_skews.get(Modality.VIDEO), final_until_ms or 0)
        self._ended = False
        self.held = 0
        """Chunks that are held until a window closes."""
        self.withhold(withheld, now)

    def expect(self, role: str, modalities: Iterable[Modality], now: int) -> None:
        """Wait for these modalities and for no others, except those that have already sent a chunk."""
        self.role = role
        self._planned = wanted = frozenset(modalities)
        self._modalities = {m: state for m, state in self._modalities.items() if m in wanted or state.started}
        for modality in wanted - self._modalities.keys():
            self._modalities[modality] = ModalityState(now)
        self._find_waited()

    def withhold(self, withheld: Mapping[Modality, int], now: int) -> None:
        """Set which modalities may not be used, and from which media time on: windows wait for them only until they have reached it.

        At least one modality of the track is used. Those that are used again are waited for like those that begin.
        """
        for modality in self._withheld.keys() - withheld.keys():
            if (state := self._modalities.get(modality)) is not None:
                state.last_seen = now
        self._withheld = dict(withheld)
        self._find_waited()

    def _find_waited(self) -> None:
        """Note the states of the modalities that windows wait for: all, without those that are withheld for good."""
        waited = [state for modality, state in self._modalities.items() if not self._is_withheld(modality, state)]
        self._waited = tuple(waited or self._modalities.values())

    def _is_withheld(self, modality: Modality, state: ModalityState[A]) -> bool:
        since_ms = self._withheld.get(modality)
        if since_ms is None:
            return False
        # Chunks from before may come out of order, so they get the lateness that all chunks get.
        return not since_ms or state.reached_ms - self._policy.allowed_lateness_ms >= since_ms

    def pass_over(self, chunk: EncodedChunk[A], now: int) -> Outcome[A]:
        """Count a chunk that may not be used, and that is acknowledged already: its modality has come so far."""
        outcome: Outcome[A] = Outcome()
        modality = self._modalities.get(chunk.header.modality)
        if modality is not None and modality.register(chunk, now) is Novelty.NEW:
            modality.keep_fingerprint(chunk.header.seq, chunk.fingerprint)
            self._find_waited()
            self._advance(self._watermark(), outcome)
            self._emit_partial(outcome)
        return outcome

    def on_begun(self, header: ChunkHeader) -> Outcome[A]:
        """A chunk is being encoded, and all before it in its modality are here: close the windows that end before it starts.

        They hold nothing of the chunk. That it exists shows that its modality has come so far. Words may be of an earlier time than their
        chunk, and promise nothing.
        """
        outcome: Outcome[A] = Outcome()
        modality = None if header.modality is Modality.TEXT else self._modalities.get(header.modality)
        if modality is not None and modality.promise(header, self._policy.allowed_lateness_ms):
            self._advance(self._watermark(), outcome)
        return outcome

    def on_chunk(self, chunk: EncodedChunk[A], now: int) -> Outcome[A]:
        """Add a chunk and close the windows that it completes."""
        outcome: Outcome[A] = Outcome()
        modality = self._modalities.get(chunk.header.modality)
        if modality is None:
            modality = self._modalities[chunk.header.modality] = ModalityState(now)
            self._find_waited()
        novelty = modality.register(chunk, now)
        if novelty is Novelty.NEW:
            self._hold_or_reject(chunk, modality, outcome)
            self._advance(self._watermark(), outcome)
            self._emit_partial(outcome)
            if chunk.header.modality is Modality.TEXT:
                self._emit_spoken(modality.reached_ms, outcome)
        elif novelty is Novelty.REPEATED:
            outcome.repeated += (chunk,)
        else:
            outcome.conflicts += (chunk,)
        return outcome

    def _hold_or_reject(self, chunk: EncodedChunk[A], modality: ModalityState[A], outcome: Outcome[A]) -> None:
        header, logic = chunk.header, self._logic
        words = chunk.features.words if isinstance(chunk.features, TextFeatures) else ()
        content = content_of(header, words, logic.closed_until_ms)
        timely = timeliness(
            content.end_ms, closed_until_ms=logic.closed_until_ms, final_before_ms=self._final_before_ms, track_ended=self._ended
        )
        if timely is not Timeliness.IN_TIME:
            modality.keep_fingerprint(header.seq, chunk.fingerprint)
            reject(chunk, timely, logic.closed_until_ms, outcome)
            return
        modality.hold(chunk, content.start_ms, content.end_ms)
        self._first_held_start_ms = min(self._first_held_start_ms, content.start_ms)
        self._content_end_ms = max(self._content_end_ms, content.end_ms)
        self._newest_ms = max(self._newest_ms, header.start_ms, content.end_ms - 1 if content.end_ms > header.end_ms else 0)
        self.held += 1
        if words:
            self._report_late_words(chunk, words, outcome)
        if logic.on_chunk(content.spoken_ms, content.end_ms, chunk.features) and self._advanced_to > -math.inf:
            self._close_windows(self._advanced_to, outcome, ())

    def _report_late_words(self, chunk: EncodedChunk[A], words: tuple[Word, ...], outcome: Outcome[A]) -> None:
        """Add words to the outcome that are in no further window. Words that were final before are those of a replay."""
        closed_until_ms, final_before_ms = self._logic.closed_until_ms, self._final_before_ms
        late = [word.end_ms for word in words if final_before_ms < word.end_ms <= closed_until_ms]
        if late:
            outcome.late_words += (LateWords(chunk, len(late), max(1, closed_until_ms - min(late))),)

    def on_time(self, now: int) -> Outcome[A]:
        """Let time pass during which everything that existed had been read, so that quiet means silence.

        It makes no difference whether this is called once or many times, as long as it is called when `notify_at` says.
        """
        outcome: Outcome[A] = Outcome()
        while self.held and (watermark := self._watermark_at(now)) > self._advanced_to:
            self._close_windows(watermark, outcome, ())
        return outcome

    def notify_at(self, now: int) -> float:
        """The next time at which `on_time` can have an effect, if no chunk arrives before."""
        if not self.held:
            return math.inf
        idle_at = [state.last_seen + self._policy.idle_after_ms for state in self._waited]
        waiting = [at for at in idle_at if at > now]
        if waiting:
            return min(waiting)
        until_closed = self._logic.notify_at_ms(self._first_held_start_ms) + self._policy.allowed_lateness_ms - self._reached_ms()
        return max(state.last_seen for state in self._waited) + until_closed

    def idle_at(self, now: int) -> float:
        """When the next modality becomes idle, if no chunk arrives before."""
        idle_after_ms = self._policy.idle_after_ms
        return min([at for state in self._waited if (at := state.last_seen + idle_after_ms) > now], default=math.inf)

    def next_end_ms(self, now: int) -> float:
        """No window that is still open ends before this media time, unless a chunk comes late.

        Infinite when no window is expected: the track has ended, or it holds nothing and all modalities are quiet.
        """
        if self._ended:
            return math.inf
        policy = self._policy
        active = [state.reached_ms for state in self._waited if now - state.last_seen < policy.idle_after_ms]
        watermark = max(self._advanced_to, min(active) - policy.allowed_lateness_ms) if active else math.inf
        return self._logic.next_end_ms(self._first_held_start_ms, watermark)

    def watermark_lag_ms(self, now: int) -> float:
        """Media time from the watermark to the newest chunk; 0 while nothing is held, or while all modalities are quiet."""
        active = [state.reached_ms for state in self._modalities.values() if now - state.last_seen < self._policy.idle_after_ms]
        return self._reached_ms() - (min(active) - self._policy.allowed_lateness_ms) if self.held and active else 0.0

    def is_complete(self, counts: Mapping[Modality, int], media_ms: int) -> bool:
        """True when all chunks that a session's end at ``media_ms`` has counted for this track have arrived."""
        done_ms, states = self._final_before_ms, self._modalities
        return all(
            states[m].is_complete(count, done_ms, media_ms) or self._is_withheld(m, states[m]) if m in states else m in self._withheld
            for m, count in counts.items()
            if count
        )

    def end(self, media_ms: int | None) -> Outcome[A]:
        """Close every window that holds a chunk.

        Args:
            media_ms: Where the session ended. Chunks that contradict it are believed instead, also where it is None.
        """
        reached_ms = max(self._reached_ms(), self._content_end_ms)
        self._end_ms = reached_ms if media_ms is None or (self.held and media_ms <= self._newest_ms) else media_ms
        self._ended = True
        outcome: Outcome[A] = Outcome()
        self._advance(math.inf, outcome)
        return outcome

    def shed(self) -> Outcome[A]:
        """Close the oldest window that holds a chunk without waiting any longer, to free memory."""
        outcome: Outcome[A] = Outcome()
        if self.held:
            self._close_windows(max(self._advanced_to, self._logic.notify_at_ms(self._first_held_start_ms)), outcome, (WarningCode.SHED,))
        return outcome

    def _reached_ms(self) -> int:
        return max((state.reached_ms for state in self._waited), default=0)

    def _watermark(self) -> float:
        return min([state.promised_ms for state in self._waited]) - self._policy.allowed_lateness_ms

    def _watermark_at(self, now: int) -> float:
        policy = self._policy
        active = [state.reached_ms for state in self._waited if now - state.last_seen < policy.idle_after_ms]
        if active:
            return min(active) - policy.allowed_lateness_ms
        quiet = min(now - state.last_seen for state in self._waited)
        return self._clock_step(self._reached_ms() + quiet - policy.allowed_lateness_ms)

    def _clock_step(self, watermark: float) -> float:
        """The next watermark at which something closes; minus infinity if the clock has not reached it.

        The clock alone closes nothing on the way there: otherwise a chunk that comes late into a silence would be late, or lose its
        beginning, depending on when the clock was last read.
        """
        closes_at_ms = self._logic.notify_at_ms(self._first_held_start_ms)
        return closes_at_ms if closes_at_ms <= watermark else -math.inf

    def _advance(self, watermark: float, outcome: Outcome[A]) -> None:
        if watermark > self._advanced_to:
            self._close_windows(watermark, outcome, ())

    def _close_windows(self, watermark: float, outcome: Outcome[A], warnings: tuple[str, ...]) -> None:
        """Close the windows that the windower closes at this watermark, in three steps.

        1. Close one window after the other, and release the chunks that are in no later window with the window that was their last.
        2. Close the gap after them.
        3. Release the chunks that lie in the gap: no window uses them.
        """
        self._advanced_to = watermark
        logic = self._logic
        # 1. Windows.
        while self.held and (span := logic.close_window(self._first_held_start_ms, watermark)) is not None:
            outcome.closed += (self._close_window(span, warnings),)
        # 2. The gap.
        logic.close_gap(watermark)
        # 3. Chunks without a window.
        if self.held and self._first_held_start_ms < logic.closed_until_ms:
            acks, released = self._release()
            if released:
                outcome.unused += (UnusedChunks(self.track, acks, released),)

    def _close_window(self, span: Span, warnings: tuple[str, ...]) -> ClosedWindow[A]:
        media_end = span.end_ms if self._end_ms is None else min(span.end_ms, self._end_ms)
        skew = self._skew.close_window(self._modalities, span.start_ms, span.end_ms)
        final = self._window(span, media_end, self._policy.final_revision, skew, warnings)
        self._expected_before = frozenset((*final.modalities_expected, *final.withheld))
        return ClosedWindow(final, *self._release())

    def _release(self) -> tuple[tuple[A, ...], int]:
        """Stop holding the chunks that are in no further window; return their acks and their number."""
        released = [held for state in self._modalities.values() for held in state.release(self._logic.closed_until_ms)]
        # Counted here, and not where it is asked for: that is for every chunk.
        waiting = [state.held for state in self._modalities.values() if state.held]
        self.held = sum([len(held) for held in waiting])
        self._first_held_start_ms = min([chunk.content_start_ms for held in waiting for chunk in held], default=sys.maxsize)
        return tuple([held.ack for held in released if held.ack is not None]), len(released)

    def _emit_partial(self, outcome: Outcome[A]) -> None:
        """Add the open window to the outcome each time all modalities have come ``partial_every_ms`` further."""
        every = self._policy.partial_every_ms
        if self._ended or not every:
            return
        next_ms = self._last_partial_ms + every
        reached_ms = min([state.reached_ms for state in self._waited if state.started], default=0)
        if reached_ms < next_ms:
            return
        reached = reached_ms // every * every
        self._last_partial_ms = reached
        span = self._logic.open_window(reached)
        if span is not None:
            media_end = min(reached, span.end_ms)
            skew = self._skew.current or self._skew.estimate(self._modalities, span.start_ms, media_end)
            outcome.partial += (self._window(span, media_end, (reached - span.start_ms) // every, skew, is_final=False),)

    def _emit_spoken(self, text_reached_ms: int, outcome: Outcome[A]) -> None:
        """Add the next window to the outcome, once, when words have arrived up to where it closes: only other media are still awaited."""
        span = self._logic.due_window(self._first_held_start_ms, text_reached_ms) if self.held else None
        if span is not None and span.end_ms > self._spoken_until_ms:
            self._spoken_until_ms = span.end_ms
            outcome.spoken += (self._window(span, span.end_ms, 0, None, is_final=False),)

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
        left_out: set[Modality] = set()
        expected = self._planned | self._expected_before
        for modality in MODALITIES:
            if (state := self._modalities.get(modality)) is None:
                continue
            for held in state.held:
                if held.content_start_ms < end and held.end_ms > start:
                    if held.end_ms >= newest_ms:
                        newest_ms, captured_ms = held.end_ms, held.captured_ms
                    if held.left_out:
                        left_out.add(modality)
                    if held.features is not None:
                        found[type(held.features)].append(held.features)
                        expected |= {modality}
        if left_out:
            warnings = (*warnings, WarningCode.OVERLOAD)
        # A modality of which some is there is used: what is left of it is said by the warning alone.
        withheld = {m: Reason.OVERLOAD for m in MODALITIES if m in left_out and not found[_FEATURES[m]]}
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
            clock_skews={} if skew is None else {Modality.VIDEO: skew},
            warnings=(*warnings, WarningCode.SYNC_SUSPECT) if video and is_suspect(skew, end) else warnings,
            modalities_expected=tuple([m for m in MODALITIES if m in expected and m not in withheld]),
            withheld=withheld,
        )
