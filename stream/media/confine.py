"""Confines a media child process before it reads the first hostile byte."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38

_MAX_OPEN_FILES = 32
"""Enough for the pipes and a few handles on a media file; too few to exhaust the machine's."""

_INHERITED_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "LANG")
_IMPORT_ROOT = str(Path(__file__).resolve().parents[2])
"""Folder that contains the package ``stream``: the child imports it from any working directory."""

_CHILD_VARIABLES = {
    # One thread each: the number of children decides how many cores decoding takes, and the stacks and arenas of a thread pool
    # would use up the child's address space.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    # A child may not write files, so it could not write .pyc files either.
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
}


def child_environment() -> dict[str, str]:
    """The few variables that a child needs. The parent's secrets stay out: a child that is taken over cannot read them."""
    inherited = {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ}
    import_path = os.pathsep.join(filter(None, (_IMPORT_ROOT, os.environ.get("PYTHONPATH"))))
    return inherited | _CHILD_VARIABLES | {"PYTHONPATH": import_path}


def confine(memory_mb: int, *, parent_pid: int | None) -> None:
    """Limit this process: memory, open files, no file writes, no core dump, no new privileges.

    Args:
        memory_mb: Address space. Allocations beyond it fail inside the decoder.
        parent_pid: On Linux, end with this parent: the kernel kills this process when the parent's *thread* that started it ends.
            None when a short-lived thread starts the child.
    """
    # Ctrl-C is for the parent, which stops its children itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Linux ignores limits on resident memory, so the limit is on the address space.
    _limit(resource.RLIMIT_AS, memory_mb * 1024 * 1024)
    _limit(resource.RLIMIT_NOFILE, _MAX_OPEN_FILES)
    # A taken-over child must not change files. Pipes are not files in this sense: replies still get out.
    _limit(resource.RLIMIT_FSIZE, 0)
    # A core dump would leave voices and faces on the disk.
    _limit(resource.RLIMIT_CORE, 0)
    if not sys.platform.startswith("linux"):
        return
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    # Without this, a taken-over child could gain rights by running a setuid program.
    if prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")
    if parent_pid is not None:
        if prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        # A parent that died before the call above sends no signal: the child would live on for ever.
        if os.getppid() != parent_pid:
            sys.exit("the parent process has already ended")


def _limit(kind: int, value: int) -> None:
    # A process may lower its hard limit but not raise it: a stricter one set by the operator stays.
    _, hard = resource.getrlimit(kind)
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (bound, bound))
