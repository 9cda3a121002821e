"""Rated sentences: read from their archive, refused when it is another one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from stream.training.corpora import Part
from stream.training.errors import TrainingError
from stream.training.rated_sentences import ARCHIVE, FILES, HELD_OUT, read_rated_sentences
from tests.support.tiny_rated_sentences import RATINGS, write_rated_sentences


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return write_rated_sentences(tmp_path, monkeypatch)


def test_ratings_become_scores(data: Path) -> None:
    sentences = read_rated_sentences(data, data / "downloads")
    assert len(sentences) == len(RATINGS) * len(FILES)
    assert [sentence.score for sentence in sentences[:3]] == pytest.approx([3.0, -3.0, 0.15])
    assert [sentence.polarity for sentence in sentences[:4]] == [2, 0, 1, 2]
    assert [sentence.part for sentence in sentences[:2]] == [Part.VALIDATION, Part.TRAIN]
    assert len({sentence.group for sentence in sentences}) == len(sentences)
    assert HELD_OUT > 1


def test_every_other_sentence_is_as_a_recogniser_writes_it(data: Path) -> None:
    assert [sentence.text for sentence in read_rated_sentences(data, data / "downloads")[:2]] == ["it's great, 0!", "it's great 1"]


def test_another_archive_is_refused(data: Path) -> None:
    (data / "vader" / ARCHIVE).write_bytes(b"something else")
    with pytest.raises(TrainingError, match="has a wrong checksum"):
        read_rated_sentences(data, data / "downloads")


def test_without_a_registry_the_error_says_what_to_do(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "vader" / ARCHIVE).unlink()
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1))
    with pytest.raises(TrainingError, match=f"put {ARCHIVE} into"):
        read_rated_sentences(data, data / "downloads")
