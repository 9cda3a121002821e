"""The state of a worker, and whether the worker is live and ready. Pure: time is passed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from stream.pipeline.metrics import Metrics
from stream.pipeline.timings import Timings

STUCK_S = 30.0
"""The thread that reads from Kafka counts as stuck if its event loop has not turned for this long.

A slow broker or a long rebalance does not stop the loop. So it is far longer than any pause of a healthy worker.
"""


@dataclass(slots=True)
class WorkerState:
    """State of a worker, which the worker keeps up to date.

    Attributes:
        partitions: Input partitions assigned (0 for a spare worker); None before the group has assigned any, and while it rebalances.
        draining: The worker has been told to stop.
        topics_problem: What is wrong with the topics, so that records wait; None if nothing is.
        overload: Why results come late or lack media; empty while the worker keeps up. It is ready all the same.
        broker_silent_s: Returns how long ago (s) the broker last answered a fetch; 0 while nothing is fetched.
        refused: By topic that cannot be read or written now, and `stream.kafka_admin.connection.THE_GROUP`, the
            name of the error with which the broker refuses it.
        consumer_turned_s: When the event loop of the thread that reads from Kafka last turned; None before it runs.
        timings: How long each step takes.
        metrics: Counters and gauges.
    """

    partitions: int | None = None
    draining: bool = False
    topics_problem: str | None = None
    overload: str = ""
    broker_silent_s: Callable[[], float] = lambda: 0.0
    refused: dict[str, str] = field(default_factory=dict)
    consumer_turned_s: float | None = None
    timings: Timings = field(init=False)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.timings = Timings(self.metrics.observe_step)

    def on_consumer_turn(self, now: Callable[[], float]) -> None:
        """Record that the event loop of the thread that reads from Kafka has turned. Called in that thread, with its clock (seconds)."""
        self.consumer_turned_s = now()

    def why_not_live(self, now_s: float) -> dict[str, str]:
        """Problems that only a restart can fix, by part of the worker; empty if there are none."""
        if self.consumer_turned_s is not None and now_s - self.consumer_turned_s > STUCK_S:
            return {"consumer": f"its thread has not moved for {now_s - self.consumer_turned_s:.0f} s"}
        return {}

    def why_not_ready(self, now_s: float) -> dict[str, str]:
        """Problems of the worker itself that keep it from working now, by part; empty if there are none."""
        reasons = self.why_not_live(now_s)
        if self.partitions is None:
            reasons["kafka"] = "no partitions are assigned"
        elif self.topics_problem is not None:
            reasons["kafka"] = self.topics_problem
        if self.draining:
            reasons["worker"] = "draining"
        return reasons
