"""Rated sentences: read from their archive, refused when it is another one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from stream.training.corpora import Part
from stream.training.experiments.config import ExperimentError
from stream.training.experiments.reviews import ARCHIVE, FILES, HELD_OUT, read_reviews
from tests.support.tiny_reviews import RATINGS, write_reviews


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return write_reviews(tmp_path, monkeypatch)


def test_ratings_become_scores_and_meld_comes_along(data: Path) -> None:
    corpus = read_reviews(data, data / "downloads")
    rated = ~np.isnan(corpus.scores)
    assert rated.sum() == len(RATINGS) * len(FILES)
    assert corpus.scores[:3].tolist() == pytest.approx([3.0, -3.0, 0.15])
    assert corpus.polarities[:4].tolist() == [2, 0, 1, 2]
    assert len(corpus) == len(RATINGS) * len(FILES) + 18
    assert [corpus.parts[place] for place in range(2)] == [Part.VALIDATION, Part.TRAIN]
    assert all(rated[row] or corpus.ids[row].startswith("test") for row in corpus.rows(Part.TEST))
    assert HELD_OUT > 1


def test_every_other_sentence_is_as_a_recogniser_writes_it(data: Path) -> None:
    assert read_reviews(data, data / "downloads").texts[:2] == ("it's great, 0!", "it's great 1")


def test_another_archive_is_refused(data: Path) -> None:
    (data / "vader" / ARCHIVE).write_bytes(b"something else")
    with pytest.raises(ExperimentError, match="is not the file that is known"):
        read_reviews(data, data / "downloads")


def test_without_a_registry_the_error_says_what_to_do(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "vader" / ARCHIVE).unlink()
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1))
    with pytest.raises(ExperimentError, match=f"put {ARCHIVE} into"):
        read_reviews(data, data / "downloads")
