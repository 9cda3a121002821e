"""The oracle: compares the published windows with the words that were sent, and alerts with the windows."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self, cast

import msgspec
from rich.console import Console

from benchmarks.fault_runs.alerts import compare_alerts, expected_alerts
from benchmarks.fault_runs.traffic import TRACK, Session
from stream.config.service_settings import KafkaSettings
from stream.config.settings import Settings
from stream.domain.alert import AlertRecord
from stream.domain.delivery import LastFinal
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.result import ExplanationRecord, ModelVersion, ScoreRecord, decode_record
from stream.domain.topics import Topics
from stream.sinks.connection import RedisConnection
from stream.sinks.keys import session_names
from stream.sinks.redis_sink import RedisSink
from tests.support.kafka_records import read_topic

console = Console(stderr=True)

CHECK_EVERY_S = 0.2
ROUNDING = 1.5e-4
"""Largest difference between equal scores: scores are published with four digits."""

PATIENCE_S = 1.5
"""A window is overdue when it is not final this long after its last chunk."""


@dataclass(slots=True)
class Verdict:
    """The result of a run, or the sum over several runs.

    Attributes:
        expected: Final windows that must exist.
        lost: Expected windows that are missing in Redis or in the ``scores`` topic.
        duplicated: Final windows that Redis holds more than once.
        different: Window ids that have several contents in ``scores`` or ``explanations``, or another content there than in Redis.
        wrong: Windows in Redis that were not expected, or whose words are not the words that were sent. With Triton: windows whose score or
            strongest words differ from those of the same window in a session that repeats the words without faults.
        repeated: Records of ``scores`` that repeat an earlier record with the same content. These are allowed.
        late: Chunks in ``chunks.late``.
        dead_letters: Records in ``chunks.dead-letter``.
        summaries_missing: Sessions without a summary in Kafka.
        mixed: Epochs whose records name several versions of the model.
        on_version_2: Epochs whose records name version 2 alone: with ``--promote``, those that began between a promotion and its rollback.
        alerts_expected: Alerts that the final windows must raise and clear.
        alerts_lost: Expected alerts that are missing in Redis or in the topic ``alerts``.
        alerts_duplicated: Alerts that Redis holds more than once.
        alerts_different: Alerts that were not expected, or whose contents differ from the expected one, in Redis or in ``alerts``.
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
    mixed: int = 0
    on_version_2: int = 0
    alerts_expected: int = 0
    alerts_lost: int = 0
    alerts_duplicated: int = 0
    alerts_different: int = 0

    def add(self, other: Verdict) -> None:
        """Add the numbers of another run."""
        for name, number in asdict(other).items():
            setattr(self, name, getattr(self, name) + number)

    @property
    def clean(self) -> bool:
        """Whether nothing is lost, duplicated, different, wrong, late, mixed or in the dead letters, and no summary is missing."""
        errors = (self.lost, self.duplicated, self.different, self.wrong, self.late, self.dead_letters)
        of_alerts = (self.alerts_lost, self.alerts_duplicated, self.alerts_different)
        return not any((*errors, *of_alerts, self.summaries_missing, self.mixed))


class RedisMonitor:
    """Watches Redis during a run for overdue windows.

    Args:
        settings: Settings of the run.
        sessions: The sessions to watch.
    """

    def __init__(self, settings: Settings, sessions: list[Session]) -> None:
        self._store = RedisSink(settings.redis)
        self._redis = RedisConnection(settings.redis)
        self._sessions = sessions
        self.overdue_at = 0.0
        """Monotonic time at which a window was last seen overdue."""

    async def run(self) -> None:
        """Check for overdue windows until cancelled."""
        while True:
            if await self._overdue():
                self.overdue_at = time.monotonic()
            await asyncio.sleep(CHECK_EVERY_S)

    async def _overdue(self) -> bool:
        finals = await self._last_finals()
        now = time.monotonic()
        return any(
            session.due_ms(now, PATIENCE_S) > (final.end_ms if final else 0) for session, final in zip(self._sessions, finals, strict=True)
        )

    async def _last_finals(self) -> Sequence[LastFinal | None]:
        return await asyncio.gather(*(self._store.last_final(TrackKey(session.key, TRACK)) for session in self._sessions))

    async def wait_until_calm(self, since: float, seconds: float) -> None:
        """Wait until no window was overdue for a number of seconds after ``since`` (monotonic time)."""
        while (wait_s := max(since, self.overdue_at) + seconds - time.monotonic()) > 0:  # noqa: ASYNC110 (there is no event to wait for)
            await asyncio.sleep(wait_s)

    async def wait_until_complete(self, timeout_s: float) -> bool:
        """Wait until each session has its last final window and its summary. Returns whether that happened in time.

        Both are checked, because the summary is written after the last final window.
        """
        deadline = time.monotonic() + timeout_s
        names = [session_names(session.key).summary for session in self._sessions]
        while time.monotonic() < deadline:
            finals = await self._last_finals()
            summaries = await self._redis.once(lambda redis: redis.exists(*names))
            all_final = all(
                final is not None and final.end_ms >= max(session.expected()) for session, final in zip(self._sessions, finals, strict=True)
            )
            if all_final and summaries == len(self._sessions):
                return True
            await asyncio.sleep(CHECK_EVERY_S)
        return False

    async def versions(self) -> list[str | None]:
        """The version of the model of each session's first final window."""
        finals = [await self.finals(session.key) for session in self._sessions]
        return [of_session[0].model.version if of_session else None for of_session in finals]

    async def finals(self, session: SessionKey) -> list[ScoreRecord]:
        """All final windows that Redis holds of a session."""
        return await self._store.finals(session)

    async def alerts(self, session: SessionKey) -> list[AlertRecord]:
        """All alerts that Redis holds of a session."""
        entries = cast(Any, await self._redis.once(lambda redis: redis.xrange(session_names(session).alerts)))
        return [cast(AlertRecord, decode_record(fields["record"])) for _, fields in entries]

    async def close(self) -> None:
        """Close the connections."""
        await self._store.close()
        await self._redis.close()


@dataclass(frozen=True, slots=True)
class Published:
    """Contents of the result topics after a run.

    Attributes:
        scores: The distinct contents of the records in ``scores``, by window id.
        explanations: The distinct contents of the records in ``explanations``, by window id.
        alerts: The distinct contents of the records in ``alerts``, by alert id.
        score_count: Number of records in ``scores``, repeated records included.
        late_count: Number of records in ``chunks.late``.
        dead_letter_count: Number of records in ``chunks.dead-letter``.
        summarised: Keys of the sessions that have a summary.
    """

    scores: Mapping[str, set[bytes]]
    explanations: Mapping[str, set[bytes]]
    alerts: Mapping[str, set[bytes]]
    score_count: int
    late_count: int
    dead_letter_count: int
    summarised: set[bytes]

    @classmethod
    async def read(cls, kafka: KafkaSettings) -> Self:
        """Read the result topics to their end."""
        topics = Topics(kafka.topic_prefix)
        names = (topics.scores, topics.explanations, topics.alerts, topics.late, topics.dead_letters, topics.summaries)
        scores, explanations, alerts, late, dead_letters, summaries = [await asyncio.to_thread(read_topic, kafka, name) for name in names]
        return cls(
            scores=_by_id(scores),
            explanations=_by_id(explanations),
            alerts=_by_id(alerts),
            score_count=len(scores),
            late_count=len(late),
            dead_letter_count=len(dead_letters),
            summarised={record.key for record in summaries},
        )

    def versions(self) -> Mapping[tuple[str, int], set[ModelVersion]]:
        """The versions of the model that the scores name, by session and epoch."""
        found: dict[tuple[str, int], set[ModelVersion]] = defaultdict(set)
        for contents in self.scores.values():
            for record in [msgspec.json.decode(content, type=ScoreRecord) for content in contents]:
                found[record.session, record.epoch].add(record.model)
        return found

    def windows_with_several_contents(self) -> list[str]:
        """Ids of the windows whose records differ; once for each of the two topics."""
        by_topic = (self.scores, self.explanations)
        return sorted(window for by_window in by_topic for window, contents in by_window.items() if len(contents) > 1)


async def judge(settings: Settings, monitor: RedisMonitor, sessions: list[Session], references: list[Session] | None) -> Verdict:
    """Compare Redis and the result topics with the words that were sent.

    Args:
        settings: Settings of the run.
        monitor: Gives the final windows in Redis.
        sessions: The sessions that suffered the faults.
        references: The same sessions repeated without faults, whose windows have the right contents. None if the score of a window is its
            number of words.
    """
    published = await Published.read(settings.kafka)
    verdict = Verdict(late=published.late_count, dead_letters=published.dead_letter_count)
    verdict.repeated = published.score_count - sum(map(len, published.scores.values()))
    changed = published.windows_with_several_contents()
    verdict.different = len(changed)
    for window in changed:
        console.print(f"  different: window {window}")
    versions = published.versions()
    verdict.mixed = sum(len(of_epoch) > 1 for of_epoch in versions.values())
    own = {session.key.session for session in sessions}
    verdict.on_version_2 = sum(
        {model.version for model in of_epoch} == {"2"} for (session, _), of_epoch in versions.items() if session in own
    )
    verdict.summaries_missing = len({str(session.key).encode() for session in sessions} - published.summarised)
    for index, session in enumerate(sessions):
        finals = await monitor.finals(session.key)
        _compare_presence(verdict, session, finals, published)
        _compare_alerts(verdict, session, finals, published, await monitor.alerts(session.key))
        if references is None:
            right = {end_ms: Content(float(len(words))) for end_ms, words in session.expected().items()}
            found = {final.end_ms: Content(final.score) for final in finals}
        else:
            reference = references[index]
            contents = _contents(reference, await monitor.finals(reference.key), published.explanations)
            right = {end_ms: content for end_ms, content in contents.items() if end_ms in session.expected()}
            found = _contents(session, finals, published.explanations)
        for end_ms in wrong_windows(found, right):
            verdict.wrong += 1
            console.print(f"  wrong: window {end_ms} of session {session.key.session}: {found[end_ms]}, not {right.get(end_ms)}")
    return verdict


def _compare_presence(verdict: Verdict, session: Session, finals: Sequence[ScoreRecord], published: Published) -> None:
    """Count the windows of a session that are expected, lost, duplicated, or different in Kafka and Redis."""
    expected = session.expected()
    in_redis = Counter(final.end_ms for final in finals)
    verdict.expected += len(expected)
    verdict.lost += sum(end_ms not in in_redis or _window_id(session, end_ms) not in published.scores for end_ms in expected)
    verdict.duplicated += sum(count - 1 for count in in_redis.values())
    for final in finals:
        records = [msgspec.json.decode(content, type=ScoreRecord) for content in published.scores.get(final.window_id, ())]
        verdict.different += len(records) == 1 and records[0] != final


def _compare_alerts(
    verdict: Verdict, session: Session, finals: Sequence[ScoreRecord], published: Published, in_redis: Sequence[AlertRecord]
) -> None:
    """Count the alerts of a session that are expected, lost, duplicated or different."""
    explanations = {
        window: msgspec.json.decode(min(contents), type=ExplanationRecord) for window, contents in published.explanations.items()
    }
    expected = expected_alerts((final, explanations[final.window_id]) for final in finals if final.window_id in explanations)
    of_session = {alert: contents for alert, contents in published.alerts.items() if alert.startswith(f"{session.key}/")}
    counts = compare_alerts(expected, in_redis, of_session)
    verdict.alerts_expected += counts.expected
    verdict.alerts_lost += counts.lost
    verdict.alerts_duplicated += counts.duplicated
    verdict.alerts_different += counts.different


@dataclass(frozen=True, slots=True)
class Content:
    """The parts of a window's records that are compared."""

    score: float | None
    words: tuple[str, ...] = ()
    """The strongest words, in alphabetical order."""


def wrong_windows(found: Mapping[int, Content], right: Mapping[int, Content]) -> list[int]:
    """Ends of the windows in `found` that differ from the same window in `right`, or that `right` lacks.

    Scores may differ by a digit of rounding: Triton computes the repeated windows in other batches.
    """
    return [
        end_ms
        for end_ms, content in found.items()
        if (known := right.get(end_ms)) is None or content.words != known.words or not _same_score(content.score, known.score)
    ]


def _same_score(found: float | None, right: float | None) -> bool:
    return found == right if found is None or right is None else abs(found - right) <= ROUNDING


def _contents(session: Session, finals: Sequence[ScoreRecord], explanations: Mapping[str, set[bytes]]) -> dict[int, Content]:
    return {final.end_ms: Content(final.score, _words(explanations.get(_window_id(session, final.end_ms), set()))) for final in finals}


def _words(contents: set[bytes]) -> tuple[str, ...]:
    records = (msgspec.json.decode(content, type=ExplanationRecord) for content in contents)
    return tuple(sorted(word.text for record in records for word in record.words))


def _window_id(session: Session, end_ms: int) -> str:
    return f"{session.key}/{TRACK}/0-{end_ms}"


def _by_id(records: Sequence[Any]) -> dict[str, set[bytes]]:
    contents: dict[str, set[bytes]] = defaultdict(set)
    for record in records:
        contents[dict(record.headers)["ce_id"].decode()].add(record.value)
    return contents
