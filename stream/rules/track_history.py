"""What rules know of the windows of a track before this one: a few sums, so that the state of a track stays small."""

from __future__ import annotations

import msgspec

from stream.domain.modality import Modality
from stream.domain.result import ScoreRecord

RECENT_MS = 15_000
"""The short horizon: windows that ended within this media time, this one included, are recent."""

MOST_RECENT = 64
"""Most recent windows with a score. With a hop below a quarter of a second, the oldest of them count as earlier windows sooner."""

LEAST_EARLIER = 5
"""Windows with a score that the long horizon needs, before it is known."""


class TrackHistory(msgspec.Struct, frozen=True, omit_defaults=True):
    """The final windows of a track in one epoch, as far as rules ask for them.

    Attributes:
        windows: Their number.
        started_ms: Start of the first one.
        spoke_until_ms: End of the newest window with words or sound; `started_ms` if there is none.
        others_until_ms: End of the newest window of another track with words or a voice, as far as windows knew it; `started_ms` if there
            is none. None while no window knew of another track.
        recent: End and score of the recent windows with a score, oldest first.
        earlier: Number of the windows with a score that are not recent any more.
        earlier_total: Sum of their scores.
        label: Label of the newest window with a score; None if there is none.
        label_before: The label before `label` in the windows with a score, perhaps the same; None if there is none.
        streak: Number of windows with a score in a row that have `label`.
    """

    windows: int = 0
    started_ms: int = 0
    spoke_until_ms: int = 0
    others_until_ms: int | None = None
    recent: tuple[tuple[int, float], ...] = ()
    earlier: int = 0
    earlier_total: float = 0.0
    label: str | None = None
    label_before: str | None = None
    streak: int = 0

    def after(self, score: ScoreRecord) -> TrackHistory:
        """The history with one more window."""
        started_ms = self.started_ms if self.windows else score.start_ms
        spoke_until_ms = self.spoke_until_ms if self.windows else score.start_ms
        if speaks(score):
            spoke_until_ms = score.end_ms
        others_until_ms = self.others_until_ms
        if score.conversation is not None:
            others_until_ms = max(self.others_until_ms or started_ms, score.conversation.others_until_ms or started_ms)
        recent = self.recent if score.score is None else (*self.recent, (score.end_ms, score.score))
        passed = [points for end_ms, points in recent if end_ms <= score.end_ms - RECENT_MS]
        passed += [points for _, points in recent[len(passed) : -MOST_RECENT]]
        scored = score.score is not None
        same = scored and score.label == self.label
        return TrackHistory(
            windows=self.windows + 1,
            started_ms=started_ms,
            spoke_until_ms=spoke_until_ms,
            others_until_ms=others_until_ms,
            recent=recent[len(passed) :],
            earlier=self.earlier + len(passed),
            earlier_total=self.earlier_total + sum(passed),
            label=score.label if scored else self.label,
            label_before=self.label if scored else self.label_before,
            streak=(self.streak + 1 if same else 1) if scored else self.streak,
        )

    @property
    def scored(self) -> int:
        """Windows with a score."""
        return self.earlier + len(self.recent)

    @property
    def recent_mean(self) -> float | None:
        """Mean score of the recent windows; None if none of them has a score."""
        return sum(points for _, points in self.recent) / len(self.recent) if self.recent else None

    @property
    def earlier_mean(self) -> float | None:
        """Mean score of the windows before the recent ones; None for fewer than `LEAST_EARLIER`."""
        return self.earlier_total / self.earlier if self.earlier >= LEAST_EARLIER else None

    @property
    def mean(self) -> float | None:
        """Mean score of all windows; None if none has a score."""
        total = self.earlier_total + sum(points for _, points in self.recent)
        return total / self.scored if self.scored else None


def speaks(score: ScoreRecord) -> bool:
    """Whether a window has words, or a sound that counts."""
    return Modality.TEXT in score.modalities_present or Modality.AUDIO in score.modalities_present
