"""Judges what the probes of the live stream have shown, against what honest windows show."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from stream.domain.live_reveal import ALONE, HOUR_MS, SAID, LiveHour, LiveNuisance, LiveReport, LiveState, LiveSums, added_up
from stream.domain.modality import Modality
from stream.nuisances.marks import mark_named
from stream.reveal.findings import ERRORS, WORD, Detector, Finding, Reference

LEAST_WINDOWS = 20
"""Fewer windows with a mark are too few to judge it: the standard error of so few is itself uncertain."""

LEAST_SAID = 3
"""A word that was said in fewer probed windows is not judged. What it scores alone is no sample: it has no error."""

PROBES = "probes.json"
"""File of the `LiveReference` in the folder of the model ``mmci``."""


_CARRIERS = {Modality.TEXT: "words", Modality.AUDIO: "a voice", Modality.VIDEO: "a face"}


class HonestProbe(msgspec.Struct, frozen=True):
    """What a probe of the live stream does to honest windows.

    Attributes:
        lowest: Least mean shift of the contribution, over kinds of windows.
        highest: Greatest mean shift.
        threshold: The quantile of the absolute shifts of the score: a window that moves further is sensitive.
        windows: Windows of all kinds.
    """

    lowest: float
    highest: float
    threshold: float
    windows: int


class LiveReference(msgspec.Struct, frozen=True):
    """The file `PROBES`.

    Attributes:
        model: Digest of the served weights that it was measured with.
        quantile: That of the thresholds.
        probes: By name of the mark, with `ALONE` for windows that have nothing but its modality.
    """

    model: str
    quantile: float
    probes: dict[str, HonestProbe]

    @property
    def thresholds(self) -> dict[str, float]:
        """By name in `probes`, the shift of the score above which a window is sensitive to the mark."""
        return {name: own.threshold for name, own in self.probes.items()}


def read_live_reference(file: Path) -> LiveReference:
    """Read the file `PROBES`. Raises `OSError` and `msgspec.MsgspecError`."""
    return msgspec.json.decode(file.read_bytes(), type=LiveReference)


def judged(hours: Iterable[LiveHour], live: LiveReference, words: Reference, now_ms: int) -> LiveReport:
    """The report of all workers' hours.

    Args:
        hours: The sums.
        live: What the marks do to honest windows. Marks that it does not know are left out.
        words: What words score in an honest model. Words that it does not know are left out: they may be names.
        now_ms: Wall clock (Unix ms).
    """
    counted = list(hours)
    found = []
    for (version, name), sums in added_up(counted).items():
        word = name.removeprefix(SAID)
        if name in live.probes:
            found.append(_mark(name, version, sums, live.probes[name], words.thresholds[Detector.BATTERY]))
        elif word != name and word in words.words:
            found.append(_word(word, version, sums, words))
    order = list(LiveState)
    return LiveReport(
        at_ms=now_ms,
        since_ms=min((own.hour for own in counted), default=now_ms // HOUR_MS) * HOUR_MS,
        windows=sum(own.windows for own in counted),
        nuisances=tuple(sorted(found, key=lambda own: (order.index(own.state), -(own.strength or 0.0), own.name, own.version))),
    )


def _mark(key: str, version: str, sums: LiveSums, honest: HonestProbe, least: float) -> LiveNuisance:
    name = key.removesuffix(ALONE)
    mark = mark_named(name)
    distance = max(honest.lowest - sums.mean, sums.mean - honest.highest, 0.0)
    strength = distance / max(least, ERRORS[Detector.BATTERY] * sums.error) if sums.windows >= LEAST_WINDOWS else None
    return LiveNuisance(
        name=name,
        alone=name != key,
        says=mark.says if name == key else f"{mark.says}, where there is nothing but {_CARRIERS[mark.modality]}",
        found_by=Detector.BATTERY,
        modality=mark.modality,
        version=version,
        state=_state(strength),
        strength=strength,
        windows=sums.windows,
        value=sums.mean,
        error=sums.error,
        score_shift=sums.scores / sums.windows,
        honest=(honest.lowest, honest.highest),
        warned=sums.moved,
    )


def _word(word: str, version: str, sums: LiveSums, words: Reference) -> LiveNuisance:
    finding = Finding(
        detector=Detector.WORDS, name=f"{WORD}{word}", modality=Modality.TEXT, value=sums.mean, error=0.0, windows=sums.windows
    )
    honest = words.honest(finding).mean
    strength = words.strength(finding) if sums.windows >= LEAST_SAID else None
    return LiveNuisance(
        name=finding.name,
        says=f"the word “{word}” is said",
        found_by=Detector.WORDS,
        modality=Modality.TEXT,
        version=version,
        state=_state(strength),
        strength=strength,
        windows=sums.windows,
        value=sums.mean,
        error=0.0,
        score_shift=sums.scores / sums.moved if sums.moved else None,
        honest=(honest, honest),
    )


def _state(strength: float | None) -> LiveState:
    if strength is None:
        return LiveState.TOO_FEW
    return LiveState.SUSPECT if strength >= 1.0 else LiveState.FINE
