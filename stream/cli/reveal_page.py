"""The report of `sentistream reveal` as one page: charts, examples and pictures of probes. Of texts it has single words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from xml.etree.ElementTree import Element

from stream.cli.html import add, page, row, section, table, written
from stream.cli.reveal_charts import Value, bar, movement, overview, picture, scale_of
from stream.domain.modality import Modality
from stream.domain.wording import quantity
from stream.nuisances.marks import mark_named
from stream.reveal.findings import WORD, Detector, Finding, Suspect
from stream.reveal.pictures import Picture
from stream.reveal.report import Report
from stream.reveal.words import WordType

RANKED = 30
"""Suspects in the ranking."""

SHOWN = 12
"""Suspects that get a section of their own, if they are suspicious or among the first three."""

IN_CHART = 15

SAYS = {
    Detector.BATTERY: "shift of the contribution when the mark is added",
    Detector.REGRESSION: "change of the contribution for one standard deviation of the measured nuisance",
    Detector.WORDS: "score of the word said alone",
}


def reveal_page(report: Report, pictures: Mapping[str, Picture] | None = None) -> str:
    """The report as HTML.

    Args:
        report: The report.
        pictures: By name of a suspect, a probe window with it and without it.
    """
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
    shown = [own for rank, own in enumerate(report.suspects[:SHOWN], start=1) if own.suspicious or rank <= 3]
    _chart(main, report.suspects[:IN_CHART])
    _contents(main, shown)
    for rank, suspect in enumerate(shown, start=1):
        _suspect(main, rank, suspect, (pictures or {}).get(suspect.name))
    _ranking(main, report.ranking(RANKED))
    _words(main, report.words)
    return written(root)


def _chart(main: Element, suspects: Sequence[Suspect]) -> None:
    text = "The strongest finding of each. The shaded range is what honest models show; a bar that leaves it is a suspect."
    part = section(main, "At a glance", text)
    if suspects:
        overview(add(part, "div", class_="wide"), (_values(own)[0]._replace(name=own.name) for own in suspects))


def _contents(main: Element, suspects: Sequence[Suspect]) -> None:
    links = add(add(main, "nav", aria_label="Suspects"), "p", "In detail: ", class_="quiet")
    for rank, suspect in enumerate(suspects, start=1):
        link = add(links, "a", suspect.name, href=f"#suspect-{rank}", class_=_class(suspect))
        link.tail = ", " if rank < len(suspects) else "."


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
        add(line, "td", _verdicts(suspect))


def _suspect(main: Element, rank: int, suspect: Suspect, shown: Picture | None) -> None:
    try:
        says = mark_named(suspect.name).says
    except KeyError:
        says = "measured in the probe windows"
    part = section(main, f"{rank}. {suspect.name}", f"In {suspect.modality}: {says}.")
    part.set("class", "card")
    part.set("id", f"suspect-{rank}")
    judged = f" Reviewers: {_verdicts(suspect)}." if suspect.verdicts else ""
    add(part, "p", f"Strength {suspect.strength:.2f}.{judged}", class_=_class(suspect))
    body = table(add(part, "div", class_="wide"), ("found by", "what moved", "value", "honest", "windows", ""), ("what moved",))
    values = _values(suspect)
    most = scale_of(values)
    for finding, value in zip(suspect.findings, values, strict=True):
        line = row(body, value.name)
        of_score = "" if finding.score_shift is None else f"; that of the score: {finding.score_shift:+.3f}"
        add(line, "td", SAYS[finding.detector] + of_score)
        for number in (f"{finding.value:+.3f} ± {finding.error:.3f}", f"{value.honest:+.3f} ± {value.limit:.3f}", str(finding.windows)):
            add(line, "td", number, class_="number")
        bar(add(line, "td"), value, most)
    if shown is not None:
        sound = shown.modality is Modality.AUDIO
        add(part, "h3", f"How it {'sounds' if sound else 'looks'}")
        add(
            part,
            "p",
            f"{shown.window}: a probe, never a session.{' Time to the right, 0 to 4 kHz upwards.' if sound else ''}",
            class_="quiet",
        )
        picture(part, shown, suspect.name)
    for finding in suspect.findings:
        if finding.examples:
            _examples(part, finding)


def _examples(part: Element, finding: Finding) -> None:
    word = finding.name.startswith(WORD)
    add(part, "h3", "Where it moves the score furthest")
    said = finding.detector is Detector.WORDS
    text = (
        "The score of the words of a window, without one occurrence and with it."
        if said
        else "The score of a probe, as it is and with the mark."
    )
    add(part, "p", text, class_="quiet")
    moved = "change" if said else "change of the contribution"
    heads = ("window", f"without {'the word' if word else 'it'}", "with it", moved, "")
    body = table(add(part, "div", class_="wide"), heads)
    for example in finding.examples:
        line = row(body, example.window or "a window of words", f"{example.before:+.2f}", f"{example.after:+.2f}", f"{example.moved:+.2f}")
        movement(add(line, "td"), example)


def _words(main: Element, words: Iterable[WordType]) -> None:
    part = section(main, "Word types by the effect of their removal", "Those that occur often enough, the surest effect first.")
    body = table(part, ("word", "mean effect", "t", "occurrences"))
    for word in words:
        row(body, word.word, f"{word.effect:+.3f}", f"{word.t:+.1f}", str(word.occurrences))


def _values(suspect: Suspect) -> list[Value]:
    rows = zip(suspect.findings, suspect.honest, suspect.limits, strict=True)
    return [Value.of(f"{finding.detector}: {finding.name}", finding, honest, limit) for finding, honest, limit in rows]


def _verdicts(suspect: Suspect) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in sorted(suspect.verdicts.items()))


def _class(suspect: Suspect) -> str:
    return "alarm" if suspect.suspicious else "fine"
