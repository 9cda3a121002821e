"""The page of one window: one HTML file with its style and drawings, without scripts, without anything from elsewhere."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from stream.cli.explain.charts import bar, face, side, timeline
from stream.cli.explain.examination import Examination
from stream.cli.explain.methods import OURS
from stream.cli.explain.shown import EARLIER, NOUNS, shown_phrase, shown_row
from stream.cli.explain.table import other_model
from stream.cli.html import add, page, row, section, table, written
from stream.domain.modality import Modality
from stream.explain.phrasing import clock, signed

MOST_FACES = 8
"""Frames whose maps are drawn: those with the largest relevance."""


def html_page(found: Examination) -> str:
    """The page as text."""
    root, main = page(f"Why {found.stored.score.window_id} is {found.label}")
    _head(main, found)
    _contributions(main, found)
    _words(main, found)
    _phrases(main, found)
    _spans(main, found)
    _bands(main, found)
    _faces(main, found)
    _otherwise(main, found)
    _methods(main, found)
    text = (
        "An explanation says what the model did with this window. It does not say whether that is right, or what somebody felt. "
        "The page says what was said: treat it as a transcript."
    )
    add(add(main, "footer"), "p", text, class_="quiet")
    return written(root)


def _head(main: Element, found: Examination) -> None:
    score, now = found.stored.score, found.now
    add(main, "h1", f"{found.label}, {signed(now.score)} on the scale from -3 to 3")
    about = f"Window {score.window_id}, {score.role}, {clock(score.start_ms)} to {clock(score.end_ms)}"
    add(main, "p", f"{about}; version {found.model.version} ({found.model.digest}) of the model.", class_="quiet")
    if not found.same_model:
        add(main, "p", other_model(found), class_="note", role="note")
    add(main, "p", found.stored.explanation.sentence)
    bar(add(main, "p"), now.score, 3.0, f"score {signed(now.score)}")


def _contributions(main: Element, found: Examination) -> None:
    part = section(main, "What moved the score", "Shapley values in score points: with the start they add up to the score.")
    moved = [("start: nothing known", found.base), (EARLIER, found.contributions.earlier_windows)]
    moved += [(NOUNS[modality], found.contributions.modalities[modality]) for modality in found.stored.score.modalities_present]
    body = table(part, ("part", "points", ""))
    most = max(abs(value) for _, value in moved)
    for name, value in moved:
        bar(add(row(body, name, signed(value)), "td"), value, most)
    row(body, "score", signed(found.now.score), class_="total")


def _words(main: Element, found: Examination) -> None:
    ours = found.method(OURS)
    rows = [entry for entry in found.rows if entry.modality is Modality.TEXT]
    if ours is None or not rows:
        return
    text = "The part of each word in the contribution of the words. Leaving a word out changes more than its own part: see below."
    said = add(section(main, "Words", text), "p", class_="said")
    most = max(abs(entry.value(ours)) for entry in rows) or 1.0
    for entry in rows:
        value = entry.value(ours)
        word = add(said, "span", class_=f"word {side(value)}", style=f"--strength: {abs(value) / most:.2f}")
        add(word, "bdi", shown_row(entry, found.words))
        add(word, "small", signed(value))


def _phrases(main: Element, found: Examination) -> None:
    if not found.stored.words_encoded:
        section(main, "Phrases", "The producer has encoded these words, so none of them can be left out.")
    if not found.phrases:
        return
    part = section(main, "Phrases", "Each phrase was left out in turn, and the other words were encoded again.")
    body = table(part, ("without", "score", "label", "effect", ""))
    effects = {phrase: found.now.score - verdict.score for phrase, verdict in found.phrases.items()}
    most = max(abs(effect) for effect in effects.values())
    for phrase, verdict in found.phrases.items():
        line = row(body, shown_phrase(found.words, phrase), signed(verdict.score), verdict.label, signed(effects[phrase]))
        bar(add(line, "td"), effects[phrase], most)
    if found.change is None:
        add(part, "p", "No set of phrases was found without which the label changes.")
    else:
        left_out, verdict = found.change
        shown = ", ".join(shown_phrase(found.words, phrase) for phrase in left_out)
        add(part, "p", f"The smallest set found that changes the label: without {shown} it is {verdict.label} ({signed(verdict.score)}).")


def _spans(main: Element, found: Examination) -> None:
    ours, score = found.method(OURS), found.stored.score
    for modality, title in ((Modality.AUDIO, "Voice"), (Modality.VIDEO, "Face")):
        bars = [] if ours is None else [(e.start_ms, e.end_ms, e.value(ours)) for e in found.rows if e.modality is modality]
        if bars:
            part = section(main, f"{title} over time", "Above the line: raised the score. Below: lowered it.")
            timeline(part, title, (score.start_ms, score.end_ms), bars)


def _bands(main: Element, found: Examination) -> None:
    if not found.bands:
        return
    part = section(
        main,
        "Voice by frequency",
        "What the contribution of the voice loses if a band of the sound is held still, and the voice is encoded again.",
    )
    body = table(part, ("band", "effect", ""))
    most = max(abs(band.effect) for band in found.bands)
    for band in found.bands:
        line = row(body, f"{band.low_hz:.0f} to {band.high_hz:.0f} Hz", signed(band.effect))
        bar(add(line, "td"), band.effect, most)


def _faces(main: Element, found: Examination) -> None:
    if not found.faces:
        return
    text = "Which regions moved the score, on a drawn face: no picture is stored. + raised the score, \u2212 lowered it."
    figures = add(section(main, "Face by region", text), "div", class_="faces")
    strongest = sorted(found.faces, key=lambda maps: -abs(maps.relevance))[:MOST_FACES]
    for maps in sorted(strongest, key=lambda maps: maps.start_ms):
        figure, at = add(figures, "figure"), clock(maps.start_ms)
        face(figure, maps.ours, f"map of the face at {at}")
        face(figure, maps.grad_cam, f"Grad-CAM++ of the face at {at}")
        add(figure, "figcaption", f"{at}: {signed(maps.relevance)}. Left ours, right Grad-CAM++")


def _otherwise(main: Element, found: Examination) -> None:
    body = table(section(main, "Score and label without each part", ""), ("without", "score", "label"))
    for name, verdict in found.without.items():
        label = verdict.label if verdict.label == found.now.label else f"{verdict.label} (changes)"
        row(body, name if name == EARLIER else NOUNS[Modality(name)], signed(verdict.score), label)


def _methods(main: Element, found: Examination) -> None:
    text = "Each column is one method. A number is the share (%) of the row in all that the method lists, with its sign."
    part = section(main, "Methods side by side", text)
    usable = [(method.name, method.relevance, method.ms) for method in found.methods if method.relevance is not None]
    body = table(add(part, "div", class_="wide"), ("part of the window", *(name for name, _, _ in usable)))
    for entry in found.rows:
        line = row(body, shown_row(entry, found.words))
        for _, relevance, _ in usable:
            share = entry.share(relevance)
            strength = f"--strength: {min(1.0, 4 * abs(share)):.2f}"
            add(line, "td", f"{100 * share:+.0f}", class_=f"number share {side(share)}", style=strength)
    row(body, "milliseconds", *(f"{ms:.0f}" for _, _, ms in usable), class_="total")
    for method in found.methods:
        if method.problem:
            add(part, "p", f"{method.name}: {method.problem}", class_="quiet")
