"""Every rate, size and width of the media and of the features made from it, each in one place."""

from __future__ import annotations

MAX_CHUNK_BYTES = 900_000
"""Largest payload of a chunk: with its headers a record stays below Kafka's default limit of 1 MiB."""

MAX_RECORD_BYTES = MAX_CHUNK_BYTES + 64 * 1024
"""What topics must take: a record holds a chunk with its key and headers; a dead letter holds the record with its reason."""

MAX_CHUNK_MS = 1_000
"""Most media in one chunk."""

MAX_SESSION_MS = 7 * 24 * 3600 * 1000
"""A session's media time ends after a week: a later timestamp is a broken clock, not a conversation."""

MAX_DECODED_MS = MAX_CHUNK_MS + 200
"""Most media that a container in a chunk may decode to: codecs pad to whole frames and add priming samples."""

SAMPLE_RATE = 16_000
"""Samples a second of all audio after decoding."""

FULL_SCALE = 32_768.0
"""Divisor that maps int16 samples to [-1, 1). A power of two: the quotient is exact."""

SEGMENT_MS = 100
"""One audio node."""

BLOCK_MS = 1_000
"""The audio encoder's input: one block of a second."""

MEL_BINS = 80
MEL_FRAMES = 100
"""Log-mel frames of one block: 25 ms windows every 10 ms."""

FEATURE_STEPS = 50
FEATURE_WIDTH = 384
"""The audio encoder's frozen features of one block: one row every 20 ms, as wide as Whisper tiny's states."""

SEGMENTS_PER_BLOCK = BLOCK_MS // SEGMENT_MS
SEGMENT_SAMPLES = SAMPLE_RATE * SEGMENT_MS // 1_000
BLOCK_SAMPLES = SAMPLE_RATE * BLOCK_MS // 1_000

FACE_SIZE = 48
"""Side of the square grey face crop in pixels, as in FER2013."""

FACE_MAP = (128, 6, 6)
"""Channels, rows and columns of the face encoder's last feature map."""

WORD_WIDTH = 384
"""Width of a word's state: that of MiniLM's token states."""

VOICE_WIDTH = 12
"""Width of an audio segment's embedding: evidence for negative, neutral and positive, for eight emotions, and for arousal."""

VOICE_POLARITIES = 3
"""The first numbers of an audio segment's embedding, which MMCI reads: emotions are not the same in all corpora and languages."""

FACE_WIDTH = 64
"""Width of a face's embedding."""

FACE_CELLS = (FACE_MAP[1] * FACE_MAP[2], FACE_WIDTH)
"""Regions of a face crop, row by row, and width of the part that each of them has in the embedding."""

WORDS_PER_SECOND = 8
AUDIO_PER_SECOND = SEGMENTS_PER_BLOCK
VIDEO_PER_SECOND = 5
"""Nodes that a window has room for, for each second of its length (rounded up)."""
