"""A file of rules: everything that is wrong with it is reported at once, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.domain.alert import Severity
from stream.rules.read import MOST_RULES, RulesError, read_rules
from stream.rules.rule import RuleBook

RULE = "  - {name: %s, title: a, text: b, when: score < 0.0}\n"


def read(tmp_path: Path, text: str) -> RuleBook:
    file = tmp_path / "rules.yaml"
    file.write_text(text)
    return read_rules(file)


def mistakes(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(RulesError) as caught:
        read(tmp_path, text)
    return [str(mistake) for mistake in caught.value.mistakes]


def rule(extra: str) -> str:
    return "rules:\n  - name: one\n    title: a\n    text: b\n" + "".join(f"    {line}\n" for line in extra.split("\n"))


def test_a_rule_has_what_the_file_says(tmp_path: Path) -> None:
    text = rule("when: score < 0.0\nfor: 1m30s\nkeep_firing_for: 500ms\ncool_down: 2h\nseverity: high\nroles: [customer, guest]")
    [one] = read(tmp_path, text).rules
    assert (one.for_ms, one.keep_firing_for_ms, one.cool_down_ms) == (90_000, 500, 7_200_000)
    assert (one.severity, one.roles, one.line) == (Severity.HIGH, ("customer", "guest"), 2)
    assert one.variables == ("score",)


def test_every_mistake_is_reported_at_once_with_its_line(tmp_path: Path) -> None:
    text = """rules:
  - name: One
    title: a
    text: b
    when: scor < 0.0 && nosuch(1)
    for: soon
    severity: urgent
    rolls: [customer]
  - name: two
    title: a
    when: score <
  - name: three
    title: a
    text: b
    when: score < 'a'
  - name: three
    title: a
    text: b
    threshold: -1.0
    clear_at: -1.0
    when: contributions.audio < -1.0
"""
    found = mistakes(tmp_path, text)
    expected = [
        "line 2: `name` must be a name",
        "line 5: `when` calls `nosuch`, which is no function of rules",
        "line 5: `when` names `scor`, which is no variable; did you mean `score`?",
        "line 6: `for` must be a time",
        "line 7: `severity` must be one of low, medium, high, critical",
        "line 8: `rolls` is no key of a rule; did you mean `roles`?",
        "line 9: the rule two lacks `text`",
        "line 11: `when` is no CEL expression",
        "line 15: `when` of the rule three cannot be evaluated in a window with everything",
        "line 16: the rule three is there twice (before in line 12)",
        "line 19: `threshold` of the rule three has no `value` beside it",
        "line 19: `threshold` of the rule three is not used by its conditions",
        "line 20: `clear_at` of the rule three equals `threshold`",
        "line 20: `clear_at` of the rule three is not used by its conditions",
        "line 21: `when` of the rule three asks for 'audio'",
    ]
    assert len(found) == len(expected), "\n".join(found)
    for said, begins in zip(found, expected, strict=True):
        assert said.startswith(begins)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("- a", "must be a mapping"),
        ("contest: a", "`rules` is missing"),
        ("rules: 7", "must be a list"),
        ("rules: [7]", "a rule must be a mapping"),
        ("rules: *a", "alias"),
        ("rules:\n" + "".join(RULE % f"r{n}" for n in range(MOST_RULES + 1)), f"more than {MOST_RULES} rules"),
        (rule("when: " + "(" * 400 + "1" + ")" * 400), "is no CEL expression"),
        (rule("when: " + "true && " * 300 + "true"), "is longer than 1000 characters"),
        (rule("when: words.exists(a, words.exists(b, words.exists(c, words.exists(d, a == b))))"), "goes through more than 3 lists"),
        (rule("when: score"), "must give true or false"),
        (rule("when: score < 0.0\nvalue: label"), "must give a number"),
        (rule("when: value < 0.0"), "names `value`, but the rule has no key `value`"),
        (rule("when: score < 0.0\nvalue: value"), "a rule's own `value` cannot use it"),
        (rule("when: score < 0.0\nthreshold: .nan"), "must be a number"),
        (rule("when: score < 0.0\nthreshold: nan"), "must be a finite number"),
        (rule("when: score < 0.0\nfor: 25h"), "not be longer than 24h"),
        (rule("when: score < 0.0\nroles: ['a b']"), "is a list in which each name must be"),
        (rule("when: score < 0.0\ntitle: again"), "is there twice"),
        (rule("when:"), "must have a value"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, said: str) -> None:
    assert any(said in mistake for mistake in mistakes(tmp_path, text)), mistakes(tmp_path, text)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match="No such file"):
        read_rules(tmp_path / "none.yaml")


def test_the_version_of_a_rule_changes_with_what_it_says_and_not_with_its_place(tmp_path: Path) -> None:
    [first] = read(tmp_path, rule("when: score < 0.0")).rules
    [moved] = read(tmp_path, "\n\n" + rule("when:   score   <   0.0")).rules
    [other] = read(tmp_path, rule("when: score < 0.1")).rules
    assert first.version == moved.version != other.version
