"""The report of `sentistream revise` as one page."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from stream.cli.html import add, page, row, section, table, written
from stream.cli.reveal_page import bar
from stream.reveal.findings import Reference
from stream.reveal.gates import Gate, Groups, Measured
from stream.reveal.revision import Revision


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
    add(main, "p", revision.says)
    add(main, "p", "All gates passed." if revision.passed else "Not all gates passed.", class_="fine" if revision.passed else "alarm")
    _gates(main, revision.gates)
    _conditions(main, revision.before, revision.after)
    _battery(main, revision, reference)
    _groups(main, revision.before.groups, revision.after.groups)
    return written(root)


def _gates(main: Element, found: Mapping[str, Gate]) -> None:
    body = table(section(main, "Gates", ""), ("gate", "", "says", "value", "limit"), ("", "says"))
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
    body = table(section(main, "Battery before and after", ""), ("mark", "before", "", "after", "", "honest"))
    later = {finding.name: finding for finding in revision.after.findings}
    for finding in revision.before.findings:
        line, honest = row(body, finding.name), reference.honest(finding).mean
        for own in (finding, later.get(finding.name)):
            add(line, "td", f"{own.value:+.3f}" if own else "", class_="number")
            cell = add(line, "td")
            if own is not None:
                bar(cell, own, honest)
        add(line, "td", f"{honest:+.3f}", class_="number")


def _groups(main: Element, before: Groups, after: Groups) -> None:
    body = table(section(main, "Groups", ""), ("group", "windows", "before", "after"))
    for name, own in before.items():
        row(body, name, str(own.windows), f"{own.accuracy:.3f}", f"{after[name].accuracy:.3f}")
