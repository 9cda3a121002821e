"""Has the C library keep the memory that arrays give back."""

from __future__ import annotations

import ctypes

MMAP_THRESHOLD = 4 << 20
"""Bytes. The C library takes larger blocks from the kernel one by one, and returns them at once."""

TRIM_THRESHOLD = 32 << 20
"""Bytes. Of smaller blocks that are free at the end of the heap, this much is kept."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""From glibc's ``malloc.h``."""


def keep_freed_memory() -> bool:
    """Keep up to `TRIM_THRESHOLD` of freed memory for the next arrays; False where the C library is not glibc.

    By default glibc returns what exceeds a few hundred kilobytes. A second of sound or a picture is made of arrays of that size: the
    kernel then clears their pages again and again, which takes longer than the arithmetic.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, MMAP_THRESHOLD) and mallopt(_M_TRIM_THRESHOLD, TRIM_THRESHOLD))
