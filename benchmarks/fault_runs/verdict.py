"""The oracle: what came out, against what must have come out."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
from rich.console import Console

from benchmarks.fault_runs.traffic import TRACK, Session
from stream.config.settings import Settings
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.result import ExplanationRecord, ScoreRecord
from stream.domain.topics import Topics
from stream.sinks.connection import connect
from stream.sinks.keys import session_names
from stream.sinks.redis_sink import RedisSink
from tests.support.kafka_records import read_topic

console = Console(stderr=True)

LOOK_EVERY_S = 0.2
ROUNDING = 1.5e-4
"""Of scores, which are published with four digits."""

PATIENCE_S = 1.5
"""A window this much later than its last chunk is overdue."""


@dataclass(slots=True)
class Verdict:
    """Of one run, or of several added up.

    Attributes:
        expected: Final windows that must be there.
        lost: Expected windows that are missing in Redis or in the ``scores`` topic.
        duplicated: Final windows that Redis holds more than once.
        different: Window ids that ``scores`` or ``explanations`` hold with more than one content, or with another than Redis.
        wrong: Windows in Redis that were not expected, or hold other words than were said (with Triton: whose score or strongest words
            are not those of the same window of a session that said the same undisturbed).
        repeated: Records of ``scores`` that came again with the same content: allowed, and counted.
        late: Chunks in ``chunks.late``.
        dead_letters: Records in ``chunks.dead-letter``.
        summaries_missing: Sessions without a summary in Kafka.
    """

    expected: int = 0
    lost: int = 0
    duplicated: int = 0
    different: int = 0
    wrong: int = 0
    repeated: int = 0
    late: int = 0
    dead_letters: int = 0
    summaries_missing: int = 0

    def add(self, other: Verdict) -> None:
        """Add another run's numbers."""
        for name, number in asdict(other).items():
            setattr(self, name, getattr(self, name) + number)

    @property
    def clean(self) -> bool:
        """True when nothing is lost, duplicated, different, wrong or late."""
        return not any((self.lost, self.duplicated, self.different, self.wrong, self.late, self.dead_letters, self.summaries_missing))


class Watch:
    """Looks at Redis while a run goes on: is any window overdue?"""

    def __init__(self, settings: Settings, sessions: list[Session]) -> None:
        self._store = RedisSink(settings.redis)
        self._redis = connect(settings.redis)
        self._sessions = sessions
        self.overdue_at = 0.0
        """Monotonic time at which a window was overdue last."""

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            if await self._overdue():
                self.overdue_at = time.monotonic()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _overdue(self) -> bool:
        finals = await asyncio.gather(*(self._store.last_final(TrackKey(s.key, TRACK)) for s in self._sessions))
        now = time.monotonic()
        return any(s.due_ms(now, PATIENCE_S) > (f.end_ms if f else 0) for s, f in zip(self._sessions, finals, strict=True))

    async def calm(self, since: float, seconds: float) -> None:
        """Wait until for so long, after ``since`` (monotonic time), no window was overdue."""
        while (wait_s := max(since, self.overdue_at) + seconds - time.monotonic()) > 0:  # noqa: ASYNC110 (what is waited for is that nothing happens)
            await asyncio.sleep(wait_s)

    async def complete(self, timeout_s: float) -> bool:
        """Wait until each ended session has its last final window and its summary, which is written after that."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            finals = await asyncio.gather(*(self._store.last_final(TrackKey(s.key, TRACK)) for s in self._sessions))
            summaries = await self._redis.exists(*(session_names(s.key).summary for s in self._sessions))
            done = all(f is not None and f.end_ms >= max(s.expected()) for s, f in zip(self._sessions, finals, strict=True))
            if done and summaries == len(self._sessions):
                return True
            await asyncio.sleep(LOOK_EVERY_S)
        return False

    async def finals(self, session: SessionKey) -> list[ScoreRecord]:
        """What Redis holds of a session."""
        return await self._store.finals(session)

    async def close(self) -> None:
        """Close the connection."""
        await self._store.close()
        await self._redis.aclose()


async def judge(settings: Settings, watch: Watch, sessions: list[Session], undisturbed: list[Session] | None) -> Verdict:
    """Compare Redis and the result topics with what was said.

    Args:
        settings: Of the run.
        watch: On Redis.
        sessions: That suffered the faults.
        undisturbed: The same once more without faults, which says what the windows' contents must be; None where a score counts words.
    """
    topics = Topics(settings.kafka.topic_prefix)
    names = (topics.scores, topics.explanations, topics.late, topics.dead_letters, topics.summaries)
    scores, explanations, late, letters, summaries = [await asyncio.to_thread(read_topic, settings.kafka, name) for name in names]
    scored, explained = _by_window(scores), _by_window(explanations)
    verdict = Verdict(late=len(late), dead_letters=len(letters))
    verdict.repeated = len(scores) - sum(map(len, scored.values()))
    changed = sorted(window for contents in (scored, explained) for window, found in contents.items() if len(found) > 1)
    verdict.different = len(changed)
    for window in changed:
        console.print(f"  different: window {window}")
    verdict.summaries_missing = len({str(session.key).encode() for session in sessions} - {record.key for record in summaries})
    for place, session in enumerate(sessions):
        expected = session.expected()
        finals = await watch.finals(session.key)
        held = Counter(final.end_ms for final in finals)
        verdict.expected += len(expected)
        verdict.lost += sum(end_ms not in held or _window(session, end_ms) not in scored for end_ms in expected)
        verdict.duplicated += sum(count - 1 for count in held.values())
        for final in finals:
            published = [msgspec.json.decode(content, type=ScoreRecord) for content in scored.get(final.window_id, ())]
            verdict.different += len(published) == 1 and published[0] != final
        if undisturbed is None:
            right = {end_ms: Content(float(len(words))) for end_ms, words in expected.items()}
            found = {final.end_ms: Content(final.score) for final in finals}
        else:
            twin = undisturbed[place]
            known = _contents(twin, await watch.finals(twin.key), explained)
            right = {end_ms: content for end_ms, content in known.items() if end_ms in expected}
            found = _contents(session, finals, explained)
        for end_ms in wrong_windows(found, right):
            verdict.wrong += 1
            console.print(f"  wrong: window {end_ms} of session {session.key.session}: {found[end_ms]}, not {right.get(end_ms)}")
    return verdict


@dataclass(frozen=True, slots=True)
class Content:
    """What a window's records say, as far as it is compared."""

    score: float
    words: tuple[str, ...] = ()
    """The strongest, in alphabetical order."""


def wrong_windows(found: Mapping[int, Content], right: Mapping[int, Content]) -> list[int]:
    """Ends of the windows in `found` whose content is not what it must be, or of which nobody knows what it must be.

    Scores may be a digit of rounding apart: Triton answers windows in other batches the second time.
    """
    return [
        end_ms
        for end_ms, content in found.items()
        if (known := right.get(end_ms)) is None or content.words != known.words or abs(content.score - known.score) > ROUNDING
    ]


def _contents(session: Session, finals: list[ScoreRecord], explained: Mapping[str, set[bytes]]) -> dict[int, Content]:
    return {final.end_ms: Content(final.score, _words(explained.get(_window(session, final.end_ms), set()))) for final in finals}


def _words(contents: set[bytes]) -> tuple[str, ...]:
    records = (msgspec.json.decode(content, type=ExplanationRecord) for content in contents)
    return tuple(sorted(word.text for record in records for word in record.words))


def _window(session: Session, end_ms: int) -> str:
    return f"{session.key}/{TRACK}/0-{end_ms}"


def _by_window(records: list[Any]) -> dict[str, set[bytes]]:
    contents: dict[str, set[bytes]] = defaultdict(set)
    for record in records:
        contents[dict(record.headers)["ce_id"].decode()].add(record.value)
    return contents
