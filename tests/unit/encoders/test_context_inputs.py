from __future__ import annotations

import msgspec
import numpy as np
import pytest
from msgspec import structs

from stream.domain.context import CONTEXT_WINDOWS, ContextFeatures, decode_context, encode_context, packed_mean
from stream.domain.features import WIDTHS
from stream.domain.media_format import WORD_WIDTH
from stream.domain.modality import Modality
from stream.encoders.context_inputs import contribution, with_context
from stream.encoders.window_inputs import build
from tests.fakes.windows import make_window

TEXT, AUDIO, VIDEO = Modality.TEXT, Modality.AUDIO, Modality.VIDEO


def features(track: str, end_ms: int, **means: float) -> ContextFeatures:
    return ContextFeatures(
        track,
        0,
        end_ms,
        {Modality(name): packed_mean(np.full((1, WIDTHS[Modality(name)]), value, np.float32)) for name, value in means.items()},
    )


def test_a_window_contributes_the_means_of_its_nodes() -> None:
    window = make_window(["well", "then"], segments=3)
    states = np.stack([np.full(384, 1.0, np.float32), np.full(384, 2.0, np.float32)])
    contributed = contribution(window, build(window, states))
    assert contributed.window == ("customer", 4000, 5000)
    assert set(contributed.means) == {TEXT, AUDIO}
    mean = contributed.mean(TEXT)
    assert mean is not None
    assert mean.tolist() == [1.5] * 384
    assert contributed.mean(VIDEO) is None
    assert decode_context(encode_context(contributed)) == contributed


@pytest.mark.parametrize("value", [3e38, -3e38])
def test_means_are_finite_whatever_a_producer_sends(value: float) -> None:
    mean = ContextFeatures("t", 0, 1, {TEXT: packed_mean(np.full((2, 384), value, np.float32))}).mean(TEXT)
    assert mean is not None
    assert np.isfinite(mean).all()


def test_context_windows_keep_their_order() -> None:
    window = make_window(["well"])
    alone = build(window, np.zeros((1, 384), np.float32))
    assert not alone.past_mask.any()
    inputs = with_context(
        alone, window, [features("agent", 4000, text=1.0, video=2.0), features("customer", 4000), features("customer", 2000, audio=3.0)], []
    )
    assert inputs.past_words.shape == (CONTEXT_WINDOWS, 384)
    assert inputs.past_mask.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert inputs.past_same.tolist() == [0, 1, 1, 0]
    assert (inputs.past_words[0, 0], inputs.past_video[0, 0], inputs.past_audio[2, 0]) == (1.0, 2.0, 3.0)
    assert inputs.words is alone.words
    assert inputs.audio.tolist() == alone.audio.tolist()


def heard(track: str, value: float, segments: int) -> ContextFeatures:
    return structs.replace(features(track, 4000, audio=value), segments=segments)


def test_what_is_known_of_the_speaker_is_taken_out_of_the_voice_and_of_the_own_tracks_context() -> None:
    window = make_window(segments=3)
    alone = build(window, np.zeros((0, WORD_WIDTH), np.float32))
    own, other = heard("customer", 3.0, 300), heard("agent", 5.0, 300)
    inputs = with_context(alone, window, [other, own, features("customer", 2000)], [own])
    assert inputs.audio[:3].tolist() == (alone.audio[:3] - 1.0).tolist()
    assert not inputs.audio[3:].any()
    assert inputs.past_audio[:, 0].tolist() == [5.0, 2.0, 0.0, 0.0]
    assert (inputs.audio_mask.tolist(), inputs.video.tolist()) == (alone.audio_mask.tolist(), alone.video.tolist())


def test_a_contribution_is_of_the_voice_as_it_is() -> None:
    window = make_window(segments=3)
    alone = build(window, np.zeros((0, WORD_WIDTH), np.float32))
    contributed = contribution(window, alone)
    assert contributed.segments == 3
    assert contributed.mean(AUDIO) is not None
    assert contribution(window, with_context(alone, window, [], [])) == contributed


def test_a_contribution_of_an_earlier_release_is_read() -> None:
    old = msgspec.json.encode(
        {"track": "customer", "epoch": 0, "end_ms": 4000, "means": {"audio": packed_mean(np.ones((2, 77), np.float32))}}
    )
    read = decode_context(old)
    assert (read.start_ms, read.segments, read.sentence) == (0, 0, None)
    window = make_window(segments=3)
    alone = build(window, np.zeros((0, WORD_WIDTH), np.float32))
    inputs = with_context(alone, window, [read], [read])
    assert inputs.audio.tolist() == alone.audio.tolist()
    assert not inputs.past_mask.any()
