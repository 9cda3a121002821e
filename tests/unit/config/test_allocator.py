"""Freed memory is kept for the next arrays."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy as np
from stream.config.allocator import keep_freed_memory

if {keeps}:
    assert keep_freed_memory()

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        [np.ones(1 << 14) for _ in range(20)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the setting")
def test_arrays_of_a_hundred_kilobytes_need_no_new_pages_from_the_kernel() -> None:
    def faults(*, keeps: bool) -> int:
        return int(subprocess.run([sys.executable, "-c", FAULTS.format(keeps=keeps)], check=True, capture_output=True).stdout)

    assert faults(keeps=True) < 100 < faults(keeps=False)
