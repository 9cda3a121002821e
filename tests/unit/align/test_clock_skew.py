"""Clock skew of picture against sound: how well it is estimated, and how it is corrected."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from stream.align import clock_skew, track
from stream.align.outcome import EncodedChunk
from stream.align.track import TrackAligner
from stream.domain.clock_skew import ClockSkew, decode_skews, encode_skews
from stream.domain.features import WIDTHS, AudioFeatures, Features, TextFeatures, VideoFeatures, Word
from stream.domain.modality import MODALITIES, Modality
from stream.domain.warning_codes import WarningCode
from stream.domain.window import Window
from tests.fakes.chunks import header
from tests.unit.align.builders import POLICY, TRACK

SETTLED_MS = 12_000
"""End of the fifth window: by then outliers among the first chunks no longer matter."""


@dataclass(frozen=True)
class Scene:
    """A track with two clocks: the video clock starts ``offset_ms`` late and runs ``drift_ppm`` slow.

    Capture times jitter with a standard deviation of 20 ms, and one in twenty is 300 ms late.
    """

    offset_ms: float = 0.0
    drift_ppm: float = 0.0
    seed: int = 0
    noisy: bool = True
    gap: range = range(0)
    """Seconds without video."""

    def skew_ms(self, media_ms: int) -> float:
        return self.offset_ms + self.drift_ppm * media_ms / 1e6

    def chunks(self, seconds: int, modalities: Iterable[Modality] = MODALITIES) -> Iterable[EncodedChunk[None]]:
        rng = random.Random(self.seed)
        for second in range(seconds):
            for modality in modalities:
                late = round(rng.gauss(0, 20)) + 300 * (rng.random() < 0.05) if self.noisy else 0
                if modality is Modality.VIDEO and second in self.gap:
                    continue
                about = header(second, modality)
                late += round(self.skew_ms(about.end_ms)) if modality is Modality.VIDEO else 0
                yield EncodedChunk(replace(about, captured_ms=about.captured_ms + late), features_of(modality, second), None)


def features_of(modality: Modality, second: int) -> Features:
    """A word in the middle of the second, 10 segments of sound, 5 frames with a face."""
    start = second * 1000
    if modality is Modality.TEXT:
        return TextFeatures((Word("word", start + 400, start + 600),))
    step = 100 if modality is Modality.AUDIO else 200
    spans = np.array([[at, at + step] for at in range(start, start + 1000, step)], np.int64)
    embeddings = np.zeros((len(spans), WIDTHS[modality]), np.float32)
    if modality is Modality.AUDIO:
        return AudioFeatures(spans, embeddings, np.ones(len(spans), np.bool_))
    return VideoFeatures(spans, embeddings, np.zeros((len(spans), 4), np.float32), 1, len(spans))


def aligner(**options: Any) -> TrackAligner[None]:
    return TrackAligner(TRACK, "customer", 0, POLICY, **({"expected": (), "final_until_ms": None, "now": 0} | options))


def windows(chunks: Iterable[EncodedChunk[None]], aligned: TrackAligner[None] | None = None) -> list[Window]:
    """All final windows."""
    aligned = aligned or aligner()
    closed = [c for chunk in chunks for c in aligned.on_chunk(chunk, 0).closed]
    return [c.window for c in [*closed, *aligned.end(None).closed]]


def skew_of(window: Window) -> ClockSkew:
    return window.clock_skews[Modality.VIDEO]


def residual_ms(scene: Scene, window: Window) -> float:
    return abs(skew_of(window).at(window.end_ms) - scene.skew_ms(window.end_ms))


def frames(window: Window) -> list[tuple[int, int]]:
    return [(int(start), int(end)) for chunk in window.video for start, end in chunk.spans_ms]


def an_offset_is_corrected_to_within_40_ms() -> None:
    for offset_ms in (150.0, -150.0, 0.0):
        for seed in range(40):
            scene = Scene(offset_ms, seed=seed)
            found = windows(scene.chunks(40))
            assert residual_ms(scene, found[0]) <= 70
            assert max(residual_ms(scene, w) for w in found if w.end_ms >= SETTLED_MS) <= 40


def a_drift_is_followed_for_an_hour() -> None:
    for drift_ppm in (200.0, -200.0):
        scene = Scene(100.0, drift_ppm)
        found = windows(scene.chunks(3600, (Modality.AUDIO, Modality.VIDEO)))
        assert max(residual_ms(scene, w) for w in found if w.end_ms >= SETTLED_MS) <= 40
        assert skew_of(found[-1]).drift_ppm == pytest.approx(drift_ppm, abs=20)
        assert found[-1].clock_skews


def a_drift_is_extrapolated_while_the_camera_is_off() -> None:
    for seed in range(5):
        scene = Scene(0.0, 200.0, seed=seed, gap=range(900, 1500))
        found = windows(scene.chunks(1800, (Modality.AUDIO, Modality.VIDEO)))
        assert max(residual_ms(scene, w) for w in found if w.end_ms >= SETTLED_MS) <= 40


def a_step_is_accepted_after_some_windows() -> None:
    before, after = Scene(0.0), Scene(400.0)
    chunks = [*before.chunks(100), *(c for c in after.chunks(160) if c.header.start_ms >= 100_000)]
    found = {w.end_ms: w for w in windows(chunks)}
    assert residual_ms(before, found[102_000]) <= 40
    assert residual_ms(after, found[100_000 + 2000 * clock_skew.STEP_AFTER + 4000]) <= 40


def a_stalled_camera_changes_nothing() -> None:
    scene = Scene(100.0, noisy=False)
    stalled = range(40, 44)
    chunks = [
        structs.replace(c, header=replace(c.header, captured_ms=c.header.captured_ms + 2000))
        if c.header.modality is Modality.VIDEO and c.header.seq in stalled
        else c
        for c in scene.chunks(60)
    ]
    assert max(residual_ms(scene, w) for w in windows(chunks)) <= 5


def an_error_of_both_clocks_is_not_skew() -> None:
    scene = Scene(0.0, noisy=False)
    for faster, jump_ms in ((1.5, 0), (1.0, 5000)):
        chunks = []
        for chunk in scene.chunks(60):
            at_ms = chunk.header.captured_ms
            shared_ms = round(at_ms * faster) + jump_ms * (at_ms > 1_020_000)
            chunks.append(structs.replace(chunk, header=replace(chunk.header, captured_ms=shared_ms)))
        assert max(residual_ms(scene, w) for w in windows(chunks)) <= 1


def frames_are_moved_to_match_the_sound() -> None:
    for offset_ms, first in ((150.0, (150, 350)), (-150.0, (0, 50)), (0.0, (0, 200))):
        window = windows(Scene(offset_ms, noisy=False).chunks(10))[0]
        assert frames(window)[0] == first
        assert frames(window)[15] == (3000 + offset_ms, 3200 + offset_ms)
        assert int(window.audio[0].spans_ms[0, 0]) == 0
        assert window.words()[0].start_ms == 400


def a_skew_beyond_the_limit_is_flagged_but_not_corrected() -> None:
    for offset_ms, first in ((1000.0, 1000), (1001.0, 0), (-90_000.0, 0)):
        window = windows(Scene(offset_ms, noisy=False).chunks(10))[0]
        assert frames(window)[0][0] == first
        assert window.warnings == (WarningCode.SYNC_SUSPECT,)


def a_large_skew_is_flagged() -> None:
    for offset_ms, warnings in ((185.0, ()), (-185.0, ()), (186.0, (WarningCode.SYNC_SUSPECT,)), (-186.0, (WarningCode.SYNC_SUSPECT,))):
        chunks = list(Scene(offset_ms, noisy=False).chunks(10))
        partials = [p for chunk in chunks for p in partials_after(chunks, chunk)]
        assert {w.warnings for w in windows(chunks)} == {warnings}
        assert {p.warnings for p in partials if p.video} == {warnings}


def partials_after(chunks: list[EncodedChunk[None]], until: EncodedChunk[None]) -> tuple[Window, ...]:
    """Partial windows that a chunk leads to, after the chunks before it."""
    aligned = aligner()
    for chunk in chunks:
        partial = aligned.on_chunk(chunk, 0).partial
        if chunk is until:
            return partial
    return ()


def each_chunk_is_compared_once() -> None:
    found = windows(Scene().chunks(20))
    assert [skew_of(w).samples for w in found[:3]] == [4, 6, 8]


CHECKS = (
    an_offset_is_corrected_to_within_40_ms,
    a_drift_is_followed_for_an_hour,
    a_drift_is_extrapolated_while_the_camera_is_off,
    a_step_is_accepted_after_some_windows,
    a_stalled_camera_changes_nothing,
    an_error_of_both_clocks_is_not_skew,
    frames_are_moved_to_match_the_sound,
    a_skew_beyond_the_limit_is_flagged_but_not_corrected,
    a_large_skew_is_flagged,
    each_chunk_is_compared_once,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_pictures_are_kept_in_step_with_the_sound(check: Callable[[], None]) -> None:
    check()


def _newest(values: list[int]) -> int:
    return values[-1]


MUTANTS = (
    ("no drift", clock_skew, "DRIFT_PPM2", 0.0, a_drift_is_extrapolated_while_the_camera_is_off),
    ("too small a limit for the drift", clock_skew, "MAX_DRIFT_PPM", 50.0, a_drift_is_followed_for_an_hour),
    ("use the newest capture time", clock_skew, "_lower_median", _newest, an_offset_is_corrected_to_within_40_ms),
    ("take no measurement for an outlier", clock_skew, "GATE", 1e9, a_stalled_camera_changes_nothing),
    ("accept a step at once", clock_skew, "STEP_AFTER", 1, a_stalled_camera_changes_nothing),
    ("never accept a step", clock_skew, "STEP_AFTER", 10**9, a_step_is_accepted_after_some_windows),
    ("pair any chunks", clock_skew, "MAX_CHUNK_MS", -1, an_offset_is_corrected_to_within_40_ms),
    ("correct nothing", track, "correction_ms", lambda *_: 0, frames_are_moved_to_match_the_sound),
    (
        "correct without limit",
        track,
        "correction_ms",
        lambda skew, at, _max: clock_skew.correction_ms(skew, at, 10**9),
        a_skew_beyond_the_limit_is_flagged_but_not_corrected,
    ),
    ("move the wrong way", track, "moved", lambda features, shift: clock_skew.moved(features, -shift), frames_are_moved_to_match_the_sound),
    ("no warning", track, "is_suspect", lambda *_: False, a_large_skew_is_flagged),
)


@pytest.mark.parametrize(("where", "name", "broken", "guard"), [m[1:] for m in MUTANTS], ids=[m[0] for m in MUTANTS])
def test_a_broken_rule_is_noticed(where: Any, name: str, broken: Any, guard: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(where, name, broken)
    with pytest.raises((AssertionError, KeyError)):
        guard()


@pytest.mark.parametrize("modalities", [(Modality.TEXT,), (Modality.AUDIO,), (Modality.VIDEO,), (Modality.TEXT, Modality.VIDEO)])
def test_without_both_sound_and_picture_there_is_no_skew(modalities: tuple[Modality, ...]) -> None:
    for window in windows(Scene(400.0).chunks(10, modalities)):
        assert not window.clock_skews
        assert not window.warnings
        assert all(start % 200 == 0 for start, _ in frames(window))


def test_a_chunk_is_compared_with_the_audio_chunk_that_ends_nearest() -> None:
    audio = [(1000, 50_000), (2000, 50_010), (3000, 50_020)]
    assert clock_skew.measure(audio, [(2033, 50_110)]) == (100, 2033, 1)
    assert clock_skew.measure(audio, [(4000, 50_110)]) == (90, 4000, 1)
    assert clock_skew.measure(audio, [(4001, 50_110)]) is None


def test_a_chunk_that_could_not_be_decoded_is_not_compared() -> None:
    """Its record is acknowledged at once, so a replay does not see it."""
    chunks = [structs.replace(c, features=None) if c.header.seq == 2 else c for c in Scene().chunks(10)]
    assert skew_of(windows(chunks)[0]).samples == 3


def test_a_replay_continues_with_the_same_estimates() -> None:
    chunks = list(Scene(150.0, 200.0).chunks(60))
    whole = windows(chunks)
    final = next(w for w in whole if w.end_ms == 30_000)
    successor = aligner(final_until_ms=30_000, clock_skews=decode_skews(encode_skews(final.clock_skews)))
    replayed = windows((c for c in chunks if c.header.end_ms > 28_000), successor)
    assert [w.clock_skews for w in replayed] == [w.clock_skews for w in whole if w.end_ms > 30_000]
    assert len(replayed) == 16


def test_frames_that_end_before_media_time_0_stay_before_it() -> None:
    features = features_of(Modality.VIDEO, 0)
    assert isinstance(features, VideoFeatures)
    moved = clock_skew.moved(features, -250)
    assert moved.spans_ms[:2].tolist() == [[-250, -50], [0, 150]]
    assert features.spans_ms[0, 0] == 0
