"""The report as one HTML file: bars, no script, nothing from elsewhere, and no raw media or text beyond single words."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from stream.domain.wording import quantity
from stream.nuisances.marks import mark_named
from stream.reveal.findings import Detector, Finding, Suspect
from stream.reveal.report import Report
from stream.reveal.words import WordType

SHOWN = 12
"""Suspects that get a section of their own, if they are suspicious or among the first three."""

WIDTH, MOST_POINTS = 320, 1.5
"""Width of a bar chart in pixels for the range from -`MOST_POINTS` to `MOST_POINTS` score points."""

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1d1f23; background: #fff; }
table { border-collapse: collapse; margin: .5rem 0 1rem; } th, td { padding: .25rem .8rem .25rem 0; text-align: left; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; } tr { border-bottom: 1px solid #e3e5e8; }
.alarm { color: #b3261e; font-weight: 600; } .fine { color: #2e6b34; } .quiet { color: #5f6570; } h2 { margin-top: 2rem; }
"""

SAYS = {
    Detector.BATTERY: "shift of the contribution when the mark is added",
    Detector.REGRESSION: "change of the contribution for one standard deviation of the measured nuisance",
    Detector.WORDS: "score of the word said alone",
}


def page(report: Report) -> str:
    """The report as HTML."""
    windows = ", ".join(f"{count} with {modality}" for modality, count in report.windows.items())
    shown = [suspect for rank, suspect in enumerate(report.suspects) if suspect.suspicious or rank < 3][:SHOWN]
    verdict = (
        f'<p class="alarm">{quantity(len(report.alarms), "suspect")} beyond the honest reference.</p>'
        if report.alarms
        else '<p class="fine">Nothing moves the scores further than in an honest model.</p>'
    )
    return "\n".join(
        [
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Reveal: {escape(report.model)}</title><style>{STYLE}</style>',
            f"<h1>What moves the scores of {escape(report.model)} and should not</h1>",
            verdict,
            f'<p class="quiet">Probe windows ({escape(report.probes)}): {escape(windows)}. Words of {quantity(report.said, "window")}.',
            "A strength of 1 is the threshold: three standard deviations (of words five) of honest trainings and of probing, and the least",
            "distance of the detector. All values are in score points of the scale from -3 to 3.</p>",
            _ranking(report.suspects),
            *(_section(rank, suspect) for rank, suspect in enumerate(shown, start=1)),
            _words(report.words),
            "</html>\n",
        ]
    )


def _ranking(suspects: Iterable[Suspect]) -> str:
    rows = [
        f'<tr><td class="n">{rank}</td><td>{escape(suspect.name)}</td><td>{suspect.modality}</td><td class="n {_class(suspect)}">'
        f"{suspect.strength:.2f}</td><td>{', '.join(sorted({str(finding.detector) for finding in suspect.findings}))}</td>"
        f"<td>{_verdicts(suspect)}</td></tr>"
        for rank, suspect in enumerate(list(suspects)[:30], start=1)
    ]
    head = '<tr><th class="n">rank</th><th>suspect</th><th>in</th><th class="n">strength</th><th>found by</th><th>verdicts</th></tr>'
    return f"<h2>Suspects</h2><table>{head}{''.join(rows)}</table>"


def _section(rank: int, suspect: Suspect) -> str:
    try:
        says = mark_named(suspect.name).says
    except KeyError:
        says = "measured in the probe windows"
    rows = [_row(finding, honest) for finding, honest in zip(suspect.findings, suspect.honest, strict=True)]
    head = (
        '<tr><th>found by</th><th>what moved</th><th class="n">value</th><th class="n">honest</th><th class="n">windows</th><th></th></tr>'
    )
    return (
        f"<h2>{rank}. {escape(suspect.name)} ({suspect.modality})</h2><p>{escape(says)}. "
        f'<span class="{_class(suspect)}">Strength {suspect.strength:.2f}.</span></p><table>{head}{"".join(rows)}</table>'
    )


def _row(finding: Finding, honest: float) -> str:
    return (
        f"<tr><td>{finding.detector}: {escape(finding.name)}</td><td>{SAYS[finding.detector]}</td>"
        f'<td class="n">{finding.value:+.3f} ± {finding.error:.3f}</td><td class="n">{honest:+.3f}</td>'
        f'<td class="n">{finding.windows}</td><td>{bar(finding, honest)}</td></tr>'
    )


def bar(finding: Finding, honest: float) -> str:
    """The value as a bar from 0 with its standard error, and the honest mean as a line."""

    def at(points: float) -> float:
        return WIDTH / 2 * (1 + max(-1.0, min(1.0, points / MOST_POINTS)))

    left, right = sorted((at(0.0), at(finding.value)))
    low, high = at(finding.value - finding.error), at(finding.value + finding.error)
    return (
        f'<svg width="{WIDTH}" height="20" role="img" aria-label="{finding.value:+.2f} points, honest {honest:+.2f}">'
        f'<rect x="{left:.1f}" y="5" width="{max(right - left, 1):.1f}" height="10" fill="#5b7fb4"/>'
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="10" y2="10" stroke="#1d1f23"/>'
        f'<line x1="{at(honest):.1f}" x2="{at(honest):.1f}" y1="1" y2="19" stroke="#2e6b34" stroke-width="2"/>'
        f'<line x1="{WIDTH / 2}" x2="{WIDTH / 2}" y1="3" y2="17" stroke="#9aa0a8"/></svg>'
    )


def _words(table: Iterable[WordType]) -> str:
    rows = [
        f'<tr><td class="n">{rank}</td><td>{escape(row.word)}</td><td class="n">{row.effect:+.3f}</td><td class="n">{row.t:+.1f}</td>'
        f'<td class="n">{row.occurrences}</td></tr>'
        for rank, row in enumerate(table, start=1)
    ]
    head = '<tr><th class="n">rank</th><th>word</th><th class="n">mean effect</th><th class="n">t</th><th class="n">occurrences</th></tr>'
    none = '<p class="quiet">No word occurs often enough.</p>' if not rows else ""
    return f"<h2>Word types by the effect of their removal</h2>{none}<table>{head}{''.join(rows)}</table>"


def _class(suspect: Suspect) -> str:
    return "alarm" if suspect.suspicious else "fine"


def _verdicts(suspect: Suspect) -> str:
    return escape(", ".join(f"{kind} {count}" for kind, count in sorted(suspect.verdicts.items())))
