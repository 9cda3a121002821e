"""Reads stored results page by page: the history of a session, newest or oldest window first, of all tracks in one order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from stream.domain.alert import AlertRecord
from stream.domain.identity import SessionKey, TrackKey, check_name
from stream.domain.result import ExplanationRecord, ScoreRecord, decode_record
from stream.sinks.connection import RedisClient, RedisConnection
from stream.sinks.keys import SESSIONS, session_names, track_names

Positions = Mapping[str, str]
"""By track, the stream id (``EPOCH-WINDOW_END``) of an entry."""

Final = tuple[ScoreRecord, ExplanationRecord | None]
"""A final window: its score and, unless it is no longer kept, its explanation."""

LISTED_AT_ONCE = 500
LONGEST_POSITION = 4096
"""Characters: more than the longest position of a session with the most tracks."""

_ENTRY = re.compile(r"\d{1,15}-\d{1,15}", re.ASCII)

_Entries = list[tuple[str, dict[str, str]]]


def format_positions(positions: Positions) -> str:
    """``agent:0-4000,customer:0-6000``; the same positions always give the same text."""
    return ",".join(f"{track}:{entry}" for track, entry in sorted(positions.items()))


def parse_positions(text: str) -> dict[str, str]:
    """Inverse of `format_positions`. Raises ``ValueError`` without quoting the text."""
    if len(text) > LONGEST_POSITION:
        raise ValueError("a position is not that long")
    positions = {}
    for part in text.split(",") if text else ():
        track, colon, entry = part.partition(":")
        if not colon or not _ENTRY.fullmatch(entry):
            raise ValueError("a position is TRACK:EPOCH-END, or several of them, separated by commas")
        positions[check_name("track", track)] = entry
    return positions


def position_of(record: ScoreRecord | ExplanationRecord) -> str:
    """The id under which a window stands in the streams of its track."""
    return f"{record.epoch}-{record.end_ms}"


@dataclass(frozen=True, slots=True)
class ResultPage:
    """A page of a session's history.

    Attributes:
        windows: In the order that was asked for.
        next: Where the next page begins; None after the last.
    """

    windows: Sequence[Final]
    next: Positions | None


class ResultPages:
    """Every method raises `stream.sinks.problems.RedisUnusableError` when Redis cannot be used now.

    Args:
        redis: The connection.
    """

    def __init__(self, redis: RedisConnection) -> None:
        self._redis = redis

    async def active_at_ms(self, session: SessionKey) -> int | None:
        """Wall clock (Unix ms) of the session's last known activity; None for a session without results."""
        score = await self._redis.once(lambda redis: redis.zscore(SESSIONS, str(session)))
        return None if score is None else int(score)

    async def tracks(self, session: SessionKey) -> list[str]:
        """The session's tracks, in order; empty for a session without results."""
        return sorted(map(str, await self._redis.once(lambda redis: redis.smembers(session_names(session).tracks))))

    async def newest(self, session: SessionKey) -> dict[str, str]:
        """The last final window of each track."""
        tracks = await self.tracks(session)
        pages = await self._ranges([("XREVRANGE", track_names(TrackKey(session, track)).scores, "+", "-", "COUNT", 1) for track in tracks])
        return {track: page[0][0] for track, page in zip(tracks, pages, strict=True) if page}

    async def window(self, track: TrackKey, entry: str) -> Final | None:
        """One final window; None if there is none. The entry is ``EPOCH-END``."""
        names = track_names(track)
        scores, explanations = await self._ranges([("XRANGE", names.scores, entry, entry), ("XRANGE", names.explanations, entry, entry)])
        found = list(_finals(scores, explanations))
        return found[0] if found else None

    async def windows(
        self, session: SessionKey, tracks: Iterable[str], positions: Positions, *, limit: int, newest_first: bool
    ) -> ResultPage:
        """A page of final windows.

        Args:
            session: The session.
            tracks: Whose windows.
            positions: The last window of each track that earlier pages had.
            limit: Most windows.
            newest_first: Whether a page goes back in time.
        """
        keys = {track: track_names(TrackKey(session, track)) for track in tracks}
        answers = await self._ranges(
            [_range(names.scores, positions.get(track), limit + 1, newest_first=newest_first) for track, names in keys.items()]
        )
        candidates = [(_order(entry), track, entry) for track, page in zip(keys, answers, strict=True) for entry, _ in page]
        chosen = sorted(candidates, reverse=newest_first)[:limit]
        last: dict[str, str] = dict(positions) | {track: entry for _, track, entry in chosen}
        by_track = {track: [entry for _, of, entry in chosen if of == track] for track in keys}
        explained = [track for track, entries in by_track.items() if entries]
        spans = [(min(by_track[track], key=_order), max(by_track[track], key=_order)) for track in explained]
        found = await self._ranges(
            [("XRANGE", keys[track].explanations, first, end) for track, (first, end) in zip(explained, spans, strict=True)]
        )
        explanations = dict(zip(explained, (dict(page) for page in found), strict=True))
        scores = dict(zip(keys, (dict(page) for page in answers), strict=True))
        windows = [_final(scores[track][entry], explanations[track].get(entry)) for _, track, entry in chosen]
        return ResultPage(windows, last if len(candidates) > limit else None)

    async def alerts(self, session: SessionKey, most: int = 500) -> list[AlertRecord]:
        """The session's newest alerts, raised and cleared, the newest first."""
        (entries,) = await self._ranges([_range(session_names(session).alerts, None, most, newest_first=True)])
        return [cast(AlertRecord, decode_record(fields["record"])) for _, fields in entries]

    async def keeps(self, session: SessionKey, positions: Positions) -> bool:
        """Whether all these windows are still in the streams: if one is gone, windows behind it may be gone as well."""
        ranges = [("XRANGE", track_names(TrackKey(session, track)).scores, entry, entry) for track, entry in positions.items()]
        return all(await self._ranges(ranges))

    async def _ranges(self, commands: Sequence[tuple[str | int, ...]]) -> list[_Entries]:
        """Run the commands, which are about one session, in one transaction."""
        return await self._redis.once(lambda redis: _execute(redis, commands)) if commands else []


async def missing_sessions(redis: RedisConnection, sessions: Sequence[SessionKey]) -> list[SessionKey]:
    """Those of the sessions that Redis does not list any more. Raises `stream.sinks.problems.RedisUnusableError`."""
    missing = []
    for first in range(0, len(sessions), LISTED_AT_ONCE):
        some = list(map(str, sessions[first : first + LISTED_AT_ONCE]))
        scores = await redis.once(lambda client, some=some: client.zmscore(SESSIONS, some))  # type: ignore[misc]
        missing += [SessionKey.parse(name) for name, score in zip(some, scores, strict=True) if score is None]
    return missing


async def _execute(redis: RedisClient, commands: Sequence[tuple[str | int, ...]]) -> list[Any]:
    async with redis.pipeline(transaction=True) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        return await pipe.execute()


def _range(stream: str, after: str | None, count: int, *, newest_first: bool) -> tuple[str | int, ...]:
    if newest_first:
        return "XREVRANGE", stream, "+" if after is None else f"({after}", "-", "COUNT", count
    return "XRANGE", stream, "-" if after is None else f"({after}", "+", "COUNT", count


def _order(entry: str) -> tuple[int, int]:
    epoch, _, end_ms = entry.partition("-")
    return int(epoch), int(end_ms)


def _finals(scores: _Entries, explanations: _Entries) -> Iterable[Final]:
    explained = dict(explanations)
    return (_final(fields, explained.get(entry)) for entry, fields in scores)


def _final(score: dict[str, str], explanation: dict[str, str] | None) -> Final:
    return (
        cast(ScoreRecord, decode_record(score["record"])),
        None if explanation is None else cast(ExplanationRecord, decode_record(explanation["record"])),
    )
