"""Erasing a session."""

from __future__ import annotations

import structlog
from litestar import Controller, delete
from litestar.exceptions import HTTPException
from litestar.status_codes import HTTP_200_OK, HTTP_409_CONFLICT

from stream.domain.permission import Permission
from stream.gateway.context import Gateway
from stream.gateway.guard import require, visible_session
from stream.gateway.principal import Principal
from stream.gateway.problems import unavailable
from stream.kafka_admin.errors import BrokerError
from stream.sinks.forget import ForgetError, ForgetReport, Forgetting, RunningSessionError
from stream.sinks.window_store import WindowStoreError

log = structlog.get_logger(__name__)


class ErasureController(Controller):
    """``DELETE /api/v1/sessions/TENANT/SESSION``."""

    path = "/api/v1/sessions"
    guards = (require(Permission.ADMINISTER),)
    tags = ("sessions",)

    @delete("/{tenant:str}/{session:str}", summary="Erase a session", status_code=HTTP_200_OK)
    async def erase(self, gateway: Gateway, principal: Principal, tenant: str, session: str) -> ForgetReport:
        """As `sentistream forget`, without a count of what runs out in Kafka. A session that is running is refused with 409."""
        key = visible_session(principal, tenant, session)
        try:
            report = await Forgetting(gateway.settings, gateway.redis).forget(key, count_topics=False)
        except RunningSessionError as error:
            raise HTTPException(str(error), status_code=HTTP_409_CONFLICT) from None
        except (BrokerError, ForgetError, WindowStoreError) as error:
            raise unavailable(f"{error}; nothing was erased, or not all: try again") from None
        gateway.hub.drop(key)
        log.info("session_erased", keys=report.keys.found, complete=report.complete)
        return report
