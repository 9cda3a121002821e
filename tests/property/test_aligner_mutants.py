"""Each rule of the aligner, broken on purpose: the invariant that guards it must notice."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from stream.align.track import WindowPolicy
from stream.align.utterance import UtteranceWindower
from stream.align.windower import HoppingWindower, Windower
from stream.domain.modality import Modality
from tests.property.mutants import MUTANTS, Mutant
from tests.support.aligner_runs import play_live
from tests.support.histories import Delivery, History, histories
from tests.support.invariants import ANY_CHECKS, LOSSLESS_CHECKS, UTTERANCE_CHECKS, Check

TEXT, AUDIO, VIDEO = Modality.TEXT, Modality.AUDIO, Modality.VIDEO
HOPPING = HoppingWindower(4000, 2000)
SECOND_MS = 1000


def history(
    *deliveries: Delivery,
    windower: Windower = HOPPING,
    lateness_ms: int = 500,
    partial_every_ms: int = 0,
    start_at: int = 0,
    end_at: int | None = None,
) -> History:
    """A history with a start; its end, if it has one, counts the deliveries."""
    policy = WindowPolicy(
        windower, allowed_lateness_ms=lateness_ms, idle_after_ms=1500, partial_every_ms=partial_every_ms, max_skew_ms=1000
    )
    counts = {d.modality_key: max(other.seq for other in deliveries if other.modality_key == d.modality_key) + 1 for d in deliveries}
    ordered = tuple(sorted(deliveries, key=lambda d: d.at))
    return History(policy, ordered, start_at, end_at, media_ms=max(d.end_ms for d in deliveries), counts=counts)


def second(seq: int, modality: Modality, *, track: str = "customer", late_ms: int = 0, copy: int = 0) -> Delivery:
    """The chunk of a second, which arrives some time after the second is over."""
    return Delivery((seq + 1) * SECOND_MS + late_ms, track, modality, seq, seq * SECOND_MS, SECOND_MS, copy)


OVERTAKEN = history(second(1, AUDIO), second(0, AUDIO, late_ms=1200), lateness_ms=3000, end_at=2100)
"""The second chunk and the end overtake the first chunk."""

LONG_AFTER = history(*(second(seq, AUDIO) for seq in range(20)), second(0, AUDIO, late_ms=19_500, copy=1))
"""A chunk arrives again when its fingerprint is long forgotten: generated histories are shorter."""

FAR_APART = history(*(second(seq, TEXT) for seq in range(10)), *(second(seq, AUDIO, track="agent", late_ms=10_500) for seq in range(10)))
"""One topic is read long before the other: generated modalities are never that far apart."""

DISORDERED = history(*(second(seq, TEXT, late_ms=1250 if seq == 2 else 0) for seq in range(4)), lateness_ms=3000)
"""A chunk arrives after the chunk that follows it."""

SOUND_AFTER_PICTURE = history(
    *(second(seq, VIDEO) for seq in range(6)), *(second(seq, AUDIO, late_ms=1300) for seq in range(5)), partial_every_ms=1000
)
"""When a window closes, video chunks after it have arrived already."""

INTO_A_GAP = history(
    *(second(seq, TEXT) for seq in range(2)),
    Delivery(7000, "customer", TEXT, 3, 6000, 1000),
    Delivery(9500, "customer", TEXT, 2, 4000, 1000),
    lateness_ms=3000,
)
"""A chunk comes late into a gap whose windows hold nothing, when the clock is about to close the window after them."""

TWO_WORDS = history(
    Delivery(1000, "customer", TEXT, 0, 0, 1000, spans=((100, 700),)),
    Delivery(2000, "customer", TEXT, 1, 1000, 1000, spans=((0, 400),)),
    windower=UtteranceWindower(10_000, 600),
    lateness_ms=0,
    start_at=2500,
)
"""The pause after the first word is not over when its chunk arrives, and the session's start arrives last."""

SOON_AFTER_A_FINAL_TEXT = history(
    Delivery(1000, "customer", TEXT, 0, 0, 1000, spans=((100, 1000),), ends_utterance=True),
    Delivery(1500, "customer", TEXT, 1, 1000, 500, spans=()),
    Delivery(2500, "customer", TEXT, 2, 1500, 1000, spans=((50, 400),)),
    windower=UtteranceWindower(10_000, 600),
    lateness_ms=0,
    end_at=2500,
)
"""A final text ends a window, and the next word comes before the pause is over."""

LATE_VOICE = history(
    *(replace(second(seq, VIDEO), spans=()) for seq in range(8)),
    *(Delivery(7300 + 1000 * seq, "customer", AUDIO, seq, 5000 + 1000 * seq, 1000, spans=()) for seq in range(2)),
    Delivery(10_300, "customer", AUDIO, 3, 8000, 1000, spans=((0, 1000),)),
    windower=UtteranceWindower(10_000, 600),
    lateness_ms=1500,
)
"""After a silence, a voice arrives late."""

WORD_INTO_SILENCE = history(
    Delivery(2000, "customer", TEXT, 1, 1000, 1000, spans=()),
    Delivery(4600, "customer", TEXT, 0, 0, 1000, spans=((0, 400),)),
    windower=UtteranceWindower(10_000, 600),
    lateness_ms=3000,
    partial_every_ms=1000,
)
"""A word comes late into a silence that the clock is about to close."""

RARE = {
    False: (OVERTAKEN, LONG_AFTER, FAR_APART, DISORDERED, SOUND_AFTER_PICTURE, INTO_A_GAP),
    True: (TWO_WORDS, SOON_AFTER_A_FINAL_TEXT, LATE_VOICE, WORD_INTO_SILENCE),
}
"""Histories that are too rare to be generated, by whether they are for utterance windows."""


@cache
def sample(*, lossless: bool, utterances: bool) -> tuple[History, ...]:
    """Rare histories and generated ones.

    The generated ones are the same in every run of the same tests. Hypothesis also draws constants of the imported modules, so that other
    modules give other histories: a mutant that few generated histories show needs a rare history.
    """
    collected: list[History] = []

    @settings(
        max_examples=300, derandomize=True, database=None, phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(histories(lossless=lossless, utterances=utterances))
    def collect(history: History) -> None:
        collected.append(history)

    collect()
    return (*RARE[utterances], *sorted(collected, key=lambda h: len(h.deliveries)))


def notices(guard: Check, *, utterances: bool) -> bool:
    """True when the check fails for a history of the sample."""
    for played in sample(lossless=guard in LOSSLESS_CHECKS + UTTERANCE_CHECKS, utterances=utterances):
        try:
            guard(played)
        except AssertionError:
            return True
    return False


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_broken_rule_is_noticed(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutant.owner, mutant.rule, mutant.broken(getattr(mutant.owner, mutant.rule)))
    assert notices(mutant.guard, utterances=mutant.utterances)


@pytest.mark.parametrize("guard", LOSSLESS_CHECKS + ANY_CHECKS, ids=lambda guard: guard.__name__)
def test_the_right_aligner_passes_the_same_sample(guard: Check) -> None:
    assert not notices(guard, utterances=False)


@pytest.mark.parametrize("guard", LOSSLESS_CHECKS + UTTERANCE_CHECKS + ANY_CHECKS, ids=lambda guard: guard.__name__)
def test_the_right_aligner_passes_the_same_sample_with_utterance_windows(guard: Check) -> None:
    assert not notices(guard, utterances=True)


def test_a_late_voice_after_a_silence_begins_its_window_however_often_the_time_is_checked() -> None:
    often, lazy = play_live(LATE_VOICE).finals(), play_live(LATE_VOICE, lazy=True).finals()
    assert often == lazy
    assert [(window.start_ms, window.end_ms) for window in often.values()] == [(8000, 9000)]


def test_a_word_that_comes_late_into_a_silence_has_its_window_however_often_the_time_is_checked() -> None:
    often, lazy = play_live(WORD_INTO_SILENCE), play_live(WORD_INTO_SILENCE, lazy=True)
    assert often.windows() == lazy.windows()
    assert [(window.start_ms, window.end_ms) for _, window in often.windows()] == [(0, 400)]
    assert often.fates == lazy.fates
    assert not often.late_by


def test_a_chunk_that_comes_late_into_a_gap_is_in_its_window_however_often_the_time_is_checked() -> None:
    often, lazy = play_live(INTO_A_GAP), play_live(INTO_A_GAP, lazy=True)
    assert often.windows() == lazy.windows()
    spans = [(window.start_ms, window.end_ms) for _, window in often.windows()]
    assert spans == [(0, 4000), (2000, 6000), (4000, 8000), (6000, 10_000)]
    assert often.fates == lazy.fates
    assert not often.late_by


def test_every_check_guards_a_rule() -> None:
    unused = {check.__name__ for check in LOSSLESS_CHECKS + UTTERANCE_CHECKS + ANY_CHECKS} - {mutant.guard.__name__ for mutant in MUTANTS}
    assert unused == {"no_window_is_final_again_after_a_crash"}
