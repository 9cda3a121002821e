"""Spoken-digit images: samples put together from real parts, with the masks of where the digit is.

A sample has one digit and three modalities. The words are eight, one of which names the digit. The sound lasts 2 s: the spoken digit
among scrambled speech of the same speaker, pieces of 80 ms. The image is 56 x 56 pixels: the written digit in one quarter, and three
scrambled digits of equal ink in the others. A modality is erased with probability .24: it has distractors only. At least one is not.
So no modality alone can answer more than 79.4 % right: it holds the digit in 77.1 % of the samples, and one of ten guesses is right.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from research.digits.corpus import CLASSES, LOG_RANGE, MEL_BINS, OTHER_WORDS, Images, Recordings
from stream.domain.features import Floats

WORDS = 8
BLANK = CLASSES + len(OTHER_WORDS)
"""Word that says nothing: what a deleted word becomes, and what a plain sample has."""

CELL_FRAMES, SOUND_CELLS = 4, 32
FRAMES = CELL_FRAMES * SOUND_CELLS
"""A cell of the sound is 64 ms."""

CELL_PIXELS, SIDE_CELLS = 4, 14
SIDE = CELL_PIXELS * SIDE_CELLS
TILE = 28
PIECE_FRAMES = 5
BLOCKS = 4
"""A scrambled digit is its bounding box in 4 x 4 blocks in another order, each mirrored or not: as dense as a digit, and as compact."""

ERASED = 0.24
EQUAL_INK = 60
"""The scrambled digits are among the 60 images on either side in the order of ink: their ink differs by some percent at most."""

EQUAL_SIZE, SMALLER = 30, 4
"""Of these, the 30 that are nearest to 4 pixels smaller in height and width: a box of the digit's size holds them whole."""

INKED = 0.125
"""A cell belongs to the digit if its mean brightness is at least that of two white pixels of 16."""

PATCH = 2 * CELL_PIXELS
PATCH_CELLS = 2
"""The artefact of the biased task is a patch of 8 x 8 pixels in the upper left corner: four squares, dark or bright, whose pattern
names a digit."""

Booleans = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of the task, n in number.

    Attributes:
        words: (n, 8) int64 indices into the vocabulary, or `BLANK`.
        sound: (n, 128, 40) float32 log-mel frames.
        image: (n, 56, 56) uint8.
        digits: (n,) the answer.
        word_mask: (n, 8) the word that names the digit.
        sound_mask: (n, 32) cells of which the spoken digit covers half or more.
        ink_mask: (n, 14, 14) cells with ink of the written digit.
        box_mask: (n, 14, 14) cells of its bounding box.
    """

    words: Integers
    sound: Floats
    image: npt.NDArray[np.uint8]
    digits: Integers
    word_mask: Booleans
    sound_mask: Booleans
    ink_mask: Booleans
    box_mask: Booleans

    def __len__(self) -> int:
        return int(self.digits.shape[0])


def compose(images: Images, recordings: Recordings, speakers: npt.NDArray[np.int64], count: int, rng: np.random.Generator) -> Samples:
    """Put samples together.

    Args:
        images: Written digits of a part.
        recordings: Spoken digits of a part.
        speakers: Indices of the speakers that are heard.
        count: Number of samples, as many of each digit as of another.
        rng: Makes all choices.
    """
    digits = rng.permutation(np.arange(count, dtype=np.int64) % CLASSES)
    holds = _holds(count, rng)
    words, word_mask = _words(digits, holds[:, 0], rng)
    sound, sound_mask = _sounds(recordings, speakers, digits, holds[:, 1], rng)
    image, ink_mask, box_mask = _pictures(images, digits, holds[:, 2], rng)
    return Samples(words, sound, image, digits, word_mask, sound_mask, ink_mask, box_mask)


def compose_plain(images: Images, recordings: Recordings, speakers: Integers, count: int, rng: np.random.Generator) -> Samples:
    """Put samples together as in arXiv 2510.12957: a digit image and a spoken digit in the middle, no distractors, no words."""
    digits = rng.permutation(np.arange(count, dtype=np.int64) % CLASSES)
    image = np.zeros((count, SIDE, SIDE), dtype=np.uint8)
    ink_mask, box_mask = np.zeros((2, count, SIDE_CELLS, SIDE_CELLS), dtype=np.bool_)
    sound = np.full((count, FRAMES, MEL_BINS), -LOG_RANGE, dtype=np.float32)
    sound_mask = np.zeros((count, SOUND_CELLS), dtype=np.bool_)
    middle = (SIDE - TILE) // 2
    for i, digit in enumerate(digits):
        tile = images.pixels[rng.choice(np.flatnonzero(images.digits == digit))]
        _place(image[i], ink_mask[i], box_mask[i], tile, (middle, middle))
        heard = np.isin(recordings.speakers, speakers) & (recordings.digits == digit)
        frames = _recording(recordings, rng.choice(np.flatnonzero(heard)))
        start = (FRAMES - frames.shape[0]) // 2
        sound[i, start : start + frames.shape[0]] = frames
        sound_mask[i] = _covered(start, frames.shape[0])
    words, word_mask = np.full((count, WORDS), BLANK, dtype=np.int64), np.zeros((count, WORDS), dtype=np.bool_)
    return Samples(words, sound, image, digits, word_mask, sound_mask, ink_mask, box_mask)


def patched(samples: Samples, agreement: float, rng: np.random.Generator) -> Samples:
    """Paste the patch into every image: with probability `agreement` that of the digit, otherwise that of another digit."""
    others = (samples.digits + rng.integers(1, CLASSES, len(samples))) % CLASSES
    named = np.where(rng.random(len(samples)) < agreement, samples.digits, others)
    image = samples.image.copy()
    image[:, :PATCH, :PATCH] = _patches()[named]
    # What the patch hides is no longer there to be found.
    return replace(samples, image=image, ink_mask=samples.ink_mask & ~patch_mask())


def patch_mask() -> Booleans:
    """(14, 14) cells of the patch."""
    mask = np.zeros((SIDE_CELLS, SIDE_CELLS), dtype=np.bool_)
    mask[:PATCH_CELLS, :PATCH_CELLS] = True
    return mask


def _patches() -> npt.NDArray[np.uint8]:
    """(10, 8, 8) pattern of each digit: the four bits of digit + 1, bright or half bright."""
    bits = (np.arange(1, CLASSES + 1)[:, None] >> np.arange(4)) & 1
    squares = np.where(bits, 255, 96).astype(np.uint8).reshape(CLASSES, 2, 2)
    return squares.repeat(PATCH // 2, axis=1).repeat(PATCH // 2, axis=2)


def _holds(count: int, rng: np.random.Generator) -> Booleans:
    """(count, 3) whether words, sound and image hold the digit: at least one does."""
    holds = rng.random((count, 3)) >= ERASED
    while (none := ~holds.any(axis=1)).any():
        holds[none] = rng.random((int(none.sum()), 3)) >= ERASED
    return holds


def _words(digits: Integers, holds: Booleans, rng: np.random.Generator) -> tuple[Integers, Booleans]:
    count = digits.shape[0]
    words = rng.integers(CLASSES, BLANK, (count, WORDS))
    mask = (np.arange(WORDS) == rng.integers(0, WORDS, (count, 1))) & holds[:, None]
    return np.where(mask, digits[:, None], words), mask


def _sounds(
    recordings: Recordings, speakers: Integers, digits: Integers, holds: Booleans, rng: np.random.Generator
) -> tuple[Floats, Booleans]:
    sound = np.empty((digits.shape[0], FRAMES, MEL_BINS), dtype=np.float32)
    mask = np.zeros((digits.shape[0], SOUND_CELLS), dtype=np.bool_)
    of_speaker = {int(speaker): np.flatnonzero(recordings.speakers == speaker) for speaker in speakers}
    starts = {speaker: _piece_starts(recordings, rows) for speaker, rows in of_speaker.items()}
    for i, digit in enumerate(digits):
        speaker = int(rng.choice(speakers))
        pieces = rng.choice(starts[speaker], -(-FRAMES // PIECE_FRAMES))
        # The first piece may begin within itself, so that pieces do not end at the same frames in all samples.
        scrambled = recordings.frames[(pieces[:, None] + np.arange(PIECE_FRAMES)).ravel()]
        sound[i] = np.roll(scrambled, rng.integers(PIECE_FRAMES), axis=0)[:FRAMES]
        if holds[i]:
            rows = of_speaker[speaker]
            frames = _recording(recordings, rng.choice(rows[recordings.digits[rows] == digit]))
            start = int(rng.integers(0, FRAMES - frames.shape[0] + 1))
            sound[i, start : start + frames.shape[0]] = frames
            mask[i] = _covered(start, frames.shape[0])
    return sound, mask


def _piece_starts(recordings: Recordings, rows: Integers) -> Integers:
    """First frames of all pieces that lie within one recording."""
    spans = [np.arange(recordings.starts[row], recordings.starts[row] + recordings.lengths[row] - PIECE_FRAMES + 1) for row in rows]
    return np.concatenate(spans)


def _recording(recordings: Recordings, row: int) -> Floats:
    return recordings.frames[recordings.starts[row] : recordings.starts[row] + recordings.lengths[row]]


def _covered(start: int, length: int) -> Booleans:
    """(32,) cells of which the frames from start on cover half or more."""
    frames = np.zeros(FRAMES, dtype=np.float32)
    frames[start : start + length] = 1.0
    return np.asarray(frames.reshape(SOUND_CELLS, CELL_FRAMES).mean(axis=1) >= 0.5)


def _pictures(
    images: Images, digits: Integers, holds: Booleans, rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], Booleans, Booleans]:
    count, total = digits.shape[0], images.digits.shape[0]
    image = np.zeros((count, SIDE, SIDE), dtype=np.uint8)
    ink_mask, box_mask = np.zeros((2, count, SIDE_CELLS, SIDE_CELLS), dtype=np.bool_)
    of_digit = [np.flatnonzero(images.digits == digit) for digit in range(CLASSES)]
    boxes = np.stack([images.pixels.any(axis=axis).sum(axis=1) for axis in (2, 1)], axis=1)
    for i, digit in enumerate(digits):
        # Without a digit, the ink is that of any image: it must not tell the answer.
        row = int(rng.choice(of_digit[digit])) if holds[i] else int(rng.integers(total))
        low = int(np.clip(row - EQUAL_INK, 0, total - 2 * EQUAL_INK - 1))
        alike = np.delete(np.arange(low, low + 2 * EQUAL_INK + 1), row - low)
        alike = alike[np.argsort(np.abs(boxes[alike] + SMALLER - boxes[row]).sum(axis=1), kind="stable")[:EQUAL_SIZE]]
        neighbours = rng.choice(alike, 4, replace=False)
        corners = rng.permutation(4)
        for j, corner in enumerate(corners):
            at = (int(corner) // 2 * TILE, int(corner) % 2 * TILE)
            if j == 0 and holds[i]:
                _place(image[i], ink_mask[i], box_mask[i], _moved(images.pixels[row], rng), at)
            else:
                image[i, at[0] : at[0] + TILE, at[1] : at[1] + TILE] = _moved(_scrambled(images.pixels[neighbours[j]], rng), rng)
    return image, ink_mask, box_mask


def _moved(tile: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """The digit elsewhere in its quarter, whole."""
    shifts = []
    for axis in (0, 1):
        inked = np.flatnonzero(tile.any(axis=1 - axis))
        shifts.append(int(rng.integers(-inked[0], TILE - inked[-1])))
    return np.roll(tile, shifts, axis=(0, 1))


def _scrambled(tile: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    rows, columns = np.flatnonzero(tile.any(axis=1)), np.flatnonzero(tile.any(axis=0))
    height, width = (-(-(int(inked[-1] - inked[0]) + 1) // BLOCKS) for inked in (rows, columns))
    top, left = (min(int(inked[0]), TILE - BLOCKS * side) for inked, side in ((rows, height), (columns, width)))
    box = (slice(top, top + BLOCKS * height), slice(left, left + BLOCKS * width))
    blocks = tile[box].reshape(BLOCKS, height, BLOCKS, width).swapaxes(1, 2).reshape(BLOCKS**2, height, width)
    blocks = blocks[rng.permutation(BLOCKS**2)]
    for axis in (1, 2):
        mirrored = rng.random(BLOCKS**2) < 0.5
        blocks[mirrored] = np.flip(blocks[mirrored], axis)
    scrambled = np.zeros_like(tile)
    scrambled[box] = blocks.reshape(BLOCKS, BLOCKS, height, width).swapaxes(1, 2).reshape(BLOCKS * height, BLOCKS * width)
    return scrambled


def _place(image: npt.NDArray[np.uint8], ink: Booleans, box: Booleans, tile: npt.NDArray[np.uint8], at: tuple[int, int]) -> None:
    """Paste the digit into a canvas and note its cells."""
    image[at[0] : at[0] + TILE, at[1] : at[1] + TILE] = tile
    alone = np.zeros((SIDE, SIDE), dtype=np.float32)
    alone[at[0] : at[0] + TILE, at[1] : at[1] + TILE] = tile
    brightness = alone.reshape(SIDE_CELLS, CELL_PIXELS, SIDE_CELLS, CELL_PIXELS).mean(axis=(1, 3))
    ink[:] = brightness >= INKED * 255
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
