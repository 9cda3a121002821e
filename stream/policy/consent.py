"""The consent of the people of a session along the media time of one epoch.

It follows from statements: those of start records, and those of consent events. They hold from a media time on, until the next one of the
same track, or of everybody. The rules, in doubt against the use:

- A statement about a track wins over an older one about everybody. A withdrawal of everybody's consent wins over older consents of tracks,
  but a consent of everybody does not lift the withdrawal of a track: only that person can.
- Of contradictory statements with the same media time, the withdrawal wins.
- A consent that came late does not reach back before media that was left out already. A withdrawal always reaches back.
"""

from __future__ import annotations

from collections.abc import Iterable

from stream.domain.consent import EVERYBODY, ConsentStatement
from stream.domain.session_events import SessionConsent, SessionStart


class Consents:
    """The statements about one epoch.

    Args:
        before: Those of the epochs before it, the oldest first: what was said last holds on, until something is said in this epoch.
    """

    def __init__(self, before: Iterable[Iterable[ConsentStatement]] = ()) -> None:
        self._before: dict[str, bool] = {}
        self._statements: dict[str, dict[tuple[int, bool], int]] = {}
        self._refused_until: dict[str, int] = {}
        for statements in before:
            self._inherit(statements)

    def _inherit(self, statements: Iterable[ConsentStatement]) -> None:
        """Take over what an earlier epoch ended with."""
        earlier = Consents()
        earlier._before = self._before
        earlier.add(statements)
        ends = {track: earlier._in_force(track, LATER_MS) for track in (EVERYBODY, *earlier._before, *earlier._statements)}
        # A track whose consent a later withdrawal of everybody's has ended follows everybody from then on.
        self._before = {t: end[1] for t, end in ends.items() if end is not None and (not end[1] or earlier.holds(t, LATER_MS))}

    def inherit_withdrawals(self, before: Iterable[Iterable[ConsentStatement]]) -> None:
        """An earlier epoch turned out to have ended without consent. New consents of it do not reach into this epoch, which has begun.

        Args:
            before: As for the class, with what is known now.
        """
        known = Consents(before)
        ends = known._before
        held = {track: granted for track, granted in self._before.items() if track in ends}
        self._before = held | {track: False for track, granted in ends.items() if not granted}

    def of_event(self, event: SessionStart | SessionConsent) -> list[ConsentStatement]:
        """The statements of an event that are not known yet."""
        if isinstance(event, SessionConsent):
            said = [(event.track or EVERYBODY, event.media_ms, event.consent)]
        else:
            tracks = [(plan.track, 0, plan.consent) for plan in event.tracks if plan.consent is not None]
            said = [*([] if event.consent is None else [(EVERYBODY, 0, event.consent)]), *tracks]
        return [
            ConsentStatement(track, media_ms, granted, max(media_ms, self._refused(track)) if granted else media_ms)
            for track, media_ms, granted in said
            if (media_ms, granted) not in self._statements.get(track, {})
        ]

    def _refused(self, track: str) -> int:
        return max(self._refused_until.values(), default=0) if track == EVERYBODY else self._refused_until.get(track, 0)

    def add(self, statements: Iterable[ConsentStatement]) -> None:
        """Add statements; those that are known keep the media time from which they hold."""
        for track, media_ms, granted, from_ms in statements:
            self._statements.setdefault(track, {}).setdefault((media_ms, granted), from_ms)

    def note_refused(self, track: str, end_ms: int) -> None:
        """Media of a track up to this time was left out because there was no consent."""
        self._refused_until[track] = max(end_ms, self._refused_until.get(track, 0))

    def holds(self, track: str, at_ms: int) -> bool | None:
        """Whether there is consent for a moment of a track; None if nothing was said."""
        own, every = self._in_force(track, at_ms), self._in_force(EVERYBODY, at_ms)
        if own is None or every is None:
            return (own or every or (0, None))[1]
        return own[1] and (every[1] or every[0] <= own[0])

    def covers(self, track: str, start_ms: int, end_ms: int) -> bool | None:
        """Whether there is consent for a whole span of a track: False if not for all of it, None if nothing was said about a part."""
        if not self._statements and not self._before:
            return None
        states = [self.holds(track, at_ms) for at_ms in (start_ms, *self._changes(track, start_ms, end_ms))]
        return False if False in states else None if None in states else True

    def refused_since(self, track: str, *, required: bool) -> int | None:
        """Media time from which there is no consent any more, as far as is known; None if there is consent at the end.

        Args:
            track: The track.
            required: Whether saying nothing counts as no consent.
        """
        since: int | None = None
        for at_ms in (0, *self._changes(track, 0, LATER_MS)):
            state = self.holds(track, at_ms)
            refused = state is False or (required and state is None)
            since = None if not refused else at_ms if since is None else since
        return since

    def _changes(self, track: str, start_ms: int, end_ms: int) -> list[int]:
        times = {from_ms for name in (track, EVERYBODY) for from_ms in self._statements.get(name, {}).values()}
        return sorted(at_ms for at_ms in times if start_ms < at_ms < end_ms)

    def _in_force(self, track: str, at_ms: int) -> tuple[int, bool] | None:
        """The statement about a track that is in force at a moment: its media time, -1 for one of an earlier epoch, and what it says."""
        statements = self._statements.get(track, {})
        said = [
            (media_ms, not granted)
            for (media_ms, granted), from_ms in statements.items()
            if from_ms <= at_ms and not (granted and (media_ms, False) in statements)
        ]
        if not said:
            return (-1, self._before[track]) if track in self._before else None
        media_ms, withdrawn = max(said)
        return media_ms, not withdrawn


LATER_MS = 2**53
"""A media time after every other."""
