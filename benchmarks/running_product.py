"""The running product for a benchmark: an embedded stack with one worker."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from stream.config.settings import Settings
from stream.kafka_admin.topics import ensure_topics
from stream.local.stack import Stack
from stream.local.worker import Workers


@asynccontextmanager
async def running_product(name: str, settings: Settings | None = None) -> AsyncIterator[Settings]:
    """Start the stack and a worker, and stop both at the end; gives the settings with the addresses of the stack.

    Args:
        name: Part of the name of the temporary folder.
        settings: Settings to start from: another model repository, for example.
    """
    with tempfile.TemporaryDirectory(prefix=f"sentistream-{name}-") as directory:
        async with Stack(settings or Settings(), Path(directory)) as stack:
            await asyncio.to_thread(ensure_topics, stack.settings.kafka)
            async with Workers(stack.settings, Path(directory)):
                yield stack.settings
