"""The description of the API (OpenAPI), made from the code."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, Response, get
from litestar.enums import OpenAPIMediaType


class DescriptionController(Controller):
    """``/api/v1/openapi.json``. It is for everybody: it holds no data."""

    path = "/api/v1"
    tags = ("description",)

    @get("/openapi.json", summary="This description", sync_to_thread=False, include_in_schema=False)
    def openapi(self, request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
        """All routes, and the shapes of what they take and answer."""
        return Response(request.app.openapi_schema.to_schema(), media_type=OpenAPIMediaType.OPENAPI_JSON)
