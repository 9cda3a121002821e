"""What a session may bring upon an aligner, and how it looks on paper."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st

from stream.align.grid import HoppingGrid
from stream.align.outcome import EncodedChunk
from stream.align.rule import WindowRule
from stream.align.track import WindowPolicy
from stream.align.utterance import UtteranceRule
from stream.domain.features import EMBEDDING, AudioFeatures, Features, TextFeatures, VideoFeatures, Word
from stream.domain.identity import TrackKey
from stream.domain.lifecycle import SessionEnd, SessionStart, TrackEnd, TrackPlan
from stream.domain.modality import MODALITIES, Modality
from tests.fakes.chunks import header

TRACKS = ("customer", "agent")
HOUR_MS = 3_600_000
HOLD_AT_MS = 4000
FAR_MS = 3000
"""Media time that goes back further than this has begun anew."""
SESSION = header(0).session


@dataclass(frozen=True)
class Delivery:
    """One arrival of a chunk; ``copy`` counts the arrivals of its number, ``other`` makes it another chunk with that number.

    ``held_ms`` is for how long the call was on hold before; a ``restarted`` one has the media clock of an hour later.
    ``stamp_ms`` is how much later than the others' its clock says that it was captured.
    ``spans`` say where in it (ms from its start) there is a word, a voice or a face, ``final`` that its last word ends an utterance.
    Without spans it holds one word, whatever its modality: windows of a fixed length do not look.
    """

    at: int
    track: str
    modality: Modality
    seq: int
    start_ms: int
    duration_ms: int
    copy: int = 0
    other: bool = False
    future: bool = False
    held_ms: int = 0
    restarted: bool = False
    stamp_ms: int = 0
    spans: tuple[tuple[int, int], ...] | None = None
    final: bool = False

    @property
    def lane(self) -> tuple[str, Modality]:
        return self.track, self.modality

    @property
    def key(self) -> TrackKey:
        return TrackKey(SESSION, self.track)

    @property
    def end_ms(self) -> int:
        return self.start_ms + self.duration_ms

    @property
    def name(self) -> str:
        """Unique in a history."""
        return f"{self.track}-{self.modality}-{self.seq}#{self.copy}"

    def chunk(self) -> EncodedChunk[str]:
        """As the aligner gets it; the receipt is its name."""
        about = header(self.seq, self.modality, track=self.track, start_ms=self.start_ms, duration_ms=self.duration_ms)
        about = replace(about, captured_ms=about.captured_ms + self.stamp_ms)
        if self.future:
            about = replace(about, start_ms=about.start_ms + HOUR_MS)
        about = replace(about, captured_ms=about.captured_ms + self.held_ms + HOUR_MS * self.restarted)
        return EncodedChunk(about, self.features(), self.name, b"other" if self.other else b"same")

    def label(self) -> TextFeatures:
        """Stands for its features: its only word is its name."""
        return TextFeatures((Word(self.name, self.start_ms, self.end_ms),))

    def features(self) -> Features:
        """What it holds."""
        if self.spans is None:
            return self.label()
        if self.modality is Modality.TEXT:
            return TextFeatures(tuple(Word(self.name, self.start_ms + a, self.start_ms + b) for a, b in self.spans), self.final)
        held = self.spans if self.modality is Modality.VIDEO else tuple((at, at + 100) for at in range(0, self.duration_ms, 100))
        spans_ms = np.array(held, np.int64).reshape(-1, 2) + self.start_ms
        embeddings = np.zeros((len(held), EMBEDDING), np.float32)
        if self.modality is Modality.VIDEO:
            return VideoFeatures(spans_ms, embeddings, np.zeros((len(held), 4), np.float32), 1, 5)
        voiced = np.array([any(a <= at < b for a, b in self.spans) for at, _ in held], np.bool_)
        return AudioFeatures(spans_ms, embeddings, voiced, voiced)


@dataclass(frozen=True)
class History:
    """Everything that happens to one session, in order of time."""

    policy: WindowPolicy
    deliveries: tuple[Delivery, ...]
    start_at: int | None
    end_at: int | None
    media_ms: int
    counts: dict[tuple[str, Modality], int]
    end_grace_ms: int = 3000
    max_held: int = 1000

    @property
    def last_at(self) -> int:
        return max([d.at for d in self.deliveries] + [at for at in (self.start_at, self.end_at) if at is not None], default=0)

    def start(self) -> SessionStart:
        tracks = sorted({track for track, _ in self.counts})
        return SessionStart(0, tuple(TrackPlan(t, "customer", tuple(m for m in MODALITIES if (t, m) in self.counts)) for t in tracks))

    def end(self) -> SessionEnd:
        tracks = sorted({track for track, _ in self.counts})
        counts = tuple(TrackEnd(t, {m: n for (track, m), n in self.counts.items() if track == t}) for t in tracks)
        return SessionEnd(0, self.media_ms, counts)

    def in_media_order(self) -> History:
        """The same chunks, each when its media ends, and the events around them."""
        ordered = sorted(self.deliveries, key=lambda d: (d.end_ms, d.copy))
        end_at = None if self.end_at is None else self.last_at
        return replace(self, deliveries=tuple(replace(d, at=d.end_ms) for d in ordered), start_at=self.start_at and 0, end_at=end_at)

    def without(self, *names: str) -> History:
        """Leave deliveries out."""
        return replace(self, deliveries=tuple(d for d in self.deliveries if d.name not in names))

    def repeats(self) -> list[Delivery]:
        """Deliveries whose number came before."""
        seen: set[tuple[str, Modality, int]] = set()
        found = []
        for delivery in self.deliveries:
            if delivery.future or delivery.restarted:
                continue
            number = (*delivery.lane, delivery.seq)
            if number in seen:
                found.append(delivery)
            seen.add(number)
        return found

    def timeline(self) -> str:
        """What happens when, one line each."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        policy = self.policy
        yield (
            f"{policy.rule}, lateness {policy.allowed_lateness_ms},"
            f" idle after {policy.idle_after_ms}, partial every {policy.partial_every_ms}, at most {self.max_held} held"
        )
        events = [(d.at, 1, _line(d)) for d in self.deliveries]
        if self.start_at is not None:
            events.append((self.start_at, 0, "start " + ", ".join(f"{t}/{m}" for t, m in self.counts)))
        if self.end_at is not None:
            counted = ", ".join(f"{t}/{m}: {n}" for (t, m), n in self.counts.items())
            events.append((self.end_at, 2, f"end at media {self.media_ms} ({counted})"))
        for at, _, text in sorted(events, key=lambda event: event[:2]):
            yield f"{at:>7} ms  {text}"


def _line(d: Delivery) -> str:
    marks = [
        mark
        for mark, on in (("again", d.copy > 0), ("other content", d.other), ("an hour ahead", d.future), ("restarted", d.restarted))
        if on
    ]
    marks += [f"stamped {d.stamp_ms:+} ms"] if d.stamp_ms else []
    held = "" if d.spans is None else f"{[(d.start_ms + a, d.start_ms + b) for a, b in d.spans]} {'final ' if d.final else ''}"
    return f"{d.track:<8} {d.modality:<5} #{d.seq:<3} [{d.start_ms:>6}, {d.end_ms:>6}) {held}{' '.join(marks)}".rstrip()


GRIDS: st.SearchStrategy[WindowRule] = st.sampled_from([HoppingGrid(4000, 2000), HoppingGrid(2000, 2000), HoppingGrid(3000, 1000)])
UTTERANCES: st.SearchStrategy[WindowRule] = st.sampled_from(
    [UtteranceRule(10_000, 600), UtteranceRule(3000, 400), UtteranceRule(2000, 1000)]
)
SPANS: dict[Modality, tuple[tuple[tuple[int, int], ...], ...]] = {
    Modality.TEXT: ((), ((0, 400),), ((100, 300), (350, 700)), ((-300, 250), (600, 900))),
    Modality.AUDIO: ((), ((0, 1000),), ((200, 400),), ((0, 300), (800, 1000)), ((500, 600),)),
    Modality.VIDEO: ((), (), ((0, 1000),), ((400, 600),)),
}
"""What chunks of utterance histories hold; the first is the simplest."""
CALM_QUIRKS = ("jitter", "again", "pause", "short", "stamp")
WILD_QUIRKS = (*CALM_QUIRKS, "lost", "late", "other", "future")


@st.composite
def _lane(draw: st.DrawFn, track: str, modality: Modality, allowance_ms: int, kinds: tuple[str, ...], *, telling: bool) -> list[Delivery]:
    count = draw(st.integers(0, 9))
    skew_ms = draw(st.sampled_from([0, 0, 400, 1300]))
    clock_ms = draw(st.sampled_from([0, 150, -300, 1200]))
    quirks = draw(st.lists(st.tuples(st.integers(0, 8), st.sampled_from(kinds), st.integers(1, 8)), max_size=5))
    by_seq: dict[int, dict[str, int]] = {}
    for seq, kind, amount in quirks:
        by_seq.setdefault(seq, {})[kind] = amount
    deliveries = []
    media_ms = 0
    for seq in range(count):
        quirk = by_seq.get(seq, {})
        media_ms += quirk.get("pause", 0) * 1000
        duration_ms = 1000 - quirk.get("short", 0) * 100
        delay = skew_ms + quirk.get("jitter", 0) * allowance_ms // 8 + quirk.get("late", 0) * 1200
        stamp_ms = clock_ms + quirk.get("stamp", 0) * 50
        one = Delivery(media_ms + duration_ms + delay, track, modality, seq, media_ms, duration_ms, stamp_ms=stamp_ms)
        if telling:
            spans = tuple((a, min(b, duration_ms)) for a, b in draw(st.sampled_from(SPANS[modality])) if a < duration_ms)
            one = replace(one, spans=spans, final=modality is Modality.TEXT and draw(st.integers(0, 3)) == 3)
        if "lost" not in quirk:
            deliveries.append(replace(one, future=True) if "future" in quirk and seq else one)
            for kind in ("again", "other"):
                if kind in quirk:
                    again = replace(one, at=one.at + quirk[kind] * 700, copy=1 + (kind == "other"), other=kind == "other")
                    deliveries.append(again)
        media_ms += duration_ms
    return deliveries


def _with_hold(deliveries: list[Delivery], held_ms: int) -> list[Delivery]:
    """The call is on hold once; its media clock stands still meanwhile, and chunks come so much later after it."""
    return [replace(d, held_ms=held_ms) if d.start_ms >= HOLD_AT_MS else d for d in deliveries]


def _restart(deliveries: list[Delivery]) -> list[Delivery]:
    """The first chunk of a lane again, as a producer sends it that began anew; none where media time has not come far enough."""
    came = [d.end_ms for d in deliveries if not d.future]
    first = deliveries[0]
    anew = replace(first, at=deliveries[-1].at + 100, seq=0, start_ms=0, copy=9, other=True, future=False, held_ms=0, restarted=True)
    return [anew] if max(came) - anew.end_ms > FAR_MS else []


@st.composite
def histories(draw: st.DrawFn, *, calm: bool, utterances: bool = False) -> History:
    """A session with one or two tracks.

    A calm one loses nothing and reorders within the allowed lateness; a wild one also loses chunks, brings them too late, under a number
    that is taken, or from the future. Either may lack a start or an end, or have its end before its last chunks. With ``utterances`` the
    windows are those of utterances, chunks say where somebody speaks, and pictures stay where their chunks put them.
    """
    rule = draw(UTTERANCES if utterances else GRIDS)
    policy = WindowPolicy(
        rule,
        allowed_lateness_ms=draw(st.sampled_from([500, 0, 1500, 3000])),
        idle_after_ms=draw(st.sampled_from([1500, 4000])),
        partial_every_ms=draw(st.sampled_from([1000, 0])),
        max_skew_ms=0 if utterances else 1000,
    )
    kinds = CALM_QUIRKS if calm else WILD_QUIRKS
    lanes = draw(st.lists(st.tuples(st.sampled_from(TRACKS), st.sampled_from(MODALITIES)), min_size=1, max_size=4, unique=True))
    allowance_ms = max(0, policy.allowed_lateness_ms - 1000)
    deliveries = [d for track, modality in lanes for d in draw(_lane(track, modality, allowance_ms, kinds, telling=utterances))]
    deliveries.sort(key=lambda d: d.at)
    deliveries[:1] = [replace(d, future=False) for d in deliveries[:1]]
    if not calm:
        deliveries = _with_hold(deliveries, draw(st.sampled_from([0, 0, 20_000])))
    counts = {lane: max((d.seq + 1 for d in deliveries if d.lane == lane), default=0) for lane in lanes}
    media_ms = max((d.end_ms for d in deliveries), default=0)
    last = max((d.at for d in deliveries), default=0)
    if not calm and deliveries and draw(st.booleans()):
        deliveries += _restart(deliveries)
    end_at = draw(st.one_of(st.none(), st.integers(-2000, 2000)))
    return History(
        policy,
        tuple(deliveries),
        start_at=draw(st.sampled_from([0, None, 2500])),
        end_at=None if end_at is None else max(0, last + end_at),
        media_ms=media_ms,
        counts=counts,
        max_held=1000 if calm else draw(st.sampled_from([1000, 10])),
    )
