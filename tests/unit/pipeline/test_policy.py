"""Every cell of the policy through the router, with an encoder that remembers what it was given: what may not be used is never decoded."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from stream.config.media_settings import WindowSettings
from stream.config.settings import Settings
from stream.config.worker_settings import LimitSettings, PolicySettings
from stream.domain.consent import ConsentStatement
from stream.domain.context import ContextFeatures, packed_mean
from stream.domain.delivery import InboundRecord
from stream.domain.features import Word
from stream.domain.identity import SessionKey, TrackKey
from stream.domain.kafka_records import chunk_headers, encode_words
from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import ExplanationRecord, ScoreRecord
from stream.domain.session_events import MAX_EVENTS, SessionConsent, SessionEnd, SessionHeartbeat, SessionStart, TrackEnd, TrackPlan
from stream.domain.warning_codes import WarningCode
from stream.domain.window import Window
from stream.pipeline.window_context import WindowContext
from tests.fakes.chunks import MEDIA_START_AT_MS, header
from tests.fakes.media_encoder import MediaEncoder
from tests.fakes.processing_context import FakeScorer, FakeStore, FakeWorker, explanation_of, score_of

TEXT, AUDIO, VIDEO = MODALITIES
ALL, NOTHING, WORDS = frozenset(MODALITIES), frozenset[Modality](), frozenset({TEXT})
USES = {"all": ALL, "text_only": WORDS, "off": NOTHING}
SECONDS = 10


@dataclass
class KeepingScorer(FakeScorer):
    """Keeps every window that it is given, and what it may know of earlier ones; a window contributes every modality that it has."""

    windows: list[Window] = field(default_factory=list)
    knew: dict[tuple[str, int], list[ContextFeatures]] = field(default_factory=dict)

    async def final(self, window: Window, context: WindowContext, version: str) -> tuple[ScoreRecord, ExplanationRecord]:
        self.windows.append(window)
        means = {modality: packed_mean(np.ones((1, 1), np.float32)) for modality in window.present()}
        context.contribute(ContextFeatures(window.track.track, window.epoch, window.end_ms, means, window.start_ms))
        self.knew[window.track.track, window.end_ms] = await context.features() + await context.earlier()
        return score_of(window, version), explanation_of(window)


@pytest.fixture(autouse=True)
def nothing_decoded() -> None:
    MediaEncoder.decoded.clear()


def worker(policy: PolicySettings, store: FakeStore | None = None, **limits: int) -> tuple[FakeWorker, KeepingScorer]:
    scorer = KeepingScorer()
    settings = Settings(policy=policy, limits=LimitSettings(**limits), windows=WindowSettings(partial_every_ms=0))
    return FakeWorker(scorer, store or FakeStore(), settings, MediaEncoder), scorer


def start(
    role: str = "customer", *, consent: bool | None = None, own: bool | None = None, sent: Sequence[Modality] = MODALITIES, **plan: str
) -> SessionStart:
    return SessionStart(0, (TrackPlan("speaker", role, tuple(sent), own, **plan),), consent)


def end(seconds: int = SECONDS, sent: Sequence[Modality] = MODALITIES, track: str = "speaker") -> SessionEnd:
    return SessionEnd(0, seconds * 1000, (TrackEnd(track, dict.fromkeys(sent, seconds)),))


def chunk(
    worker: FakeWorker, seq: int, modality: Modality, role: str = "customer", track: str = "speaker", text: str = "word"
) -> InboundRecord:
    of_chunk = replace(header(seq, modality, track=track), role=role)
    words = [
        Word(part, of_chunk.start_ms + at * 50, of_chunk.start_ms + at * 50 + 50) for at, part in enumerate(text.split()) if text != "-"
    ]
    payload = encode_words(words) if modality is TEXT else b"media"
    return worker.record(worker.topics.chunks(modality), str(of_chunk.session).encode(), payload, chunk_headers(of_chunk))


Records = list[InboundRecord]


def chunks(worker: FakeWorker, seconds: Collection[int], sent: Sequence[Modality] = MODALITIES, role: str = "customer") -> Records:
    return [chunk(worker, seq, modality, role) for seq in seconds for modality in sent]


def finals(worker: FakeWorker, track: str = "speaker") -> list[ScoreRecord]:
    return worker.store.scores[TrackKey(header(0).session, track)]


def decoded(track: str = "speaker") -> set[Modality]:
    return {modality for modality, of, _ in MediaEncoder.decoded if of == track}


def oracle(use: str, required: bool, said: bool | None, without: str) -> tuple[frozenset[Modality], dict[Modality, str]]:
    """What may be used, and why the rest may not, said in another way than the code does."""
    consented = said if said is not None else not required
    allowed = USES[use] if consented else USES[use] & USES[{"text_only": "text_only", "nothing": "off"}[without]]
    return allowed, {m: "consent" if m in USES[use] else "policy" for m in MODALITIES if m not in allowed}


CELLS = list(itertools.product(USES, ("assumed", "required"), (None, True, False), ("text_only", "nothing"), ("session", "track")))


@pytest.mark.parametrize(("use", "consent", "said", "without", "by"), CELLS)
async def test_every_cell(use: str, consent: str, said: bool | None, without: str, by: str) -> None:
    allowed, withheld = oracle(use, consent == "required", said, without)
    policy = PolicySettings.model_validate({"roles": {"customer": use}, "consent": consent, "without_consent": without})
    one, scorer = worker(policy)
    begin = start(consent=said) if by == "session" else start(own=said)
    await one.feed(one.event(begin), *chunks(one, range(SECONDS)), one.event(end()))
    assert decoded() == allowed
    assert [final.end_ms for final in finals(one)] == [4000, 6000, 8000, 10_000, 12_000]
    for final, window in zip(finals(one), scorer.windows, strict=True):
        assert final.withheld == withheld
        assert set(final.modalities_present) == set(final.modalities_expected) == allowed
        assert {m for m, held in zip(MODALITIES, (window.text, window.audio, window.video), strict=True) if held} == allowed
    assert all({*features.means} <= allowed for known in scorer.knew.values() for features in known)
    assert len(one.acknowledged) == len(set(one.acknowledged)) == 3 * SECONDS + 2
    assert not one.reasons()
    assert [summary.windows for summary in one.store.summaries] == [5]
    assert one.router.open_epochs == 0
    assert not one.failures


@pytest.mark.parametrize("sent", [(AUDIO,), (VIDEO,), (AUDIO, VIDEO), (TEXT, AUDIO), (TEXT, VIDEO), (TEXT,)], ids=str)
@pytest.mark.parametrize("role", ["agent", "Agent", "AGENT"])
async def test_by_default_neither_voice_nor_face_of_an_agent_is_used_whatever_is_sent(role: str, sent: tuple[Modality, ...]) -> None:
    one, _ = worker(PolicySettings())
    await one.feed(one.event(start(role, sent=sent)), *chunks(one, range(SECONDS), sent, role), one.event(end(sent=sent)))
    assert decoded() == WORDS & set(sent)
    assert [final.end_ms for final in finals(one)] == [4000, 6000, 8000, 10_000, 12_000]
    assert all(final.withheld == {AUDIO: "policy", VIDEO: "policy"} for final in finals(one))
    assert all(final.modalities_expected == tuple(WORDS & set(sent)) for final in finals(one))
    assert len(one.acknowledged) == len(sent) * SECONDS + 2
    assert not one.reasons()


async def test_the_plan_says_the_role_and_not_the_chunks() -> None:
    one, _ = worker(PolicySettings())
    await one.feed(one.event(start("agent")), *chunks(one, range(SECONDS), role="customer"), one.event(end()))
    assert decoded() == WORDS
    assert {final.role for final in finals(one)} == {"agent"}


async def test_without_a_start_the_chunks_say_the_role_and_the_first_one_counts() -> None:
    one, _ = worker(PolicySettings())
    records = [chunk(one, seq, modality, "agent" if seq == 0 else "customer") for seq in range(SECONDS) for modality in MODALITIES]
    await one.feed(*records)
    await one.advance(5000)
    assert decoded() == WORDS
    assert len(finals(one)) >= 4
    assert all(final.withheld == {AUDIO: "policy", VIDEO: "policy"} for final in finals(one))


async def test_a_track_that_sends_only_what_may_not_be_used_and_has_no_start_has_no_windows() -> None:
    one, _ = worker(PolicySettings())
    await one.feed(*chunks(one, range(SECONDS), (AUDIO, VIDEO), "agent"))
    await one.advance(10_000)
    assert not decoded()
    assert not finals(one)
    assert len(one.acknowledged) == 2 * SECONDS
    assert not one.reasons()
    assert one.router.open_epochs == 0


async def test_windows_do_not_wait_for_what_may_not_be_used() -> None:
    one, _ = worker(PolicySettings())
    await one.feed(one.event(start("agent")), *chunks(one, range(SECONDS), (TEXT,), "agent"))
    assert [final.end_ms for final in finals(one)] == [4000, 6000, 8000]
    await one.feed(*chunks(one, range(SECONDS), (AUDIO, VIDEO), "agent"), one.event(end()))
    assert [final.end_ms for final in finals(one)] == [4000, 6000, 8000, 10_000, 12_000]
    assert not one.sent[one.topics.late]


async def test_a_session_ends_at_once_although_withheld_chunks_are_counted_and_missing() -> None:
    one, _ = worker(PolicySettings())
    await one.feed(one.event(start("agent")), *chunks(one, range(SECONDS), (TEXT,), "agent"), one.event(end()))
    assert one.router.open_epochs == 0


async def test_chunks_that_may_not_be_used_are_in_no_topic_of_late_chunks_or_dead_letters() -> None:
    """Late, with the number of another chunk, from the future, and damaged: each would be kept with its content if it might be used."""
    one, _ = worker(PolicySettings.model_validate({"roles": {"customer": "off"}}))
    late, again = chunks(one, [0]), chunks(one, [9])
    other = [replace(record, value=b"other media") for record in again[1:]]
    future = [replace(header(20, modality, track="speaker"), start_ms=10_000_000) for modality in MODALITIES]
    ahead = [
        one.record(one.topics.chunks(h.modality), str(h.session).encode(), b"{ no words", chunk_headers(replace(h, captured_ms=1_010_000)))
        for h in future
    ]
    await one.feed(one.event(start()), *chunks(one, range(1, SECONDS)), *late, *other, *ahead)
    await one.feed(one.event(end()))
    await one.advance(10_000)
    assert not decoded()
    assert not one.sent[one.topics.late]
    assert not one.reasons()
    assert len(one.acknowledged) == 3 * (SECONDS - 1) + len(late) + len(other) + len(ahead) + 2
    assert one.router.open_epochs == 0


async def test_each_tenant_has_its_own_policy() -> None:
    policy = PolicySettings.model_validate({"tenants": {"acme": {"roles": "agent=all", "languages": "de"}}})
    one, _ = worker(policy)
    await one.feed(one.event(start("agent")), *chunks(one, range(SECONDS), role="agent"), one.event(end()))
    assert decoded() == ALL
    MediaEncoder.decoded.clear()
    other, _ = worker(PolicySettings.model_validate({"tenants": {"other": {"roles": "agent=all"}}}))
    await other.feed(other.event(start("agent")), *chunks(other, range(SECONDS), role="agent"), other.event(end()))
    assert decoded() == WORDS


# Consent in mid-session.

UNTIL_MS = 5000
WITHDRAWAL = SessionConsent(0, UNTIL_MS, consent=False)
GRANT = SessionConsent(0, UNTIL_MS, consent=True)


@pytest.mark.parametrize("track", [None, "speaker"])
@pytest.mark.parametrize("without", ["text_only", "nothing"])
async def test_a_withdrawal_holds_from_its_media_time_on(track: str | None, without: str) -> None:
    one, scorer = worker(PolicySettings.model_validate({"without_consent": without}))
    withdrawal = SessionConsent(0, UNTIL_MS, consent=False, track=track)
    before, after = chunks(one, range(5)), chunks(one, range(5, SECONDS))
    await one.feed(one.event(start(consent=True)), *before, one.event(withdrawal), *after, one.event(end()))
    kept = WORDS if without == "text_only" else NOTHING
    assert {modality for modality, _, start_ms in MediaEncoder.decoded if start_ms >= UNTIL_MS} == kept
    assert [(final.end_ms, frozenset(final.modalities_present)) for final in finals(one)] == [
        (4000, ALL),
        (6000, kept),
        (8000, kept),
        (10_000, kept),
        (12_000, kept),
    ]
    assert finals(one)[0].withheld == {}
    assert all(final.withheld == dict.fromkeys(ALL - kept, "consent") for final in finals(one)[1:])
    assert all({*features.means} <= kept for (_, end_ms), known in scorer.knew.items() for features in known if end_ms > UNTIL_MS)
    assert len(one.acknowledged) == 3 * SECONDS + 3
    assert not one.reasons()
    assert one.router.open_epochs == 0


async def test_a_withdrawal_that_comes_late_reaches_back_to_every_open_window() -> None:
    one, _ = worker(PolicySettings())
    await one.feed(one.event(start()), *chunks(one, range(9)))
    await one.feed(one.event(SessionConsent(0, 1000, consent=False)), *chunks(one, range(9, SECONDS)), one.event(end()))
    present = {final.end_ms: set(final.modalities_present) for final in finals(one)}
    assert present == {4000: ALL, 6000: ALL, 8000: ALL, 10_000: WORDS, 12_000: WORDS}


async def test_a_consent_in_mid_session() -> None:
    one, _ = worker(PolicySettings(consent="required"))
    await one.feed(one.event(start()), *chunks(one, range(5)), one.event(GRANT), *chunks(one, range(5, 14)), one.event(end(14)))
    assert {start_ms for modality, _, start_ms in MediaEncoder.decoded if modality is AUDIO} == set(range(UNTIL_MS, 14_000, 1000))
    present = {final.end_ms: set(final.modalities_present) for final in finals(one)}
    assert present == {4000: WORDS, 6000: WORDS, 8000: WORDS, 10_000: ALL, 12_000: ALL, 14_000: ALL, 16_000: ALL}
    assert one.router.open_epochs == 0


async def test_a_consent_that_comes_late_does_not_reach_back_before_what_was_left_out() -> None:
    one, _ = worker(PolicySettings(consent="required"))
    await one.feed(one.event(start()), *chunks(one, range(5)), one.event(SessionConsent(0, 0, consent=True)), *chunks(one, range(5, 14)))
    present = {final.end_ms: set(final.modalities_present) for final in finals(one)}
    assert present == {4000: WORDS, 6000: WORDS, 8000: WORDS, 10_000: ALL, 12_000: ALL}


async def test_withdrawn_and_given_again() -> None:
    one, _ = worker(PolicySettings())
    again = SessionConsent(0, 8000, consent=True)
    events = [one.event(start(consent=True)), one.event(WITHDRAWAL), one.event(again)]
    await one.feed(*events, *chunks(one, range(16)), one.event(end(16)))
    audio = {start_ms for modality, _, start_ms in MediaEncoder.decoded if modality is AUDIO}
    assert audio == {*range(0, 5000, 1000), *range(8000, 16_000, 1000)}
    present = {final.end_ms: AUDIO in final.modalities_present for final in finals(one)}
    assert present == {4000: True, 6000: False, 8000: False, 10_000: False, 12_000: True, 14_000: True, 16_000: True, 18_000: True}
    assert one.router.open_epochs == 0


@pytest.mark.parametrize("died_after", range(0, 41, 5))
@pytest.mark.parametrize("order", ["events first", "chunks first"])
async def test_wherever_a_worker_dies_nothing_is_used_after_a_withdrawal_and_the_results_are_the_same(died_after: int, order: str) -> None:
    whole, _ = worker(PolicySettings())
    await whole.feed(whole.event(start()), *chunks(whole, range(5)), whole.event(WITHDRAWAL), *chunks(whole, range(5, 12)))
    await whole.feed(whole.event(end(12)))
    MediaEncoder.decoded.clear()
    first, _ = worker(PolicySettings())
    records = [first.event(start()), *chunks(first, range(5)), first.event(WITHDRAWAL), *chunks(first, range(5, 12)), first.event(end(12))]
    await first.feed(*records[:died_after])
    first.router.stop()
    second, _ = worker(PolicySettings(), first.store)
    left = [record for record in records if (record.topic, record.offset) not in first.acknowledged]
    if order == "chunks first":
        known = [record for record in left if record in records[:died_after]]
        left = sorted(known, key=lambda record: record.topic == first.topics.sessions) + [r for r in left if r not in known]
    await second.feed(*left)
    await second.advance(5000)
    assert not [start_ms for modality, _, start_ms in MediaEncoder.decoded if modality is not TEXT and start_ms >= UNTIL_MS]
    assert finals(second) == finals(whole)
    assert second.store.summaries == whole.store.summaries
    assert not second.failures


async def test_other_tracks_do_not_see_what_somebody_has_withdrawn() -> None:
    one, scorer = worker(PolicySettings())
    both = SessionStart(0, (TrackPlan("speaker", "customer", MODALITIES), TrackPlan("other", "friend", (TEXT,))))
    withdrawal = SessionConsent(0, UNTIL_MS, consent=False, track="speaker")
    records = [record for seq in range(12) for record in (*chunks(one, [seq]), chunk(one, seq, TEXT, "friend", "other"))]
    await one.feed(one.event(both), *records[:20], one.event(withdrawal), *records[20:])
    await one.advance(5000)
    seen = {
        end_ms: {m for features in known if features.track == "speaker" for m in features.means}
        for (track, end_ms), known in scorer.knew.items()
        if track == "other"
    }
    assert seen[8000] <= WORDS
    assert seen[12_000] == WORDS
    assert {final.end_ms: final.withheld for final in finals(one, "other")} == {end_ms: {} for end_ms in range(4000, 16_000, 2000)}


def next_run(worker: FakeWorker, seconds: Collection[int]) -> Records:
    """Chunks of the next run of the media clock, as its producer declares it."""
    of_next = [replace(header(seq, modality, epoch=1, track="speaker"), role="customer") for seq in seconds for modality in MODALITIES]
    return [
        worker.record(
            worker.topics.chunks(h.modality),
            str(h.session).encode(),
            encode_words([]) if h.modality is TEXT else b"media",
            chunk_headers(h),
        )
        for h in of_next
    ]


async def test_a_withdrawal_holds_in_the_next_run_of_the_media_clock() -> None:
    one, _ = worker(PolicySettings())
    again = SessionStart(1, start().tracks)
    await one.feed(one.event(start()), *chunks(one, range(6)), one.event(SessionConsent(0, 2000, consent=False)), one.event(end(6)))
    MediaEncoder.decoded.clear()
    await one.feed(one.event(again), *next_run(one, range(6)))
    assert decoded() == WORDS


async def test_a_withdrawal_that_is_read_after_the_next_run_has_begun_holds_in_it() -> None:
    one, _ = worker(PolicySettings())
    again = SessionStart(1, start().tracks)
    await one.feed(one.event(start()), *chunks(one, range(6)), one.event(again), *next_run(one, range(2)))
    MediaEncoder.decoded.clear()
    await one.feed(one.event(SessionConsent(0, 2000, consent=False)), *next_run(one, range(2, 6)))
    assert decoded() == WORDS
    await one.feed(one.event(SessionEnd(1, 6000, (TrackEnd("speaker", dict.fromkeys(MODALITIES, 6)),))))
    await one.advance(60_000)
    assert {tuple(final.withheld) for final in finals(one) if final.epoch == 1} == {(AUDIO, VIDEO)}


# A start that comes after chunks.


async def test_chunks_wait_undecoded_for_the_start_that_was_sent_before_them() -> None:
    one, _ = worker(PolicySettings())
    await one.feed(*chunks(one, range(3)))
    assert decoded() == WORDS
    await one.feed(one.event(start(consent=False)), *chunks(one, range(3, SECONDS)), one.event(end()))
    assert decoded() == WORDS
    assert all(final.withheld == {AUDIO: "consent", VIDEO: "consent"} for final in finals(one))
    assert one.router.open_epochs == 0
    assert len(one.acknowledged) == 3 * SECONDS + 2


@pytest.mark.parametrize(("consent", "expected"), [("assumed", ALL), ("required", WORDS)])
async def test_where_everything_is_read_and_there_is_no_start_chunks_wait_no_longer(consent: str, expected: frozenset[Modality]) -> None:
    one, _ = worker(PolicySettings.model_validate({"consent": consent}))
    await one.feed(*chunks(one, range(3)))
    assert decoded() == WORDS
    await one.advance(100)
    await one.feed(*chunks(one, range(3, SECONDS)))
    assert decoded() == expected
    assert not one.reasons()


async def test_chunks_that_wait_for_starts_do_not_stop_the_worker() -> None:
    one, _ = worker(PolicySettings(), chunks_in_flight=4)
    feeding = asyncio.create_task(one.feed(*chunks(one, range(SECONDS), (AUDIO,))))
    await asyncio.wait_for(feeding, 5)
    await one.settle(0.1)
    assert len(MediaEncoder.decoded) == SECONDS


async def test_a_start_that_really_comes_late_is_believed_from_then_on() -> None:
    one, _ = worker(PolicySettings(consent="required"))
    await one.feed(*chunks(one, range(5)))
    await one.advance(100)
    await one.feed(one.event(start(consent=True)), *chunks(one, range(5, 14)), one.event(end(14)))
    present = {final.end_ms: AUDIO in final.modalities_present for final in finals(one)}
    assert present == {4000: False, 6000: False, 8000: False, 10_000: True, 12_000: True, 14_000: True, 16_000: True}


# Contradictory and hostile records.


async def test_of_two_starts_that_contradict_each_other_the_refusal_counts() -> None:
    for said in itertools.permutations((True, False)):
        MediaEncoder.decoded.clear()
        one, _ = worker(PolicySettings())
        await one.feed(*(one.event(start(consent=consent)) for consent in said), *chunks(one, range(SECONDS)), one.event(end()))
        assert decoded() == WORDS


async def test_repeated_and_foreign_consents_change_nothing_and_too_many_are_refused() -> None:
    one, _ = worker(PolicySettings())
    await one.feed(one.event(start(consent=False)))
    await one.feed(*(one.event(SessionConsent(0, 0, consent=True, track=f"ghost-{n}")) for n in range(MAX_EVENTS + 20)))
    assert set(one.reasons()) == {"too_many_events"}
    await one.feed(*chunks(one, range(SECONDS)))
    assert decoded() == WORDS
    assert not one.failures


async def test_a_consent_that_cannot_be_read_is_a_dead_letter_and_grants_nothing() -> None:
    one, _ = worker(PolicySettings(consent="required"))
    good = one.event(GRANT)
    broken = [
        replace(good, value=value, offset=100 + n)
        for n, value in enumerate(
            [
                b'{"event":"consent","epoch":0,"media_ms":-1,"consent":true}',
                b'{"event":"consent","epoch":0,"media_ms":0}',
                b'{"event":"consent","epoch":0,"media_ms":0,"consent":"yes please"}',
                b'{"event":"consent","epoch":0,"media_ms":0,"consent":true,"track":"a:b*"}',
                b'{"event":"consent","epoch":0,"media_ms":99999999999999,"consent":true}',
            ]
        )
    ]
    await one.feed(one.event(start()), *broken, *chunks(one, range(SECONDS)))
    assert set(one.reasons()) == {"bad_event"}
    assert len(one.reasons()) == 5
    assert decoded() == WORDS


async def test_a_consent_after_the_end_or_of_an_unknown_session_harms_nothing() -> None:
    one, _ = worker(PolicySettings())
    await one.feed(one.event(start()), *chunks(one, range(SECONDS)), one.event(end()))
    await one.feed(one.event(SessionConsent(0, 0, consent=False)), one.event(WITHDRAWAL, "call-2"))
    await one.advance(one.settings.windows.expire_after_ms + 1000)
    assert len(one.acknowledged) == 3 * SECONDS + 4
    assert one.router.open_epochs == 0
    assert not one.reasons()


async def test_a_heartbeat_needs_no_consent() -> None:
    one, _ = worker(PolicySettings(consent="required", without_consent="nothing"))
    await one.feed(one.event(start()), one.event(SessionHeartbeat(0, 1000)), *chunks(one, range(SECONDS)), one.event(end()))
    assert len(one.acknowledged) == 3 * SECONDS + 3


# Language.

GERMAN = "das ist wirklich eine frechheit so kann man doch nicht mit kunden umgehen"
ENGLISH = "that is really rude you cannot treat your customers like this at all"


def spoken(worker: FakeWorker, text: str, seconds: Collection[int] = range(SECONDS)) -> Records:
    return [chunk(worker, seq, modality, text=text) for seq in seconds for modality in MODALITIES]


@pytest.mark.parametrize(
    ("text", "declared", "languages", "left_out"),
    [
        (GERMAN, None, "en", True),
        (ENGLISH, None, "en", False),
        (GERMAN, "de-AT", "en", True),
        (ENGLISH, "de", "en", True),
        (GERMAN, "en-GB", "en", False),
        (GERMAN, None, "en,de", False),
        (GERMAN, None, "*", False),
        (GERMAN, "de", "*", False),
        ("ja nein", None, "en", False),
        ("-", None, "en", False),
        ("-", "de", "en", True),
    ],
)
async def test_words_in_another_language_are_left_out(text: str, declared: str | None, languages: str, left_out: bool) -> None:
    one, scorer = worker(PolicySettings.model_validate({"languages": languages}))
    begin = start() if declared is None else start(language=declared)
    await one.feed(one.event(begin), *spoken(one, text), one.event(end()))
    for final, window in zip(finals(one), scorer.windows, strict=True):
        assert final.withheld == ({TEXT: "language"} if left_out else {})
        assert (TEXT in final.modalities_expected) is not left_out
        assert (WarningCode.OUTSIDE_TRAINING_DOMAIN in final.warnings) is left_out
        assert (not window.text) if left_out else window.text
        assert AUDIO in final.modalities_present
    assert all(TEXT not in features.means for known in scorer.knew.values() for features in known) or not left_out


async def test_a_worker_that_takes_over_still_expects_words_in_the_next_language() -> None:
    whole, _ = worker(PolicySettings())
    records = [whole.event(start()), *spoken(whole, GERMAN, range(6)), *spoken(whole, ENGLISH, range(6, 14))]
    await whole.feed(*records)
    first, _ = worker(PolicySettings())
    records = [first.event(start()), *spoken(first, GERMAN, range(6)), *spoken(first, ENGLISH, range(6, 14))]
    await first.feed(*records[:22])
    first.router.stop()
    second, _ = worker(PolicySettings(), first.store)
    await second.feed(*(record for record in records if (record.topic, record.offset) not in first.acknowledged))
    assert finals(second) == finals(whole)
    assert [bool(final.withheld) for final in finals(whole)] == [True, True, False, False, False]


async def test_withheld_chunks_are_counted() -> None:
    one, _ = worker(PolicySettings())
    await one.feed(one.event(start("agent")), *chunks(one, range(SECONDS), role="agent"), one.event(end()))
    assert f'sentistream_chunks_withheld_total{{modality="audio",reason="policy"}} {SECONDS}.0' in one.context.metrics.text().decode()


async def test_utterances_of_an_agent_are_cut_by_words_alone() -> None:
    settings = Settings(windows=WindowSettings(kind="utterance", partial_every_ms=0))
    one = FakeWorker(KeepingScorer(), FakeStore(), settings, MediaEncoder)
    records = [chunk(one, seq, m, "agent", text="word" if seq in {1, 2, 6} else "-") for seq in range(SECONDS) for m in MODALITIES]
    await one.feed(one.event(start("agent")), *records, one.event(end()))
    assert [(final.start_ms, final.end_ms) for final in finals(one)] == [(1000, 1050), (2000, 2050), (6000, 6050)]
    assert decoded() == WORDS
    assert one.router.open_epochs == 0


@pytest.mark.parametrize("seed", range(12))
async def test_histories_of_consent_give_the_same_windows_wherever_the_worker_dies(seed: int) -> None:
    """Consents and withdrawals at random, announced or not, by track or for all; the worker dies twice."""
    rng = random.Random(seed)
    policy = PolicySettings.model_validate(
        {"consent": rng.choice(["assumed", "required"]), "without_consent": rng.choice(["text_only", "nothing"])}
    )
    changes = {rng.randrange(1, 14): (rng.random() < 0.5, rng.choice([None, "speaker"])) for _ in range(rng.randrange(1, 4))}
    sent = rng.choice([MODALITIES, (AUDIO, VIDEO), (TEXT, AUDIO)])
    begin = start(consent=rng.choice([None, True, False]), own=rng.choice([None, True]), sent=sent)

    def history(one: FakeWorker) -> list[InboundRecord]:
        records = [one.event(begin)]
        for second in range(14):
            if second in changes:
                granted, track = changes[second]
                records.append(one.event(SessionConsent(0, second * 1000, consent=granted, track=track)))
            records += chunks(one, [second], sent)
        return [*records, one.event(end(14, sent))]

    whole, _ = worker(policy)
    for record in history(whole):
        await whole.feed(record)
    decoded_whole = sorted(MediaEncoder.decoded)
    first, _ = worker(policy)
    left, died = history(first), first
    for _ in range(2):
        stop = rng.randrange(1, len(left))
        for record in left[:stop]:
            await died.feed(record)
        died.router.stop()
        acknowledged = set(died.acknowledged) | set(first.acknowledged)
        left = [record for record in left if (record.topic, record.offset) not in acknowledged]
        died, _ = worker(policy, first.store)
    await died.feed(*left)
    await died.advance(5000)
    assert finals(died) == finals(whole)
    assert set(MediaEncoder.decoded) == set(decoded_whole)
    assert died.store.summaries[-1] == whole.store.summaries[-1]
    assert not died.failures


@pytest.mark.parametrize("ends", [True, False], ids=["ended", "quiet"])
async def test_a_start_of_another_time_than_the_chunks_applies_before_windows_close(ends: bool) -> None:
    """Such records wait until everything is read. Redis keeps what they say about consent, which takes a while."""

    class SlowStore(FakeStore):
        async def put_consents(self, session: SessionKey, epoch: int, statements: Sequence[ConsentStatement]) -> Sequence[ConsentStatement]:
            await asyncio.sleep(0.05)
            return await super().put_consents(session, epoch, statements)

    one, _ = worker(PolicySettings(), SlowStore())
    later = MEDIA_START_AT_MS + 3_600_000
    await one.feed(*chunks(one, range(SECONDS)), one.event(start(consent=False), at_ms=later))
    if ends:
        await one.feed(one.event(end(), at_ms=later + 1000 * SECONDS))
    for _ in range(10):
        await one.advance(20_000)
    assert finals(one)
    assert [final.end_ms for final in finals(one) if not final.withheld] == []
