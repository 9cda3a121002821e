"""What a media child process gives up before it reads a hostile byte."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_OPEN_FILES = 32
_OUR_ROOT = str(Path(__file__).resolve().parents[2])

CHILD_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
"""One thread: the pool's size is what decides how many cores decoding takes."""


def child_environment() -> dict[str, str]:
    """The few variables a child needs: none of the parent's secrets are among them."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "LANG") if name in os.environ}
    return kept | CHILD_ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(filter(None, (_OUR_ROOT, os.environ.get("PYTHONPATH"))))}


def confine(memory_mb: int, *, parent_pid: int | None) -> None:
    """Limit this process: memory, open files, no file writes, no core dump, no new privileges.

    Args:
        memory_mb: Address space. Allocations beyond it fail inside the decoder.
        parent_pid: Process that must be our parent; the kernel kills us when the thread of it that started us ends (Linux).
            None leaves that out.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit(resource.RLIMIT_AS, memory_mb * 1024 * 1024)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    if not sys.platform.startswith("linux"):
        return
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")
    if parent_pid is not None:
        if prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != parent_pid:
            sys.exit("the parent is gone already")


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (bound, bound))
