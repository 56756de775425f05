"""`/explorer`: a page to look around with. Static files of our own; nothing is fetched from anywhere else."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from service.context import Context

_FILES = {
    "index.html": "text/html; charset=utf-8",
    "explorer.css": "text/css; charset=utf-8",
    "explorer.js": "text/javascript; charset=utf-8",
}
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}
_DIRECTORY = Path(__file__).parent.parent / "web"


def routes(_context: Context) -> APIRouter:
    """Routes of the page and its parts; not part of the API's document."""
    router = APIRouter(include_in_schema=False)
    content = {name: (_DIRECTORY / name).read_bytes() for name in _FILES}

    @router.get("/")
    async def start() -> Response:
        return RedirectResponse("/explorer/")

    @router.get("/explorer")
    async def page_without_slash() -> Response:
        return RedirectResponse("/explorer/")

    def add(path: str, name: str) -> None:
        @router.get(path)
        async def part() -> Response:
            return Response(content[name], headers=_HEADERS, media_type=_FILES[name])

    add("/explorer/", "index.html")
    for name in _FILES:
        add(f"/explorer/{name}", name)
    return router
