"""Settings for real services that tests share."""

from __future__ import annotations

import uuid
from typing import Any

from pydantic import SecretStr

from stream.config.settings import Settings


def own_settings(name: str, kafka_bootstrap: str, redis_url: str, **kafka: Any) -> Settings:
    """The defaults on these services, with a topic prefix and a consumer group that nobody else has; ``kafka`` goes into that section."""
    own, plain = f"{name}-{uuid.uuid4().hex[:8]}", Settings()
    update = {"bootstrap": kafka_bootstrap, "topic_prefix": f"{own}.", "group": own, **kafka}
    return plain.model_copy(
        update={
            "kafka": plain.kafka.model_copy(update=update),
            "redis": plain.redis.model_copy(update={"url": SecretStr(redis_url)}),
        }
    )
