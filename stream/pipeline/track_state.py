"""Reads the state of a track when a worker starts or takes over the track: the final windows that Redis holds."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from stream.domain.clock_skew import ClockSkews
from stream.domain.context import ContextFeatures
from stream.domain.delivery import LastFinal
from stream.domain.identity import TrackKey
from stream.domain.modality import MODALITIES, Modality
from stream.domain.result import ScoreRecord
from stream.domain.track_scores import TrackScores
from stream.domain.withheld import Reason
from stream.pipeline.ports import ResultStore
from stream.rules.evaluate import TrackRules, decode_track_rules

ALL_FINAL_MS = 2**53
"""A media time after every other: if a later epoch has final windows, all windows of this epoch count as final."""


@dataclass(frozen=True, slots=True)
class TrackState:
    """The state of a track from which a replay continues.

    Attributes:
        final_until_ms: Media time until which the epoch's windows of the track are final; None if no window is final.
        final_at_ms: Wall clock (Unix ms) at which that media time was captured, where it is known.
        clock_skews: The track's clock skews at its last final window; None if no window is final.
        modalities_expected: Modalities that were expected at that window, where it is known.
        scores: What the next window is compared with; None if no window of the epoch has a score.
        contributions: The contributions of the epoch's newest final windows, from all tracks.
        rules: State of the alert rules after the last final window; None if they did not see that window.
    """

    final_until_ms: int | None
    final_at_ms: int | None
    clock_skews: ClockSkews | None
    modalities_expected: tuple[Modality, ...]
    scores: TrackScores | None
    contributions: list[ContextFeatures]
    rules: TrackRules | None = None


async def read_track_state(store: ResultStore, track: TrackKey, epoch: int) -> TrackState:
    """Read the state of a track for one epoch; each epoch has a media clock of its own."""
    final = await store.last_final(track)
    latest = None if final is None else await store.latest(track)
    contributions = await store.context(track.session, epoch)
    if final is None or final.epoch < epoch:
        return TrackState(None, None, None, (), None, contributions)
    if final.epoch > epoch:
        return TrackState(ALL_FINAL_MS, None, None, (), None, contributions)
    scores = None if final.scores is None or final.scores.epoch != epoch else final.scores
    rules = _rules(final)
    # `latest` is written with the last final window, but may be newer or expired: then it says nothing here.
    if latest is None or latest.epoch != epoch or latest.end_ms != final.end_ms:
        return TrackState(final.end_ms, None, final.clock_skews, (), scores, contributions, rules)
    return TrackState(final.end_ms, latest.media_end_at_ms, final.clock_skews, _expected(latest), scores, contributions, rules)


def _rules(final: LastFinal) -> TrackRules | None:
    """The state of the rules, if it is of this very window: windows may have been published by workers without rules."""
    if final.rules is None:
        return None
    try:
        state = decode_track_rules(final.rules)
    except msgspec.DecodeError:
        # Of another release, in which rules begin anew.
        return None
    return state if (state.epoch, state.end_ms) == (final.epoch, final.end_ms) else None


def _expected(latest: ScoreRecord) -> tuple[Modality, ...]:
    """The modalities that were expected. Words in another language are left out of the record, but others may follow."""
    return tuple(m for m in MODALITIES if m in latest.modalities_expected or latest.withheld.get(m) in (Reason.LANGUAGE, Reason.OVERLOAD))
