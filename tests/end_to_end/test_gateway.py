"""The live page of a demo, from media to a viewer: real broker, Triton, worker, Redis and gateway."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import httpx
import msgspec

from stream.gateway.views import Page, SessionPhase, WindowResult
from stream.produce.sample import FACES
from tests.support.gateways import events

WORDS = FACES.with_suffix(".vtt")
SAID = re.compile(rb"live page: (http://127\.0\.0\.1:\d+)/")


async def test_a_demo_can_be_watched_and_its_page_stays_until_ctrl_c(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    command = (sys.executable, "-m", "stream.cli", "demo", "--open", "--speed", "max", str(WORDS))
    demo = await asyncio.create_subprocess_exec(
        *command, stdout=PIPE, stderr=STDOUT, env={**environment, "SENTISTREAM_CACHE": str(tmp_path)}
    )
    assert demo.stdout is not None
    try:
        async with asyncio.timeout(150):
            output = b""
            while (said := SAID.search(output)) is None:
                output += await _line(demo.stdout, output)
            address = said[1].decode()
            async with events(address, "/api/v1/stream?records=true") as stream:
                seen, ended = set[str](), False
                while not ended:
                    batch = await stream.batch()
                    seen |= {score.window_id for score in batch.scores}
                    ended = any(state.state is SessionPhase.ENDED for state in batch.sessions)
                    session = f"{batch.sessions[0].tenant}/{batch.sessions[0].session}"
            while b"until Ctrl-C" not in output:
                output += await _line(demo.stdout, output)
            async with httpx.AsyncClient(base_url=address, verify=False) as client:
                answer = await client.get(f"/api/v1/sessions/{session}/windows?limit=500")
                stored = msgspec.json.decode(answer.content, type=Page[WindowResult])
                document = await client.get(f"/sessions/{session}")
                assert (document.status_code, document.headers["content-type"]) == (200, "text/html; charset=utf-8")
            async with events(address, f"/api/v1/stream?session={session}&after=start") as again:
                replayed = {score.window_id for score in (await again.batch()).scores}
            demo.send_signal(signal.SIGINT)
            rest, _ = await demo.communicate()
    finally:
        if demo.returncode is None:
            demo.kill()
            await demo.communicate()
    assert demo.returncode == 0, (output + rest).decode()
    assert b"no browser was found here" in output
    assert {item.score.window_id for item in stored.items} == seen == replayed
    assert len(seen) > 5
    assert all(item.explanation is not None for item in stored.items)


async def _line(stream: asyncio.StreamReader, before: bytes) -> bytes:
    line = await stream.readline()
    assert line, f"it ended: {before.decode()}"
    return line
