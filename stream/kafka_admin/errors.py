"""What can go wrong on the way into Kafka."""

from __future__ import annotations


class BrokerError(Exception):
    """Records cannot be sent; the message is one sentence that says what to do."""
