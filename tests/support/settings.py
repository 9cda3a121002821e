"""Settings for services that several tests share."""

from __future__ import annotations

import uuid
from typing import Any

from pydantic import SecretStr

from stream.config.settings import Settings


def own_settings(name: str, kafka_bootstrap: str, redis_url: str, **kafka: Any) -> Settings:
    """Return the default settings for these services, with a topic prefix and a consumer group of the test's own.

    Args:
        name: Start of the prefix and the group.
        kafka_bootstrap: The broker.
        redis_url: The Redis.
        kafka: Further settings of the section ``kafka``.
    """
    unique, defaults = f"{name}-{uuid.uuid4().hex[:8]}", Settings()
    update = {"bootstrap": kafka_bootstrap, "topic_prefix": f"{unique}.", "group": unique, **kafka}
    return defaults.model_copy(
        update={
            "kafka": defaults.kafka.model_copy(update=update),
            "redis": defaults.redis.model_copy(update={"url": SecretStr(redis_url)}),
        }
    )
