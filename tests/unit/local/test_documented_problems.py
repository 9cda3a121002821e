"""Every code of a problem of Kafka or Triton stands in docs/operations.md, and every code there exists."""

from __future__ import annotations

import inspect
import re
from types import ModuleType

import pytest

from stream.aio import protocols
from stream.config.project import PROJECT_ROOT
from stream.kafka_admin import access, connection, handshake, retention, tls
from stream.local import reachable
from stream.serving import diagnosis, models, versions

PAGE = (PROJECT_ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
CODE = re.compile(r'(?:ServiceProblem|_refuse)\(\s*"(\w+)"')
LISTENERS = {"unknown_host", "refused", "unreachable", "no_answer"}
"""The codes of `listener_problem`."""


def section(heading: str) -> str:
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def codes(*modules: ModuleType) -> set[str]:
    return set(CODE.findall("".join(inspect.getsource(module) for module in modules))) | LISTENERS


@pytest.mark.parametrize(
    ("heading", "modules"),
    [
        ("When Kafka cannot be used", (access, connection, handshake, retention, tls, protocols)),
        ("When Triton cannot be used", (diagnosis, models, versions, protocols)),
    ],
)
def test_every_code_stands_in_its_table(heading: str, modules: tuple[ModuleType, ...]) -> None:
    cells = [line.split("|")[1] for line in section(heading).splitlines() if line.startswith("| `")]
    assert {code for cell in cells for code in re.findall(r"`(\w+)`", cell)} == codes(*modules)
    assert codes(reachable) <= {code for name in ("Kafka", "Triton") for code in re.findall(r"\w+", section(f"When {name} cannot be used"))}
