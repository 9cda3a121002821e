"""Erasing a session."""

from __future__ import annotations

import structlog
from litestar.exceptions import HTTPException
from litestar.status_codes import HTTP_409_CONFLICT

from stream.domain.identity import SessionKey
from stream.gateway.context import Gateway
from stream.gateway.problems import unavailable
from stream.kafka_admin.errors import BrokerError
from stream.sinks.forget import ForgetError, ForgetReport, Forgetting, RunningSessionError
from stream.sinks.window_store import WindowStoreError

log = structlog.get_logger(__name__)


async def erase(gateway: Gateway, key: SessionKey) -> ForgetReport:
    """Erase a session. Raises 409 if it is running, and 503 if Kafka is away."""
    try:
        report = await Forgetting(gateway.settings, gateway.redis).forget(key, count_topics=False)
    except RunningSessionError as error:
        raise HTTPException(str(error), status_code=HTTP_409_CONFLICT) from None
    except (BrokerError, ForgetError, WindowStoreError) as error:
        raise unavailable(f"{error}; nothing was erased, or not all: try again") from None
    gateway.hub.drop([key])
    log.info("session_erased", keys=report.keys.found, complete=report.complete)
    return report
