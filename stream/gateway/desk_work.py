"""The desk at work beside the requests of a gateway."""

from __future__ import annotations

from stream.gateway.context import Gateway


async def run_desk(gateway: Gateway) -> None:
    """Run the desk of a gateway, fed with the alerts that its hub reads."""
    gateway.hub.on_alert = gateway.desk.feeder.offer
    await gateway.desk.run()
