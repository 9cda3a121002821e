"""Probe windows of the packaged sample: words, sound and faces, before the encoders."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import numpy as np

from stream.config.settings import Settings
from stream.domain.chunk import ContentType
from stream.domain.media_format import FACE_SIZE, MAX_CHUNK_MS, SAMPLE_RATE, VIDEO_PER_SECOND
from stream.domain.modality import Modality
from stream.encoders.window_of_words import WINDOW_MS
from stream.media.faces import FaceTracker
from stream.media.pcm import read_pcm
from stream.media.sandbox import Sandbox
from stream.produce.prepare import PreparedSession
from stream.produce.sample import sample_sessions
from stream.produce.session import PlannedChunk, TrackSetup, plan_records
from stream.reveal.windows import RawWindow

SECONDS = WINDOW_MS // MAX_CHUNK_MS


async def sample_windows(settings: Settings) -> list[RawWindow]:
    """Windows of four seconds, next to each other, of each track of the sample; those without a word are left out.

    Raises:
        SourceError: The sample is not installed or cannot be read.
    """
    windows = []
    async with Sandbox(settings.sandbox) as sandbox:
        for session in await asyncio.to_thread(sample_sessions):
            windows += await _of_session(session, settings, sandbox)
    return windows


async def _of_session(session: PreparedSession, settings: Settings, sandbox: Sandbox) -> list[RawWindow]:
    with session.pieces() as pieces:
        chunks = [record for record in plan_records(session.plan, pieces) if isinstance(record, PlannedChunk)]
    return [window for track in session.plan.tracks for window in await _of_track(track, chunks, settings, sandbox)]


async def _of_track(track: TrackSetup, chunks: list[PlannedChunk], settings: Settings, sandbox: Sandbox) -> list[RawWindow]:
    sounds: dict[int, list[np.ndarray]] = defaultdict(list)
    faces: dict[int, list[np.ndarray]] = defaultdict(list)
    tracker = FaceTracker()
    for chunk in chunks:
        number = chunk.start_ms // WINDOW_MS
        if chunk.track.track != track.track:
            continue
        if chunk.modality is Modality.AUDIO:
            sounds[number].append(read_pcm(chunk.payload, chunk.duration_ms))
        elif chunk.modality is Modality.VIDEO:
            frames = await sandbox.find_faces(chunk.payload, ContentType.VIDEO_MP4, VIDEO_PER_SECOND, settings.video.max_pixels)
            faces[number].append(tracker.follow(frames, chunk.start_ms, chunk.duration_ms).crops)
    words: dict[int, list[str]] = defaultdict(list)
    for word in track.words or ():
        words[max(0, word.end_ms - 1) // WINDOW_MS].append(word.text)
    return [_window(f"sample, {track.track}, {_span(number)}", words[number], sounds[number], faces[number]) for number in sorted(words)]


def _span(number: int) -> str:
    start_s, end_s = (WINDOW_MS * at // 1_000 for at in (number, number + 1))
    return f"{start_s} to {end_s} s"


def _window(name: str, words: list[str], sounds: list[np.ndarray], faces: list[np.ndarray]) -> RawWindow:
    longest = WINDOW_MS * SAMPLE_RATE // 1_000
    samples = np.concatenate([np.zeros(0, np.int16), *sounds])[:longest]
    crops = np.concatenate([np.zeros((0, FACE_SIZE, FACE_SIZE), np.uint8), *faces])[: SECONDS * VIDEO_PER_SECOND]
    return RawWindow(tuple(words), samples, crops, name=name)
