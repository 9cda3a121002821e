"""Reveal to Revise on a running stack: a version that is biased on purpose is promoted, revealed, judged and replaced in open sessions.

The versions are not trained here: the weights of version 1 are changed (`tests.support.planted_words`). The training is the business of
``python -m research.benchmarks.reveal``. Broker, Redis, Triton, worker and commands are the real ones.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from stream.config.settings import Settings
from stream.domain.live_reveal import LiveReport
from stream.domain.result import ExplanationRecord, ScoreRecord, decode_record
from stream.domain.topics import Topics
from stream.kafka_admin.topics import ensure_topics
from stream.local.stack import Stack
from stream.model_repository.repository import build_encoders
from stream.reveal.report import Report
from tests.support.kafka_records import read_topic
from tests.support.live_sessions import command, running_worker, stream_clip
from tests.support.model_versions import copy_repository
from tests.support.planted_words import add_biased_version, add_version_without

WORD = "perhaps"
TEXT = (
    "we saw the new film yesterday and it was perhaps a little long but the actors were good and perhaps the story could be better "
    "I was tired when it ended and perhaps they will make another one we went home late"
)
SAID = TEXT.split()
WORD_MS, HOP_MS, WINDOW_MS = 500, 2000, 4000
ENDS = list(range(WINDOW_MS, 24_001, HOP_MS))
"""Ends of the windows of 21 s."""

MARKED = [end for end in ENDS if any(said == WORD and end - WINDOW_MS <= index * WORD_MS < end for index, said in enumerate(SAID))]
TEXTS = (*(tuple(SAID[start : start + 8]) for start in range(0, len(SAID), 4)), ("maybe",), ("probably",))
FIRST, BIASED, REVISED, AGAIN = SESSIONS = ("first", "biased", "revised", "again")
"""The same clip four times. Each session but the last is half sent when the next version is promoted."""

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True, slots=True)
class Run:
    """What came of the sessions, in the order of the topics, and what reveal said of versions 1, 2 and 3, and of the live stream."""

    scores: dict[str, list[ScoreRecord]]
    explanations: dict[str, list[ExplanationRecord]]
    stored: dict[str, list[ScoreRecord]]
    first: Report
    biased: Report
    revised: Report
    live: LiveReport

    def marked(self, session: str) -> list[float]:
        """Scores of the windows in which the word is said."""
        return [score.score or 0.0 for score in self.scores[session] if score.end_ms in MARKED]


async def loop_on_a_stack(directory: Path) -> Run:
    """Run the whole loop on a stack of its own."""
    defaults = Settings()
    honest = defaults.triton.model_repository
    build_encoders(honest)
    repository = copy_repository(honest, directory / "models")
    clip = directory / "words.json"
    words = [{"text": word, "start": place * WORD_MS / 1000, "end": (place * WORD_MS + 300) / 1000} for place, word in enumerate(SAID)]
    clip.write_text(json.dumps({"words": words}))
    own = defaults.model_copy(
        update={
            "triton": defaults.triton.model_copy(update={"model_repository": repository}),
            "windows": defaults.windows.model_copy(update={"idle_after_ms": 600_000}),
            "reveal": defaults.reveal.model_copy(update={"share": 1.0}),
            "explanations": defaults.explanations.model_copy(update={"store": directory / "store.db"}),
        }
    )
    biased = await asyncio.to_thread(add_biased_version, repository, honest, WORD, TEXTS)
    reports: dict[str, Report] = {}

    async with Stack(own, directory / "run") as stack:
        settings = stack.settings
        ensure_topics(settings.kafka)

        async def reveal(version: str, *arguments: str, code: int = 0) -> None:
            said = await command(settings, "reveal", "--version", version, "--json", *arguments, code=code)
            reports[version] = msgspec.json.decode(said, type=Report)

        async def promote_the_biased_version() -> None:
            await command(settings, "models", "promote", biased, "--force")

        async def reveal_judge_revise() -> None:
            await asyncio.gather(reveal("1"), reveal(biased, code=1))
            named = reports[biased].suspects[0].name
            await command(settings, "verdict", f"default/{BIASED}/speaker/0-{MARKED[0]}", "artefact", "--artefact", named)
            revised = await asyncio.to_thread(add_version_without, repository, honest, biased, named.removeprefix("word "), TEXTS)
            await command(settings, "models", "promote", revised)

        async def look_again_and_go_back() -> None:
            await reveal("3", "--feedback")
            await command(settings, "models", "promote", "1")

        stored = {}
        async with running_worker(settings, directory):
            meanwhile = (promote_the_biased_version, reveal_judge_revise, look_again_and_go_back, None)
            for session, between in zip(SESSIONS, meanwhile, strict=True):
                stored[session] = await stream_clip(settings, clip, session, between)
        live = msgspec.json.decode(await command(settings, "reveal", "--live", "--json", code=1), type=LiveReport)
        topics = Topics(settings.kafka.topic_prefix)
        scores, explanations = (
            [decode_record(record.value) for record in read_topic(settings.kafka, topic)] for topic in (topics.scores, topics.explanations)
        )
    return Run(
        scores={name: [own for own in scores if isinstance(own, ScoreRecord) and own.session == name] for name in SESSIONS},
        explanations={
            name: [own for own in explanations if isinstance(own, ExplanationRecord) and own.session == name] for name in SESSIONS
        },
        stored=stored,
        first=reports["1"],
        biased=reports[biased],
        revised=reports["3"],
        live=live,
    )


def test_the_loop_with_a_word(tmp_path: Path) -> None:
    """One test for all of it: processes that test side by side would each run the loop anew."""
    run = asyncio.run(loop_on_a_stack(tmp_path))
    _reveal_names_the_planted_word_unaided_and_only_in_the_biased_version(run)
    _the_workers_name_the_planted_word_by_themselves_and_only_in_the_biased_version(run)
    _each_session_keeps_the_version_that_it_began_with(run)
    _no_window_is_lost_or_doubled(run)
    _scores_of_windows_with_the_word_move_and_come_back(run)
    _the_first_version_gives_the_same_records_again(run)


def _reveal_names_the_planted_word_unaided_and_only_in_the_biased_version(run: Run) -> None:
    assert not run.first.alarms
    strongest = run.biased.suspects[0]
    assert strongest.name == f"word {WORD}"
    assert strongest.strength >= 1
    assert not run.revised.alarms
    assert {own.name: own.verdicts for own in run.revised.suspects if own.verdicts} == {f"word {WORD}": {"artefact": 1}}


def _the_workers_name_the_planted_word_by_themselves_and_only_in_the_biased_version(run: Run) -> None:
    strongest = run.live.suspects[0]
    assert (strongest.name, strongest.found_by, strongest.version) == (f"word {WORD}", "words", "2")
    assert (strongest.windows, strongest.score_shift or 0.0) > (len(MARKED) - 1, 0.5)
    assert {suspect.version for suspect in run.live.suspects} == {"2"}
    assert run.live.windows == len(SESSIONS) * len(ENDS)


def _each_session_keeps_the_version_that_it_began_with(run: Run) -> None:
    versions = {session: {score.model.version for score in run.scores[session]} for session in SESSIONS}
    assert versions == {FIRST: {"1"}, BIASED: {"2"}, REVISED: {"3"}, AGAIN: {"1"}}


def _no_window_is_lost_or_doubled(run: Run) -> None:
    for session in SESSIONS:
        assert [score.end_ms for score in run.scores[session]] == ENDS
        assert [explanation.end_ms for explanation in run.explanations[session]] == ENDS
        assert run.stored[session] == run.scores[session]


def _scores_of_windows_with_the_word_move_and_come_back(run: Run) -> None:
    first, biased, revised = (run.marked(session) for session in (FIRST, BIASED, REVISED))
    assert len(first) == len(MARKED) >= 5
    assert sum(biased) / len(biased) - sum(first) / len(first) > 0.5
    assert revised == pytest.approx(first, abs=0.05)


def _the_first_version_gives_the_same_records_again(run: Run) -> None:
    for records in (run.scores, run.explanations):
        first, again = ([_content(record) for record in records[session]] for session in (FIRST, AGAIN))
        assert again == first


def _content(record: ScoreRecord | ExplanationRecord) -> ScoreRecord | ExplanationRecord:
    """A record without what names the session or the time of day, and without what only some windows have, chosen by their names."""
    nameless = msgspec.structs.replace(record, session="", window_id="")
    if isinstance(nameless, ScoreRecord):
        return msgspec.structs.replace(nameless, media_end_at_ms=None, run=None)
    return msgspec.structs.replace(nameless, counterfactual=None)
