"""A made-up data folder in the form of the four corpora: a few items of every polarity in every part."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import soundfile

EMOTIONS = (("neutral", 0.0), ("happy", 0.8), ("sad", -0.6))
ACTORS = {"train": (1, 2), "validation": (17, 18), "test": (21, 22)}


def write_corpora(folder: Path) -> Path:
    """Write mosi/, meld/, ravdess/ and faces/ below a folder; returns the folder."""
    rng = np.random.default_rng(0)
    _write_mosi(folder / "mosi")
    _write_meld(folder / "meld")
    _write_voices(folder / "ravdess", "actor", [str(actor) for actors in ACTORS.values() for actor in actors], rng)
    _write_faces(folder / "faces", rng)
    return folder


def write_other_voices(folder: Path, names: Iterable[str]) -> None:
    """Write corpora of voices beside RAVDESS, with six speakers each."""
    for number, name in enumerate(names):
        _write_voices(folder / "voices" / name, "speaker", [f"s{speaker}" for speaker in range(6)], np.random.default_rng(number + 1))


def write_meld_with_speakers(folder: Path) -> Path:
    """Write meld/ with two speakers that take turns; returns the folder."""
    _write_meld(folder / "meld")
    for file in (folder / "meld").iterdir():
        lines = file.read_text(encoding="utf-8").splitlines()
        extra = [",Speaker,Utterance_ID", *(f",{'AB'[i % 2]},{i % 3}" for i in range(len(lines) - 1))]
        file.write_text("\n".join(line + more for line, more in zip(lines, extra, strict=True)), encoding="utf-8")
    return folder


def _write_mosi(folder: Path) -> None:
    words = ("TERRIBLE BORING MOVIE", "IT IS A MOVIE", "A WONDERFUL GREAT MOVIE")
    rows = []
    for part in ("train", "valid", "test"):
        for video in range(2):
            for segment, (score, text) in enumerate(zip((-2.0, 0.0, 2.4), words, strict=True)):
                row = {"video": f"{part}{video}", "segment": str(segment), "text": text, "label": str(score), "split_std": part}
                rows.append(row)
    _write_csv(folder / "utterances.csv", rows)


def _write_meld(folder: Path) -> None:
    words = {"negative": "I hate this!", "neutral": "It\u2019s on the table.", "positive": "Oh, lovely!"}
    for part in ("train", "dev", "test"):
        rows = [
            {
                "Utterance": text,
                "Sentiment": sentiment,
                "Dialogue_ID": str(dialogue),
                "Utterance_ID": str(number),
                "Speaker": ("Ann", "Bob")[number % 2],
            }
            for dialogue in range(2)
            for number, (sentiment, text) in enumerate(words.items())
        ]
        _write_csv(folder / f"{part}_sent_emo.csv", rows)


def _write_voices(folder: Path, column: str, speakers: Iterable[str], rng: np.random.Generator) -> None:
    (folder / "ogg16k").mkdir(parents=True)
    rows = []
    for speaker in speakers:
        for emotion, valence in EMOTIONS:
            file = f"{emotion}-{speaker}.ogg"
            times = np.arange(16_000) / 16_000
            tone = 0.3 * np.sin(2 * np.pi * (200 + 300 * (valence + 1)) * times) + 0.01 * rng.standard_normal(times.size)
            soundfile.write(folder / "ogg16k" / file, tone, 16_000, format="OGG", subtype="OPUS")
            rows.append({"file": file, "emotion": emotion, "valence": str(valence), column: speaker})
    _write_csv(folder / "labels.csv", rows)


def _write_faces(folder: Path, rng: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    per_part = 12
    labels = np.tile(np.arange(3), 3 * per_part // 3).astype(np.uint8)
    images = [cv2.imencode(".jpg", rng.integers(0, 80, (48, 48), dtype=np.uint8) + np.uint8(60 * label))[1].tobytes() for label in labels]
    flags = np.zeros(labels.size, dtype=bool)
    np.savez(
        folder / "fer2013_jpeg.npz",
        labels=labels,
        usage=np.repeat(np.arange(3), per_part).astype(np.uint8),
        near_blank=flags,
        label_conflict=flags,
        copy_in_train=flags,
        class_valence=np.array([valence for _, valence in EMOTIONS]),
        jpeg_header=np.zeros(0, dtype=np.uint8),
        jpeg_body=np.frombuffer(b"".join(images), dtype=np.uint8),
        offsets=np.cumsum([0, *(len(image) for image in images)]),
    )


def _write_csv(file: Path, rows: Iterable[dict[str, str]]) -> None:
    listed = list(rows)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(listed[0]))
        writer.writeheader()
        writer.writerows(listed)
