"""The report of `sentistream revise` as one page."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from stream.cli.html import add, page, row, section, table, written
from stream.cli.reveal_charts import Value, bar, scale_of
from stream.reveal.findings import Finding, Reference
from stream.reveal.gates import Gate, Groups, Measured
from stream.reveal.revision import Relief, Revision

HOW = {
    Relief.TRAINING: "The version was trained on media in which it is independent of the label.",
    Relief.PROJECTION: "What the word adds to the states of words was taken out of the weights, without a training.",
}


def revision_page(revision: Revision, version: str, reference: Reference) -> str:
    """The revision as HTML.

    Args:
        revision: Its card.
        version: Number of the new version.
        reference: What is honest.
    """
    title = f"{revision.model}: version {version}, revised from {revision.revised_from} against {revision.artefact}"
    root, main = page(title)
    add(main, "h1", title)
    add(main, "p", f"{revision.says[:1].upper()}{revision.says[1:]}. {HOW[revision.relief]}")
    add(main, "p", "All gates passed." if revision.passed else "Not all gates passed.", class_="fine" if revision.passed else "alarm")
    _gates(main, revision.gates)
    if revision.before.conditions:
        _conditions(main, revision.before, revision.after)
    else:
        text = "Measured on windows of a store, whose labels nobody knows: there is no accuracy, and no table of groups."
        add(main, "p", text, class_="quiet note")
    _battery(main, revision, reference)
    if revision.before.groups:
        _groups(main, revision.before.groups, revision.after.groups)
    return written(root)


def _gates(main: Element, found: Mapping[str, Gate]) -> None:
    body = table(add(section(main, "Gates", ""), "div", class_="wide"), ("gate", "", "says", "value", "limit"), ("", "says"))
    for name, gate in found.items():
        line = row(body, name)
        add(line, "td", "passed" if gate.passed else "failed", class_="fine" if gate.passed else "alarm")
        add(line, "td", gate.says)
        for number in (f"{gate.value:+.3f}", f"{gate.limit:.3f}"):
            add(line, "td", number, class_="number")


def _conditions(main: Element, before: Measured, after: Measured) -> None:
    part = section(main, "Accuracy of all modalities together", "")
    body = table(part, ("windows", "before", "after", "worst label before", "after"))
    for name in before.conditions:
        both = before.conditions[name], after.conditions[name]
        row(body, name, *(f"{own[key]:.3f}" for key in ("accuracy", "worst_group") for own in both))


def _battery(main: Element, revision: Revision, reference: Reference) -> None:
    part = section(main, "Battery before and after", "The shaded range is what honest models show.")
    body = table(add(part, "div", class_="wide"), ("mark", "before", "", "after", "", "honest"))
    before, after = ({own.name: _value(own, reference) for own in measured.findings} for measured in (revision.before, revision.after))
    most = scale_of([*before.values(), *after.values()])
    for name, value in before.items():
        line = row(body, name)
        for own in (value, after.get(name)):
            add(line, "td", f"{own.value:+.3f}" if own else "", class_="number")
            cell = add(line, "td")
            if own is not None:
                bar(cell, own, most)
        add(line, "td", f"{value.honest:+.3f}", class_="number")


def _value(finding: Finding, reference: Reference) -> Value:
    return Value.of(finding.name, finding, reference.honest(finding).mean, reference.limit(finding))


def _groups(main: Element, before: Groups, after: Groups) -> None:
    body = table(section(main, "Groups", ""), ("group", "windows", "before", "after"))
    for name, own in before.items():
        row(body, name, str(own.windows), f"{own.accuracy:.3f}", f"{after[name].accuracy:.3f}")
