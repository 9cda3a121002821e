"""Evidence comes from the right nodes, merged and ranked."""

from __future__ import annotations

import numpy as np

from stream.domain.evidence import SpanEvidence
from stream.domain.result import AttentionShare
from stream.explain.evidence import TOP_WORDS, attention_share, gather, merge_spans
from tests.fakes.windows import START_MS, make_inference, make_inputs, make_window

FLAT = [0.0] * 8


def test_each_modality_reads_its_own_nodes_and_skips_the_padding() -> None:
    window = make_window(["good", "bad"], segments=3, frames=2)
    evidence = gather(
        make_inputs(window), make_inference(FLAT, words=[0.5, -1.0], audio=[0.1, 0.2, -0.3], video=[0.0, 0.7]), window.words()
    )
    assert [(w.text, w.relevance) for w in evidence.words] == [("bad", -1.0), ("good", 0.5)]
    assert evidence.audio_spans == (SpanEvidence(START_MS, START_MS + 200, 0.3), SpanEvidence(START_MS + 200, START_MS + 300, -0.3))
    assert evidence.video_frames == (SpanEvidence(START_MS + 200, START_MS + 400, 0.7),)


def test_only_the_strongest_words_are_kept_and_ties_go_by_time() -> None:
    window = make_window([f"w{i}" for i in range(8)])
    evidence = gather(make_inputs(window), make_inference(FLAT, words=[0.1, -0.2, 0.2, 0.1, 0.1, 0.05, 0.1, 0.3]), window.words())
    assert [w.text for w in evidence.words] == ["w7", "w1", "w2", "w0", "w3"]
    assert len(evidence.words) == TOP_WORDS


def test_spans_join_only_if_they_touch_and_have_the_same_sign() -> None:
    spans = [((0, 100), 0.25), ((100, 200), 0.5), ((300, 400), 0.5), ((400, 500), -0.5)]
    assert list(merge_spans(reversed(spans))) == [((0, 200), 0.75), ((300, 400), 0.5), ((400, 500), -0.5)]


def test_the_attention_share_is_weighted_by_the_size_of_the_relevance() -> None:
    relevance, causal = np.array([3.0, -1.0], np.float32), np.array([1.0, 0.0], np.float32)
    assert attention_share(relevance, causal) == AttentionShare(0.75, 0.25)
    assert attention_share(np.zeros(2, np.float32), causal) == AttentionShare(0.5, 0.5)
    assert attention_share(np.zeros(0, np.float32), np.zeros(0, np.float32)) is None


def test_padding_does_not_count_in_the_attention_share() -> None:
    window = make_window(["good"], segments=1)
    evidence = gather(make_inputs(window), make_inference(FLAT, words=[0.0], audio=[0.0], causal=0.25), window.words())
    assert evidence.attention_share == AttentionShare(0.25, 0.75)
