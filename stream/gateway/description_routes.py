"""The descriptions of the API (OpenAPI) and of all records (AsyncAPI, JSON Schema), made from the code."""

from __future__ import annotations

from functools import cache
from typing import Any

from litestar import Controller, Request, Response, get
from litestar.enums import OpenAPIMediaType

from stream.gateway.contracts.files import contract_files
from stream.gateway.contracts.openapi import complete
from stream.gateway.problems import not_found


class DescriptionController(Controller):
    """``/api/v1/openapi.json`` and its neighbours. They are for everybody: they hold no data."""

    path = "/api/v1"
    tags = ("description",)

    @get("/openapi.json", summary="This description", sync_to_thread=False, include_in_schema=False)
    def openapi(self, request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
        """All routes, and the shapes of what they take and answer."""
        return Response(complete(request.app.openapi_schema.to_schema()), media_type=OpenAPIMediaType.OPENAPI_JSON)

    @get("/asyncapi.json", summary="All topics and streams, and the records in them", sync_to_thread=False, include_in_schema=False)
    def asyncapi(self) -> Response[bytes]:
        """The AsyncAPI document, as in ``docs/contracts``."""
        return _contract("asyncapi.json")

    @get("/schemas/{name:str}", summary="The JSON Schema of a record", sync_to_thread=False, include_in_schema=False)
    def schema(self, name: str) -> Response[bytes]:
        """One of the files in ``docs/contracts/schemas``."""
        return _contract(f"schemas/{name}")


@cache
def _files() -> dict[str, bytes]:
    return contract_files()


def _contract(path: str) -> Response[bytes]:
    """A file of the contracts. Raises 404."""
    if path not in _files():
        raise not_found("schema")
    return Response(_files()[path], media_type="application/json")
