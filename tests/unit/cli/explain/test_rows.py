from __future__ import annotations

import numpy as np
import pytest

from stream.cli.explain.rows import rows_of
from stream.domain.modality import Modality
from tests.fakes.windows import AUDIO_NODES, VIDEO_NODES, WORD_NODES, make_inputs, make_window

ROWS = rows_of(make_inputs(make_window(["so", "good"], 8, 4)))


def test_rows_have_every_node_once() -> None:
    words, voice, faces = (range(2), range(WORD_NODES, WORD_NODES + 8), range(WORD_NODES + AUDIO_NODES, WORD_NODES + AUDIO_NODES + 4))
    assert [node for row in ROWS for node in row.nodes] == [*words, *voice, *faces]


def test_voice_and_faces_are_joined_up_to_a_length() -> None:
    spans = [(row.modality, row.start_ms, row.end_ms) for row in ROWS]
    assert spans == [
        (Modality.TEXT, 4000, 4100),
        (Modality.TEXT, 4100, 4200),
        (Modality.AUDIO, 4000, 4500),
        (Modality.AUDIO, 4500, 4800),
        (Modality.VIDEO, 4000, 4800),
    ]


def test_the_shares_of_all_rows_add_up_to_one_if_all_have_one_sign() -> None:
    relevance = np.zeros(WORD_NODES + AUDIO_NODES + VIDEO_NODES, np.float32)
    assert [row.share(relevance) for row in ROWS] == [0.0] * len(ROWS)
    for row in ROWS:
        relevance[list(row.nodes)] = -0.5
    assert sum(row.share(relevance) for row in ROWS) == pytest.approx(-1.0)
    assert ROWS[2].value(relevance) == pytest.approx(-2.5)
