"""The report of `sentistream reveal` as one page: bars, and no raw media or text beyond single words."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element

from stream.cli.html import add, drawing, page, row, section, table, written
from stream.domain.wording import quantity
from stream.nuisances.marks import mark_named
from stream.reveal.findings import Detector, Finding, Suspect
from stream.reveal.report import Report
from stream.reveal.words import WordType

RANKED = 30
"""Suspects in the ranking."""

SHOWN = 12
"""Suspects that get a section of their own, if they are suspicious or among the first three."""

WIDTH, MOST_POINTS = 320, 1.5
"""Width of a bar chart in pixels for the range from -`MOST_POINTS` to `MOST_POINTS` score points."""

SAYS = {
    Detector.BATTERY: "shift of the contribution when the mark is added",
    Detector.REGRESSION: "change of the contribution for one standard deviation of the measured nuisance",
    Detector.WORDS: "score of the word said alone",
}


def reveal_page(report: Report) -> str:
    """The report as HTML."""
    root, main = page(f"Reveal: {report.model}")
    add(main, "h1", f"What moves the scores of {report.model} and should not")
    if report.alarms:
        add(main, "p", f"{quantity(len(report.alarms), 'suspect')} beyond the honest reference.", class_="alarm")
    else:
        add(main, "p", "Nothing moves the scores further than in an honest model.", class_="fine")
    windows = ", ".join(f"{count} with {modality}" for modality, count in report.windows.items())
    text = (
        f"Probe windows ({report.probes}): {windows}. Words of {quantity(report.said, 'window')}. A strength of 1 is the threshold: three "
        "standard deviations (of words five) of honest trainings and of probing, and the least distance of the detector. All values are in "
        "score points of the scale from -3 to 3."
    )
    add(main, "p", text, class_="quiet")
    _ranking(main, report.ranking(RANKED))
    for rank, suspect in enumerate(report.suspects[:SHOWN], start=1):
        if suspect.suspicious or rank <= 3:
            _suspect(main, rank, suspect)
    _words(main, report.words)
    return written(root)


def bar(parent: Element, finding: Finding, honest: float) -> None:
    """The value as a bar from 0 with its standard error, and the honest mean as a line."""

    def at(points: float) -> float:
        return WIDTH / 2 * (1 + max(-1.0, min(1.0, points / MOST_POINTS)))

    left, right = sorted((at(0.0), at(finding.value)))
    chart = drawing(parent, WIDTH, 20, f"{finding.value:+.2f} points, honest {honest:+.2f}")
    add(chart, "rect", x=left, y=5, width=max(right - left, 1.0), height=10, class_="value")
    add(chart, "line", x1=at(finding.value - finding.error), x2=at(finding.value + finding.error), y1=10, y2=10, class_="error")
    add(chart, "line", x1=at(honest), x2=at(honest), y1=1, y2=19, class_="honest")
    add(chart, "line", x1=WIDTH / 2, x2=WIDTH / 2, y1=3, y2=17, class_="axis")


def _ranking(main: Element, suspects: Iterable[Suspect]) -> None:
    texts = ("in", "found by", "verdicts")
    body = table(
        section(main, "Nuisances", "The strongest first. From a strength of 1 on, one is a suspect."),
        ("nuisance", "in", "strength", "found by", "verdicts"),
        texts,
    )
    for suspect in suspects:
        line = row(body, suspect.name)
        add(line, "td", suspect.modality)
        add(line, "td", f"{suspect.strength:.2f}", class_=f"number {_class(suspect)}")
        add(line, "td", ", ".join(sorted({str(finding.detector) for finding in suspect.findings})))
        add(line, "td", ", ".join(f"{kind} {count}" for kind, count in sorted(suspect.verdicts.items())))


def _suspect(main: Element, rank: int, suspect: Suspect) -> None:
    try:
        says = mark_named(suspect.name).says
    except KeyError:
        says = "measured in the probe windows"
    part = section(main, f"{rank}. {suspect.name} ({suspect.modality})", f"{says}.")
    add(part, "p", f"Strength {suspect.strength:.2f}.", class_=_class(suspect))
    body = table(part, ("found by", "what moved", "value", "honest", "windows", ""), ("what moved",))
    for finding, honest in zip(suspect.findings, suspect.honest, strict=True):
        line = row(body, f"{finding.detector}: {finding.name}")
        of_score = "" if finding.score_shift is None else f"; that of the score: {finding.score_shift:+.3f}"
        add(line, "td", SAYS[finding.detector] + of_score)
        for number in (f"{finding.value:+.3f} ± {finding.error:.3f}", f"{honest:+.3f}", str(finding.windows)):
            add(line, "td", number, class_="number")
        bar(add(line, "td"), finding, honest)


def _words(main: Element, words: Iterable[WordType]) -> None:
    part = section(main, "Word types by the effect of their removal", "Those that occur often enough, the surest effect first.")
    body = table(part, ("word", "mean effect", "t", "occurrences"))
    for word in words:
        row(body, word.word, f"{word.effect:+.3f}", f"{word.t:+.1f}", str(word.occurrences))


def _class(suspect: Suspect) -> str:
    return "alarm" if suspect.suspicious else "fine"
