"""Says in the worker's log when a service cannot be used, what to do, and when it is back."""

from __future__ import annotations

import structlog

from stream.domain.service_problem import ServiceProblem

log = structlog.get_logger(__name__)


class ServiceLog:
    """The `stream.aio.service_monitor.Reporter` of a worker."""

    def on_problem(self, service: str, problem: ServiceProblem, lasted_s: float) -> None:
        """Log a problem that begins or still lasts."""
        waits = "this does not pass by itself" if problem.lasting else "the worker waits, and nothing is lost"
        log.error("service_unusable", service=service, code=problem.code, what=problem.text, then=waits, for_s=round(lasted_s))

    def on_recovery(self, service: str, lasted_s: float) -> None:
        """Log that a service can be used again."""
        log.info("service_usable", service=service, after_s=round(lasted_s))
