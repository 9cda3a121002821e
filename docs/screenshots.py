"""Makes the pictures of the pages in ``docs/screenshots``, from a real run: embedded stack, worker, gateway, conversations at live pace.

``python -m docs.screenshots [FOLDER]`` needs the Chromium of the system, and two minutes.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import urllib.request
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
from playwright.async_api import Browser, async_playwright

from stream.config.settings import Settings
from stream.gateway.server import address_of, listen, run_gateway
from stream.kafka_admin.topics import ensure_topics
from stream.local.ports import LOOPBACK
from stream.local.stack import Stack
from stream.local.worker import Workers
from stream.produce.prepare import MediaRequest, prepare
from stream.produce.producer import ProducedSession, produce_session
from stream.produce.sample import CALL, FACES
from tests.support.chromium import WHY_NONE, chromium_arguments, chromium_path

TARGET = Path(__file__).parent / "screenshots"
DESKTOP, WALL, PHONE = (1360, 860), (1920, 1080), (390, 844)
QUALITY = 82
CALLS = {
    "refund-4411": (
        "I have been waiting three weeks for my refund and nobody calls me back.",
        "Every time I ring you say it is on its way, and every time it is not.",
        "This is the fourth time I explain this, and I am really tired of it.",
        "You charged me twice, and now you tell me to wait again? That is unacceptable.",
        "I want to speak to somebody who can actually decide something.",
        "No, I have heard that before. I do not believe you any more.",
        "What am I supposed to tell my bank?",
        "All I want is my money, it is not that difficult.",
        "Fine, then write it down that I complained.",
        "You have been no help at all.",
        "I am very disappointed in this company.",
        "Please call me back today, not next week.",
    ),
    "delivery-1873": (
        "Good morning, my parcel was due on Monday.",
        "It says delivered, but there is nothing here.",
        "My neighbour has not seen it either.",
        "I am a bit disappointed, to be honest.",
        "Could you please look where it is?",
        "The number is on the letter, wait a moment.",
        "It was meant for my daughter's birthday.",
        "So it is at the depot? That is good to know.",
        "Oh, you can bring it this afternoon? That is great.",
        "Thank you, that is really kind of you.",
        "Yes, I will be at home.",
        "Thank you very much, goodbye.",
    ),
    "upgrade-2290": (
        "Hi, I saw the new plan and it looks great.",
        "Yes, that is much cheaper than what I pay now.",
        "Wonderful, thank you so much for your help.",
        "No, that was everything. You have been really kind.",
        "Oh, one more thing, can I keep my number?",
        "Perfect, that makes it easy.",
        "And when does it begin?",
        "That is sooner than I thought, lovely.",
        "I will tell my sister about it.",
        "Thanks again, I am very happy with this.",
        "Have a nice day.",
    ),
    "address-3310": (
        "Hello, I have moved and need to change my address.",
        "It is the second house on the left, after the bridge.",
        "The invoice should go to the same place.",
        "All right, that is all.",
    ),
    "outage-7012": (
        "The line is dead again, since this morning.",
        "I work from home, I cannot do anything without it.",
        "Last week it was the same, and your technician never came.",
        "I am losing customers because of you. This is a disaster.",
        "If this is not fixed today I will cancel everything.",
        "I have restarted it five times, do not ask me again.",
        "No, the light is red. It is always red.",
        "You keep reading from a script, that does not help.",
        "I am angry because nobody takes this seriously.",
        "When will somebody come? Tomorrow is too late.",
        "This is the worst service that I have ever had.",
        "I want that in writing.",
    ),
}
"""Conversations, one line every `LINE_MS`. They are made up."""
LINE_MS = 4500
CALL_SESSION, FACE_SESSION, ALARMING_SESSION = "brakes-5120", "video-0031", "refund-4411"
WHOLE = frozenset({"address-3310"})
"""Sessions that are sent at once."""
PROBED = 0.3
"""Share of the media that is probed: more than usual, since the run is short."""
LONG_ENOUGH_S = 20
"""Until there is something to see."""


@dataclass(frozen=True)
class Shot:
    """A picture: ``name.webp`` of a page."""

    name: str
    path: str
    size: tuple[int, int] = DESKTOP
    theme: str = "light"
    whole: bool = False
    wait_for: str = "h1"


def evidence(window: str) -> str:
    """The session's page with a window pinned."""
    tenant, session, at = window.split("/", 2)
    return f"/sessions/{tenant}/{session}?at={at}"


def shots(call: str, face: str, alarming: str, case: str) -> list[Shot]:
    """All pictures, given the ids of a window of a call, of one with a face, of one with an alert, and of an alert."""
    page = evidence(call)
    return [
        Shot("session", page, whole=True, wait_for=".timeline canvas"),
        Shot("session-alert", evidence(alarming), whole=True, wait_for=".timeline .flag"),
        Shot("session-phone", page, PHONE, "dark", wait_for=".timeline canvas"),
        Shot("window-expert", f"/windows/{face}?view=expert", whole=True, wait_for=".facts"),
        Shot("alerts", f"/alerts?id={quote(case)}", whole=True, wait_for=".case-head"),
        Shot("alerts-phone", "/alerts", PHONE),
        Shot("health", "/health"),
        Shot("reveal", "/reveal"),
    ]


LIVE = (
    Shot("wall", "/wall", WALL, "dark", wait_for=".wall-tile"),
    Shot("board", "/", wait_for=".board-row"),
    Shot("board-dark", "/", theme="dark", wait_for=".board-row"),
    Shot("board-phone", "/", PHONE, wait_for=".board-row"),
)
"""Pictures while the conversations go on."""


async def main(target: Path) -> None:
    """Run everything and write the pictures. Raises ``SystemExit`` without a Chromium."""
    path = chromium_path()
    if path is None:
        raise SystemExit(WHY_NONE)
    await asyncio.to_thread(target.mkdir, parents=True, exist_ok=True)
    async with AsyncExitStack() as running:
        directory = Path(running.enter_context(tempfile.TemporaryDirectory()))
        stack = await running.enter_async_context(Stack(_settings(), directory / "stack"))
        await asyncio.to_thread(ensure_topics, stack.settings.kafka)
        await running.enter_async_context(Workers(stack.settings, directory / "stack"))
        url = await _gateway(stack.settings, running)
        playwright = await running.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=path, args=chromium_arguments())
        sending = await _send(stack.settings, directory)
        await asyncio.sleep(LONG_ENOUGH_S)
        for shot in LIVE:
            await _take(browser, url, shot, target)
        await asyncio.gather(*sending)
        call, face = (
            await asyncio.to_thread(_strongest, url, CALL_SESSION, "text"),
            await asyncio.to_thread(_strongest, url, FACE_SESSION, "video"),
        )
        alarming = await asyncio.to_thread(_strongest, url, ALARMING_SESSION, "text")
        case = (await asyncio.to_thread(_read, f"{url}/api/v1/alerts"))["items"][0]["alert"]["alert_id"]
        for shot in shots(call, face, alarming, case):
            await _take(browser, url, shot, target)
        await browser.close()


def _settings() -> Settings:
    settings = Settings()
    rules = Path(__file__).parents[1] / "configs" / "call-center.yaml"
    sections = {
        "alerts": settings.alerts.model_copy(update={"rules": rules}),
        "gateway": settings.gateway.model_copy(update={"uploads": True}),
        "reveal": settings.reveal.model_copy(update={"share": PROBED}),
    }
    return settings.model_copy(update=sections)


async def _gateway(settings: Settings, running: AsyncExitStack) -> str:
    """Start a gateway until the end of the stack; returns its address."""
    listener, stop = listen(LOOPBACK, 0), asyncio.Event()
    task = asyncio.create_task(run_gateway(settings, listener, stop))

    async def end() -> None:
        stop.set()
        await task

    running.push_async_callback(end)
    return address_of(listener).rstrip("/")


async def _send(settings: Settings, directory: Path) -> list[asyncio.Future[ProducedSession]]:
    """Begin to send the sessions: some whole, the others at live pace."""
    requests = [MediaRequest(CALL, CALL.with_suffix(".vtt"), channels=("agent", "customer"), session=CALL_SESSION)]
    requests += [MediaRequest(FACES, FACES.with_suffix(".vtt"), session=FACE_SESSION, track="guest", role="guest")]
    for name, lines in CALLS.items():
        words = directory / f"{name}.vtt"
        await asyncio.to_thread(words.write_text, _transcript(lines), encoding="utf-8")
        requests.append(MediaRequest(words, session=name, track="customer", role="customer"))
    sending: list[asyncio.Future[ProducedSession]] = []
    for request in requests:
        session = await asyncio.to_thread(prepare, request)
        speed = None if request.session in WHOLE else 1.0
        sending.append(asyncio.ensure_future(asyncio.to_thread(produce_session, settings.kafka, session, speed=speed)))
        await asyncio.sleep(0.7)
    return sending


def _transcript(lines: tuple[str, ...]) -> str:
    cues = [f"{_time(at)} --> {_time(at + LINE_MS - 500)}\n{line}\n" for at, line in zip(range(0, 10**6, LINE_MS), lines, strict=False)]
    return "WEBVTT\n\n" + "\n".join(cues)


def _time(ms: int) -> str:
    return f"00:{ms // 60_000:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"


def _read(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - loopback
        return json.load(answer)


def _strongest(url: str, session: str, modality: str) -> str:
    """The id of the session's window to which a modality contributes most."""
    windows = _read(f"{url}/api/v1/sessions/default/{session}/windows?limit=500")["items"]
    best = max(windows, key=lambda window: abs(window["explanation"]["contributions"].get(modality, 0.0)))
    return str(best["score"]["window_id"])


async def _take(browser: Browser, url: str, shot: Shot, target: Path) -> None:
    width, height = shot.size
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if shot.theme == "dark" else "light",
        reduced_motion="reduce",
        is_mobile=shot.size == PHONE,
        has_touch=shot.size == PHONE,
    )
    page = await context.new_page()
    await page.goto(url + shot.path)
    await page.locator(shot.wait_for).first.wait_for(state="attached")
    await page.wait_for_timeout(1200)
    picture = cv2.imdecode(np.frombuffer(await page.screenshot(full_page=shot.whole), np.uint8), cv2.IMREAD_COLOR)
    cv2.imwrite(str(target / f"{shot.name}.webp"), picture, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    await context.close()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET))
