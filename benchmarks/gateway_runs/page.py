"""One page in a real Chromium that shows the board and scrolls: how late it paints updates, and how long it blocks."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from playwright.async_api import CDPSession, async_playwright

CHROMIUM = "/usr/bin/chromium"
WHEEL_PX = 120
WHEEL_EVERY_S = 0.1
TURN_AFTER = 40
"""Turns of the wheel in one direction."""
LONG_MS = 200

OBSERVE = """
() => {
  window.measured = { tasks: [], paints: [], frames: 0 };
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.measured.tasks.push(entry.duration);
  }).observe({ type: "longtask" });
  const frame = () => { window.measured.frames += 1; requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
}
"""

FOLLOW = """
async (store) => {
  const { onBatch } = await import(store);
  const known = new Map();
  onBatch((batch) => {
    const published = [];
    for (const session of batch.sessions ?? []) {
      for (const track of session.tracks ?? []) {
        const key = `${session.tenant}/${session.session}/${track.track}`;
        const at = track.media_end_at_ms;
        if (at && at !== known.get(key)) published.push(at);
        known.set(key, at);
      }
    }
    // The page draws in the next frame; the one after it begins when that has been painted.
    requestAnimationFrame(() => requestAnimationFrame(() => {
      const now = Date.now();
      for (const at of published) window.measured.paints.push(now - at);
    }));
  });
}
"""
"""Whatever the page knows, it knows through its own module of state: the same instance, since modules are loaded once."""

RESET = "() => Object.assign(window.measured, { tasks: [], paints: [], frames: 0 })"


@dataclass(frozen=True, slots=True)
class Painted:
    """What the page has measured.

    Attributes:
        update_ms: From the publication of a window until it is painted: p50, p95, p99.
        updates: Number of such updates.
        long_tasks: Tasks that have blocked the page for more than `LONG_MS`.
        longest_task_ms: The longest of them; 0 if none took 50 ms.
        frames_per_second: While scrolling.
        main_thread_percent: Share of the time in which the page's main thread was busy or wanted to be.
        rows: Rows in the document at the end.
    """

    update_ms: dict[str, float]
    updates: int
    long_tasks: int
    longest_task_ms: float
    frames_per_second: float
    main_thread_percent: float
    rows: int


async def _busy_s(session: CDPSession) -> float:
    """Time in tasks of the main thread so far."""
    answer = await session.send("Performance.getMetrics")
    return float(next(metric["value"] for metric in answer["metrics"] if metric["name"] == "TaskDuration"))


async def scroll_board(address: str, seconds: float, *, warm_up_s: float, store: str) -> Painted:
    """Open the board, and scroll it up and down for a while."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = await browser.new_page(viewport={"width": 1440, "height": 900})
        await page.add_init_script(f"({OBSERVE})()")
        await page.goto(address)
        await page.wait_for_selector("ul.windowed li", timeout=30_000)
        await page.evaluate(FOLLOW, store)
        await asyncio.sleep(warm_up_s)
        await page.evaluate(RESET)
        session = await page.context.new_cdp_session(page)
        await session.send("Performance.enable")
        busy_s = await _busy_s(session)
        began = time.monotonic()
        await page.mouse.move(720, 500)
        turns = 0
        while time.monotonic() - began < seconds:
            await page.mouse.wheel(0, WHEEL_PX if turns // TURN_AFTER % 2 == 0 else -WHEEL_PX)
            turns += 1
            await asyncio.sleep(WHEEL_EVERY_S)
        lasted_s = time.monotonic() - began
        busy_s = await _busy_s(session) - busy_s
        measured: dict[str, Any] = await page.evaluate("() => window.measured")
        rows = await page.locator("ul.windowed li").count()
        await browser.close()
    paints = measured["paints"] or [float("nan")]
    p50, p95, p99 = (round(float(value), 1) for value in np.percentile(paints, (50, 95, 99)))
    return Painted(
        update_ms={"p50": p50, "p95": p95, "p99": p99},
        updates=len(measured["paints"]),
        long_tasks=sum(task > LONG_MS for task in measured["tasks"]),
        longest_task_ms=round(max(measured["tasks"], default=0.0), 1),
        frames_per_second=round(measured["frames"] / lasted_s, 1),
        main_thread_percent=round(100 * busy_s / lasted_s, 1),
        rows=rows,
    )
