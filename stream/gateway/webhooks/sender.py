"""Posts messages to one receiver: signed, again where it failed, and never faster than the receiver can take them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp
import structlog
from msgspec.structs import replace
from standardwebhooks import Webhook

from stream.aio.backoff import Backoff
from stream.config.gateway_settings import WebhookSettings
from stream.gateway.webhooks.addresses import CheckedResolver, is_refusal
from stream.gateway.webhooks.messages import HEADERS
from stream.gateway.webhooks.receivers import Receiver, check_url, read_secrets
from stream.gateway.webhooks.together import together
from stream.sinks.webhook_outbox import StoredMessage, WebhookOutbox

log = structlog.get_logger(__name__)

RETRIES = Backoff(first_s=5.0, factor=3.0, cap_s=4 * 3600.0)
"""Pauses of one message: about 5 s, 15 s, 45 s, 2 min, 7 min, 20 min, 1 h, 3 h, then every 4 h; each shortened by up to a half."""
PAUSES = Backoff(first_s=0.5, factor=2.0, cap_s=60.0)
"""Pauses of a receiver whose messages fail one after the other: it is not asked with every message that waits."""
LONGEST_PAUSE_S = 24 * 3600.0
AT_ONCE = 8
"""Messages to one receiver at the same time."""
IDLE_S = 0.5
NOTE_S = 2.0
"""Longest time for which the end of a gateway waits until an answer is written down."""
MOST_READ = 4096
"""Bytes of an answer that are read: nothing in it counts."""
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one attempt.

    Attributes:
        outcome: ``delivered``, ``later`` or ``gone``.
        error: What went wrong, without anything that the receiver wrote.
        retry_after_s: How long the receiver asks to be left alone.
    """

    outcome: str
    error: str = ""
    retry_after_s: float = 0.0


def judge(status: int, retry_after: str | None) -> Answer:
    """What a status means: 2xx is success, 410 ends all messages, and everything else is tried again."""
    if 200 <= status < 300:
        return Answer("delivered")
    if status == 410:
        return Answer("gone", "it answers 410: it wants no messages any more")
    asked_s = _seconds(retry_after) if status in (429, 503) else 0.0
    return Answer("later", f"it answers {status}", min(asked_s, LONGEST_PAUSE_S))


class Sender:
    """Posts the messages of one receiver.

    Args:
        receiver: Who.
        folder: From where the path of its secret counts.
        settings: Time limits.
        outbox: Holds the messages.
        http: The connections, from `open_connections`.
    """

    def __init__(
        self, receiver: Receiver, folder: Path, settings: WebhookSettings, outbox: WebhookOutbox, http: aiohttp.ClientSession
    ) -> None:
        self._receiver = receiver
        self._secret_file = folder / receiver.secret_file
        self._settings = settings
        self._outbox = outbox
        self._http = http
        self._failures = 0
        self._not_before = 0.0

    async def run(self) -> None:
        """Send until cancelled. Raises `stream.sinks.problems.RedisUnusableError`."""
        while True:
            await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))
            # After a failure, one message tells whether the receiver is back.
            messages = await self._outbox.due(self._receiver.name, _now_ms(), 1 if self._failures else AT_ONCE)
            await together(self._send(message_id, message) for message_id, message in messages)
            if not messages:
                await asyncio.sleep(IDLE_S)

    async def _send(self, message_id: str, message: StoredMessage) -> None:
        answer = await self._post(message_id, message.body)
        noting = asyncio.ensure_future(self._note(message_id, message, answer))
        try:
            await asyncio.shield(noting)
        except asyncio.CancelledError:
            # The receiver has answered: a gateway that stops notes it, or else the next one would send the message again.
            await asyncio.wait([noting], timeout=NOTE_S)
            raise

    async def _note(self, message_id: str, message: StoredMessage, answer: Answer) -> None:
        """Write down what came of an attempt."""
        now_ms, name = _now_ms(), self._receiver.name
        tried = replace(message, attempts=message.attempts + 1, error=answer.error)
        if answer.outcome == "delivered":
            self._failures = 0
            await self._outbox.settle(name, message_id, "delivered", tried, now_ms=now_ms)
            return
        log.warning("webhook_failed", receiver=name, error=answer.error, attempts=tried.attempts)
        self._failures += 1
        self._not_before = time.monotonic() + max(PAUSES.delay_s(self._failures), answer.retry_after_s)
        if answer.outcome == "gone":
            await self._outbox.settle(name, message_id, "gone", replace(tried, reason="gone"), now_ms=now_ms)
            await self._outbox.bury(name, now_ms, "gone")
            return
        next_ms = now_ms + round(1000 * max(RETRIES.delay_s(tried.attempts), answer.retry_after_s))
        if next_ms - message.created_ms > self._settings.retry_hours * HOUR_MS:
            await self._outbox.settle(name, message_id, "dead", replace(tried, reason="expired"), now_ms=now_ms)
        else:
            await self._outbox.settle(name, message_id, "later", tried, now_ms=now_ms, next_ms=next_ms)

    async def _post(self, message_id: str, body: str) -> Answer:
        """One attempt. Nothing that the receiver does is an error here."""
        try:
            check_url(self._receiver.url, private_addresses=self._settings.private_addresses)
            headers = {**HEADERS, **signature_headers(read_secrets(self._secret_file), message_id, body)}
        except ValueError as error:
            return Answer("later", str(error))
        try:
            async with self._http.post(self._receiver.url, data=body.encode(), headers=headers, allow_redirects=False) as response:
                await response.content.read(MOST_READ)
                return judge(response.status, response.headers.get("Retry-After"))
        except TimeoutError:
            return Answer("later", f"it does not answer within {self._settings.timeout_s:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(
                "later", "its name leads to a private address" if is_refusal(error) else f"no connection ({type(error).__name__})"
            )


def open_connections(settings: WebhookSettings) -> aiohttp.ClientSession:
    """Connections to receivers: without proxies and cookies, and only to addresses that may be called."""
    resolver = None if settings.private_addresses else CheckedResolver()
    connector = aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, limit_per_host=AT_ONCE)
    return aiohttp.ClientSession(
        connector=connector, timeout=aiohttp.ClientTimeout(total=settings.timeout_s), cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    )


def signature_headers(secrets: tuple[str, ...], message_id: str, body: str) -> Mapping[str, str]:
    """The headers by which the receiver knows that a message is ours, with a signature for each secret."""
    now = datetime.now(UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(message_id, now, body) for secret in secrets),
    }


def _seconds(retry_after: str | None) -> float:
    if retry_after is None:
        return 0.0
    if retry_after.isascii() and retry_after.isdigit() and len(retry_after) <= 9:
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _now_ms() -> int:
    return round(time.time() * 1000)
