"""The page on alerts: its examples are rules, its tables are those of the code, and its stories come true."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from stream.config.project import PROJECT_ROOT
from stream.domain.alert import AlertRecord, Statement
from stream.rules.evaluate import RuleSet, TrackRules
from stream.rules.read import KEYS, read_rules
from stream.rules.variables import VARIABLES
from tests.fakes.results import make_explanation, make_score

PAGE = (PROJECT_ROOT / "docs" / "alerts.md").read_text()
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def rules(example: str, folder: Path) -> RuleSet:
    file = folder / "example.yaml"
    file.write_text(example)
    return RuleSet(read_rules(file))


def test_every_example_is_a_file_of_rules(tmp_path: Path) -> None:
    assert len(EXAMPLES) == 4
    assert [rule.name for example in EXAMPLES for rule in rules(example, tmp_path).book.rules] == [
        *("unhappy", "stays-unhappy", "turning", "wants-money-back", "voice-alone", "nobody-speaks")
    ]


def test_the_first_rule_does_what_the_page_says(tmp_path: Path) -> None:
    first, found = rules(EXAMPLES[0], tmp_path), list[tuple[int, str]]()
    state: TrackRules | None = None
    for number, points in enumerate((-0.2, -1.3, -0.7, 0.1), 1):
        score = make_score(2000 + 2000 * number, points)
        evaluation = first.evaluate(state, score, make_explanation(score))
        state = evaluation.state
        found += [(number, alert.state) for alert in evaluation.alerts]
    assert found == [(2, "raised"), (4, "cleared")]


def test_the_table_of_variables_is_that_of_the_code() -> None:
    table = PAGE.partition("<!-- table: rule-variables -->")[2].partition("<!-- end -->")[0]
    rows = [tuple(cell.strip() for cell in line.strip("| ").split(" | ")) for line in table.strip().splitlines()[2:]]
    assert [row[0] for row in rows] == [f"`{variable.name}`" for variable in VARIABLES]
    assert [row[1] for row in rows] == [variable.kind for variable in VARIABLES]


def test_all_keys_of_a_rule_are_explained() -> None:
    section = PAGE.partition("## All keys of a rule")[2].partition("\n## ")[0]
    assert set(re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `")))) == set(KEYS)


@pytest.mark.parametrize(("kind", "heading"), [(AlertRecord, "## The record of an alert"), (Statement, "## Statement of reasons")])
def test_all_fields_are_explained(kind: type[msgspec.Struct], heading: str) -> None:
    section = PAGE.partition(heading)[2].partition("\n## ")[0]
    cells = "".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(\w+)`", cells)) == set(kind.__struct_fields__)
