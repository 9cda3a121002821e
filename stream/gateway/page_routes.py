"""The page: its files, and its one document at each of its addresses."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, Response, get
from litestar.exceptions import NotFoundException

from stream.gateway.middleware import API
from stream.gateway.page_files import PageFile, PageFiles
from stream.gateway.problems import not_found, on_http_error

PAGE_PATHS = (
    "/",
    "/wall",
    "/sessions/{tenant:str}/{session:str}",
    "/windows/{tenant:str}/{session:str}/{track:str}/{window:str}",
    "/alerts",
    "/health",
    "/reveal",
    "/login",
)
"""Addresses at which the browser gets the document, whose program then shows the right page. It holds no data."""

_FILES = PageFiles()
_UNCHANGED = 304
ASSETS = "/assets/"


class PageController(Controller):
    """The page's document and files. They are for everybody: what they show comes from the API."""

    path = "/"
    include_in_schema = False

    @get(list(PAGE_PATHS), sync_to_thread=False)
    def document(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """The document."""
        return _answer(request, _FILES.find("index.html"))

    @get("/assets/{name:path}", sync_to_thread=False)
    def asset(self, request: Request[Any, Any, Any], name: str) -> Response[bytes]:
        """A file of the page."""
        return _answer(request, _FILES.find(str(name).lstrip("/")))


def on_not_found(request: Request[Any, Any, Any], error: NotFoundException) -> Response[Any]:
    """The answer where nothing is. A browser that goes to an address without a page gets the document, whose program says so."""
    place = request.url.path
    asked = request.method == "GET" and "text/html" in request.headers.get("accept", "")
    if asked and not place.startswith((API, ASSETS)) and (file := _FILES.find("index.html")) is not None:
        return Response(file.content, status_code=error.status_code, media_type=file.media_type)
    return on_http_error(request, error)


def _answer(request: Request[Any, Any, Any], file: PageFile | None) -> Response[bytes]:
    if file is None:
        raise not_found("page")
    headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=_UNCHANGED, headers=headers, media_type=file.media_type)
    return Response(file.content, headers=headers, media_type=file.media_type)
