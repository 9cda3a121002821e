"""Completes the description of the API that the framework makes: every operation answers errors as problem details."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from stream.gateway.contracts.json_schemas import Schema, definitions
from stream.gateway.views import Problem

PROBLEM_TYPE = "application/problem+json"
STATUSES = (400, 401, 403, 404, 405, 409, 413, 415, 429, 500, 503)
"""What any operation may answer instead of its result."""


def complete(document: Schema) -> Schema:
    """The description with problem details (RFC 9457) in the place of the framework's own errors."""
    paths = {path: {method: _operation(given) for method, given in methods.items()} for path, methods in document["paths"].items()}
    components = dict(document.get("components", {}))
    _, schemas = definitions([Problem], "#/components/schemas/{name}")
    components["schemas"] = {**components.get("schemas", {}), **schemas}
    components["responses"] = {str(status): _response(status) for status in STATUSES}
    return {**document, "paths": paths, "components": components}


def _operation(given: Any) -> Any:
    """An operation; what else stands at a path, such as its summary, stays as it is."""
    if not isinstance(given, dict) or "responses" not in given:
        return given
    own = {status: response for status, response in given["responses"].items() if str(status)[:1] in "123"}
    if "204" in own:
        own["204"] = {"description": HTTPStatus.NO_CONTENT.phrase}
    return {**given, "responses": {**own, **{str(status): {"$ref": f"#/components/responses/{status}"} for status in STATUSES}}}


def _response(status: int) -> dict[str, Any]:
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": HTTPStatus(status).phrase, "content": content}
