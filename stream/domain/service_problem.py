"""Why a service cannot be used: the same value in a log line, in ``/ready``, in ``config check`` and in ``doctor``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServiceProblem:
    """One reason why a service cannot be used.

    Attributes:
        code: Short name of the reason in ``snake_case``, for programs: ``refused``, ``wrong_port``, ``model_missing``.
        text: One sentence for people: what is wrong, and what to do. It never holds a password.
        lasting: True if waiting cannot help, because a setting or the service has to be changed; False for an outage, which passes.
        serious: False if the service can be used all the same.
    """

    code: str
    text: str
    lasting: bool
    serious: bool = True
