"""What the OpenAPI document says of answers that routes return as ready-made bytes, and of errors."""

from __future__ import annotations

from typing import Any

from service.errors import MEDIA_TYPE
from service.schemas import ProblemDocument

_MEANINGS = {
    400: "The request is not well-formed",
    401: "A valid API key is needed",
    403: "The API key does not have the scope",
    404: "No such user, item, version or path",
    405: "The path does not know this method",
    408: "The request did not arrive in time",
    409: "Not possible in the present state",
    410: "The listing has expired; start again",
    413: "The body is too large",
    422: "The request asks for something impossible",
    429: "Too many requests; see Retry-After",
    503: "Not ready, too slow or shutting down; see Retry-After",
}
_ALWAYS = (400, 401, 403, 422, 429, 503)  # on every route under /v1
_WITH_BODY = (408, 413)


def problems(*codes: int, body: bool = False) -> dict[int | str, dict[str, Any]]:
    """The errors of a route: those that any may give, those of routes with a body, and the given ones."""
    all_codes = sorted({*_ALWAYS, *(_WITH_BODY if body else ()), *codes})
    return {code: problem(code) for code in all_codes}


def problem(code: int) -> dict[str, Any]:
    """One error for the document."""
    schema = {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}
    return {"description": _MEANINGS[code], "content": {MEDIA_TYPE: {"schema": schema}}}
