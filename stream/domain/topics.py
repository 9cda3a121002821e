"""Names of the Kafka topics."""

from __future__ import annotations

from dataclasses import dataclass

from stream.domain.modality import MODALITIES, Modality


@dataclass(frozen=True, slots=True)
class Topics:
    """Topic names under one prefix. Chunk and session topics are co-partitioned: same partition count, same key."""

    prefix: str = ""

    def chunks(self, modality: Modality) -> str:
        """Chunks of one modality."""
        return f"{self.prefix}chunks.{modality}"

    @property
    def sessions(self) -> str:
        """Start, heartbeat and end of sessions."""
        return f"{self.prefix}sessions"

    @property
    def scores(self) -> str:
        """Final scores; key = tenant/session."""
        return f"{self.prefix}scores"

    @property
    def explanations(self) -> str:
        """Explanations of final scores; key = tenant/session."""
        return f"{self.prefix}explanations"

    @property
    def summaries(self) -> str:
        """One summary for each epoch of a session that has ended."""
        return f"{self.prefix}session-summaries"

    @property
    def alerts(self) -> str:
        """Alerts of rules, raised and cleared; key = tenant/session."""
        return f"{self.prefix}alerts"

    @property
    def dead_letters(self) -> str:
        """Records that could not be used, with the reason in their headers."""
        return f"{self.prefix}chunks.dead-letter"

    @property
    def late(self) -> str:
        """Chunks that arrived after their windows had closed."""
        return f"{self.prefix}chunks.late"

    @property
    def feedback(self) -> str:
        """Verdicts of reviewers. Workers neither read nor write it."""
        return f"{self.prefix}feedback"

    @property
    def decisions(self) -> str:
        """Decisions of people on alerts, with the statement of reasons; key = tenant/session. Gateways write it."""
        return f"{self.prefix}decisions"

    @property
    def erasures(self) -> str:
        """Sessions that were erased; key = tenant/session. Compacted: an erasure is kept for good."""
        return f"{self.prefix}erasures"

    @property
    def inputs(self) -> tuple[str, ...]:
        """Topics that a worker reads."""
        return (*(self.chunks(m) for m in MODALITIES), self.sessions)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Topics that a worker writes."""
        return (self.scores, self.explanations, self.alerts, self.summaries, self.dead_letters, self.late)
