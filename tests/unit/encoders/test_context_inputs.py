from __future__ import annotations

import numpy as np
import pytest

from stream.domain.context import CONTEXT_WINDOWS, ContextFeatures, decode_context, encode_context, packed_mean
from stream.domain.modality import Modality
from stream.encoders.context_inputs import contribution, with_context
from stream.encoders.window_inputs import build
from tests.fakes.windows import make_window

TEXT, AUDIO, VIDEO = Modality.TEXT, Modality.AUDIO, Modality.VIDEO


def features(track: str, end_ms: int, **means: float) -> ContextFeatures:
    widths = {"text": 384, "audio": 64, "video": 64}
    return ContextFeatures(
        track, 0, end_ms, {Modality(name): packed_mean(np.full((1, widths[name]), value, np.float32)) for name, value in means.items()}
    )


def test_a_window_contributes_the_means_of_its_nodes() -> None:
    window = make_window(["well", "then"], segments=3)
    states = np.stack([np.full(384, 1.0, np.float32), np.full(384, 2.0, np.float32)])
    contributed = contribution(window, build(window, states))
    assert contributed.window == ("customer", 5000)
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
        alone, window, [features("agent", 4000, text=1.0, video=2.0), features("customer", 4000), features("customer", 2000, audio=3.0)]
    )
    assert inputs.past_words.shape == (CONTEXT_WINDOWS, 384)
    assert inputs.past_mask.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert inputs.past_same.tolist() == [0, 1, 1, 0]
    assert (inputs.past_words[0, 0], inputs.past_video[0, 0], inputs.past_audio[2, 0]) == (1.0, 2.0, 3.0)
    assert inputs.words is alone.words
