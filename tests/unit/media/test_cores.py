from __future__ import annotations

import os
from pathlib import Path

import pytest

from stream.media.cores import usable_cores


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


def _cores(tmp_path: Path, membership: str, files: dict[str, str]) -> int:
    groups = tmp_path / "groups"
    for name, text in files.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(text)
    (tmp_path / "membership").write_text(membership)
    return usable_cores(groups, tmp_path / "membership")


@pytest.mark.parametrize(
    ("membership", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {"cpu.max": "250000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/system.slice/sentistream.service\n", {"system.slice/sentistream.service/cpu.max": "300000 100000"}, 3),
        ("0::/system.slice/a.service\n", {"system.slice/cpu.max": "400000 100000", "system.slice/a.service/cpu.max": "max 100000"}, 4),
        ("0::/docker/0f3a\n", {"cpu.max": "200000 100000"}, 2),
        ("4:memory:/\n1:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ("1:cpu,cpuacct:/docker/0f3a\n", {"cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.cfs_period_us": "50000"}, 3),
        ("2:cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ("0::/\n", {"cpu.max": "nonsense"}, 8),
        ("0::/\n", {"cpu.max": "100000 0"}, 8),
        ("nonsense", {}, 8),
        ("", {}, 8),
    ],
)
def test_a_limit_of_cpu_time_counts_as_whole_cores(tmp_path: Path, membership: str, files: dict[str, str], cores: int) -> None:
    assert _cores(tmp_path, membership, files) == cores


def test_a_machine_that_shows_no_groups_has_the_cores_of_its_scheduler(tmp_path: Path) -> None:
    assert usable_cores(tmp_path / "none", tmp_path / "none either") == 8
