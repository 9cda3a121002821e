"""The typed client of the gateway: live results, snapshots and history, in asyncio and without it.

::

    from stream.client import subscribe

    async for result in subscribe("https://host", session="default/call-17", token=token):
        print(result)

Outside of asyncio, `subscribe_blocking` and `BlockingGateway` do the same.
"""

from __future__ import annotations

from stream.client.blocking import BlockingGateway, subscribe_blocking
from stream.client.errors import GatewayAwayError, GatewayError, ProblemError
from stream.client.gateway import Gateway
from stream.client.subscription import Result, Subscription, subscribe

__all__ = [
    "BlockingGateway",
    "Gateway",
    "GatewayAwayError",
    "GatewayError",
    "ProblemError",
    "Result",
    "Subscription",
    "subscribe",
    "subscribe_blocking",
]
