"""Promotes and rolls back a version of the model while its services fail, with the commands that an operator would use."""

from __future__ import annotations

import asyncio
import sys

from stream.config.settings import Settings
from stream.local.environment import child_environment

PATIENCE_S = 90.0
EVERY_S = 1.0


async def change_version(settings: Settings, version: str | None) -> int:
    """Promote a version, or roll the last one back, as often as it takes: a command fails while Triton or Redis is away.

    Args:
        settings: Settings of the run.
        version: The version; None rolls back.

    Returns:
        The number of tries. Raises ``TimeoutError`` after `PATIENCE_S`.
    """
    command = ["rollback"] if version is None else ["promote", version, "--force"]
    tries = 0
    async with asyncio.timeout(PATIENCE_S):
        while True:
            tries += 1
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "stream.cli", "models", *command),
                env=child_environment(settings),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
            _, said = await process.communicate()
            # A rollback whose answer was lost has taken effect: the next one finds nothing to go back to.
            if process.returncode == 0 or (version is None and tries > 1 and b"no version to go back to" in said):
                return tries
            await asyncio.sleep(EVERY_S)
