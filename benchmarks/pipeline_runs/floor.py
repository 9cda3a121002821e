"""The floor: what any system on Faust, Triton and Redis pays. Nothing is aligned, built, checked, explained or published.

It reads and acknowledges the records as `reading` does. For every window that is due it asks Triton about a window that is ready as
tensors, in as many requests as sentistream makes, and writes records that are ready, too, to Redis.

``python -m benchmarks.pipeline_runs.floor BOOTSTRAP TOPIC_PREFIX REDIS_URL DIRECTORY WINDOWS``; WINDOWS is the number of
windows of a request, and SENTISTREAM_* variables give further settings.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from faust.types import EventT
from redis.asyncio import Redis

from benchmarks.pipeline_runs.plain_windows import sample_windows
from benchmarks.pipeline_runs.reading import Reader, run
from stream.config.load import load_settings
from stream.domain.inference import INPUT_NAMES
from stream.domain.modality import Modality
from stream.domain.topics import Topics
from stream.model_repository.served_models import MMCI
from stream.serving.client import TritonClient

SETTINGS = load_settings()
TOPIC = Topics(SETTINGS.kafka.topic_prefix).chunks(Modality.TEXT)
RECORDS_OF_A_WINDOW = SETTINGS.windows.hop_ms // 1000
"""Chunks of text between the ends of two windows of a session."""

WINDOWS_OF_A_REQUEST = int(sys.argv[5])

OUTPUTS = ("coalition_scores", "coalition_probabilities", "causal", "relevance", "to_review", "arousal", "word_effects")
SCORE, EXPLANATION = b"s" * 650, b"e" * 1450
"""As long as the records of these windows are."""


class Floor(Reader):
    """A worker that only reads, asks Triton and writes to Redis."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._texts = 0
        self._due: list[bytes] = []
        self._publishing: set[asyncio.Task[None]] = set()

    async def _on_event(self, event: EventT[Any]) -> None:
        await super()._on_event(event)
        if event.message.topic != TOPIC:
            return
        self._texts += 1
        if self._texts % RECORDS_OF_A_WINDOW == 0:
            self._due.append(event.message.key or b"")
        if len(self._due) == WINDOWS_OF_A_REQUEST:
            task = asyncio.create_task(self._publish(self._due))
            self._publishing.add(task)
            task.add_done_callback(self._publishing.discard)
            self._due = []

    @cached_property
    def _client(self) -> TritonClient:
        return TritonClient(SETTINGS.triton.url, SETTINGS.triton.timeout_s)

    @cached_property
    def _redis(self) -> Redis:
        return Redis.from_url(SETTINGS.redis.url.get_secret_value())

    @cached_property
    def _tensors(self) -> dict[str, Any]:
        windows = sample_windows(WINDOWS_OF_A_REQUEST)
        return {name: np.stack([getattr(window, name) for window in windows]) for name in INPUT_NAMES}

    async def _publish(self, keys: Sequence[bytes]) -> None:
        await self._client.infer(MMCI, self._tensors, OUTPUTS)
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.xadd(b"floor:" + key + b":scores", {"record": SCORE})
                pipe.xadd(b"floor:" + key + b":explanations", {"record": EXPLANATION})
                pipe.hset(b"floor:" + key + b":latest", mapping={"record": SCORE, "explanation": EXPLANATION})
            await pipe.execute()


if __name__ == "__main__":
    asyncio.run(run(Floor, SETTINGS, Path(sys.argv[4])))
