"""Shapes and rates of everything the encoders take in: the one place where they are numbers."""

from __future__ import annotations

SAMPLE_RATE = 16_000
"""Samples a second of all audio after decoding."""

SEGMENT_MS = 100
"""One audio node."""

BLOCK_MS = 1_000
"""The audio encoder's input: one block of a second."""

MEL_BINS = 64
MEL_FRAMES = 100
"""Log-mel frames of one block: 25 ms windows every 10 ms."""

SEGMENTS_PER_BLOCK = BLOCK_MS // SEGMENT_MS
SEGMENT_SAMPLES = SAMPLE_RATE * SEGMENT_MS // 1_000
BLOCK_SAMPLES = SAMPLE_RATE * BLOCK_MS // 1_000

FACE_SIZE = 48
"""Side of the square grey face crop."""

WORD_WIDTH = 384
"""Width of a MiniLM token state."""

WORDS_PER_SECOND = 8
AUDIO_PER_SECOND = SEGMENTS_PER_BLOCK
VIDEO_PER_SECOND = 5
"""Nodes that a window has room for, for each second of its length (rounded up)."""
