"""The web application: all routes, and what holds for each of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from litestar import Litestar
from litestar.di import Provide
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.types import ControllerRouterHandler

from stream.gateway.account_routes import AccountController
from stream.gateway.alert_history_routes import AlertHistoryController
from stream.gateway.context import Gateway
from stream.gateway.description_routes import DescriptionController
from stream.gateway.desk_work import run_desk
from stream.gateway.export_routes import ExportController
from stream.gateway.guard import current_principal
from stream.gateway.health_routes import HealthController
from stream.gateway.middleware import counted, identification, protect, tags
from stream.gateway.page_routes import PageController, on_not_found
from stream.gateway.probe_routes import ProbeController
from stream.gateway.problems import HANDLERS
from stream.gateway.queue_routes import QueueController
from stream.gateway.reveal_routes import RevealController
from stream.gateway.session_routes import SessionController
from stream.gateway.stream_routes import StreamController
from stream.gateway.upload_routes import UploadController
from stream.gateway.verdict_routes import VerdictController
from stream.gateway.webhooks.service import run_webhooks

CONTROLLERS: tuple[ControllerRouterHandler, ...] = (
    AccountController,
    DescriptionController,
    SessionController,
    AlertHistoryController,
    ExportController,
    StreamController,
    ProbeController,
    QueueController,
    VerdictController,
    HealthController,
    RevealController,
    UploadController,
    PageController,
)
"""All routes. A new controller is a line here, and a row for each of its routes in ``tests/integration/test_gateway_permissions.py``."""

BACKGROUND: tuple[Callable[[Gateway], Awaitable[None]], ...] = (run_desk, run_webhooks)
"""What runs beside the requests as long as the gateway does. An error of one of them ends the gateway."""

OWN_DESCRIPTION = "/api/litestar"
"""Where the framework serves its description, besides ours: its routes answer every address below it."""
LARGEST_BODY = 1_000_000
"""Bytes of the body of a request, unless its route says otherwise."""


def create_app(gateway: Gateway) -> Litestar:
    """The application on the parts of a gateway."""

    def provide_gateway() -> Gateway:
        return gateway

    return Litestar(
        route_handlers=list(CONTROLLERS),
        dependencies={
            "gateway": Provide(provide_gateway, sync_to_thread=False),
            "principal": Provide(current_principal, sync_to_thread=False),
        },
        middleware=[counted(gateway.hub.metrics), identification(gateway.access), tags],
        before_send=[protect],
        exception_handlers={**HANDLERS, NotFoundException: on_not_found},
        openapi_config=OpenAPIConfig(title="sentistream", version="1", path=OWN_DESCRIPTION, render_plugins=[JsonRenderPlugin()]),
        request_max_body_size=LARGEST_BODY,
        # The framework would put handlers of its own in place of ours.
        logging_config=None,
    )
