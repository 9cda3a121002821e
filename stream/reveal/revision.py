"""A revision as it is reported: its card, and one HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import msgspec

from stream.reveal.findings import Finding, Reference
from stream.reveal.gates import Gate, Groups, Measured
from stream.reveal.pages import STYLE, bar


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """The card of a revised version.

    Attributes:
        model: Name of the model.
        revised_from: The version before.
        artefact: Name of the mark.
        says: What the mark is.
        strengths: Least and greatest strength in training.
        seed: Seed of the training.
        recipe: Its settings.
        criterion: Its validation criterion, lower is better.
        before: The version before.
        after: The revision.
        gates: By name; all must have passed before a promotion.
    """

    model: str
    revised_from: str
    artefact: str
    says: str
    strengths: tuple[float, float]
    seed: int
    recipe: dict[str, object]
    criterion: float
    before: Measured
    after: Measured
    gates: dict[str, Gate]

    @property
    def passed(self) -> bool:
        """Whether all gates hold."""
        return all(gate.passed for gate in self.gates.values())


def page(revision: Revision, version: str, reference: Reference) -> str:
    """The revision as one HTML file, with nothing from elsewhere."""
    title = f"{revision.model}: version {version}, revised from {revision.revised_from} against {revision.artefact}"
    verdict = '<p class="fine">All gates passed.</p>' if revision.passed else '<p class="alarm">Not all gates passed.</p>'
    return "\n".join(
        [
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>',
            f"<h1>{escape(title)}</h1><p>{escape(revision.says)}</p>{verdict}",
            f"<h2>Gates</h2>{_gates(revision.gates)}",
            f"<h2>Accuracy of all modalities together</h2>{_conditions(revision.before, revision.after)}",
            f"<h2>Battery before and after</h2>{_battery(revision, reference)}",
            f"<h2>Groups</h2>{_groups(revision.before.groups, revision.after.groups)}",
            "</html>\n",
        ]
    )


def _gates(found: Mapping[str, Gate]) -> str:
    rows = [
        f'<tr><td class="{"fine" if gate.passed else "alarm"}">{"passed" if gate.passed else "failed"}</td><td>{escape(name)}</td>'
        f'<td>{escape(gate.says)}</td><td class="n">{gate.value:+.3f}</td><td class="n">{gate.limit:.3f}</td></tr>'
        for name, gate in found.items()
    ]
    return f'<table><tr><th></th><th>gate</th><th></th><th class="n">value</th><th class="n">limit</th></tr>{"".join(rows)}</table>'


def _conditions(before: Measured, after: Measured) -> str:
    both = (before.conditions, after.conditions)
    cells = {name: [own[name][key] for key in ("accuracy", "worst_group") for own in both] for name in before.conditions}
    rows = [f"<tr><td>{name}</td>{''.join(f'<td class=n>{value:.3f}</td>' for value in own)}</tr>" for name, own in cells.items()]
    head = "<th></th><th class=n>before</th><th class=n>after</th><th class=n>worst label before</th><th class=n>after</th>"
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _battery(revision: Revision, reference: Reference) -> str:
    later = {finding.name: finding for finding in revision.after.findings}
    rows = [_battery_row(finding, later.get(finding.name), reference.honest(finding).mean) for finding in revision.before.findings]
    head = '<tr><th>mark</th><th class="n">before</th><th></th><th class="n">after</th><th></th><th class="n">honest</th></tr>'
    return f"<table>{head}{''.join(rows)}</table>"


def _battery_row(before: Finding, after: Finding | None, honest: float) -> str:
    cells = [f'<td class="n">{own.value:+.3f}</td><td>{bar(own, honest)}</td>' if own else "<td></td><td></td>" for own in (before, after)]
    return f'<tr><td>{escape(before.name)}</td>{"".join(cells)}<td class="n">{honest:+.3f}</td></tr>'


def _groups(before: Groups, after: Groups) -> str:
    rows = [
        f"<tr><td>{escape(name)}</td><td class=n>{own.windows}</td><td class=n>{own.accuracy:.3f}</td>"
        f"<td class=n>{after[name].accuracy:.3f}</td></tr>"
        for name, own in before.items()
    ]
    head = "<th>group</th><th class=n>windows</th><th class=n>before</th><th class=n>after</th>"
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"
