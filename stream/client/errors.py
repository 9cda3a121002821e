"""What can go wrong with a gateway, each as one sentence that says what to do."""

from __future__ import annotations

from stream.gateway.views import Problem


class GatewayError(Exception):
    """The gateway cannot be used, or answers what this client does not understand."""


class GatewayAwayError(GatewayError):
    """The gateway does not answer."""


class ProblemError(GatewayError):
    """The gateway refuses a request.

    Attributes:
        problem: What it says (RFC 9457).
        retry_after_s: When to try again, if it says so.
    """

    def __init__(self, problem: Problem, retry_after_s: float | None = None) -> None:
        super().__init__(f"The gateway answers {problem.status} ({problem.title}){f': {problem.detail}' if problem.detail else ''}")
        self.problem = problem
        self.retry_after_s = retry_after_s

    @property
    def passes(self) -> bool:
        """Whether the same request may succeed later."""
        return self.problem.status == 429 or self.problem.status >= 500
