"""Errors over HTTP: one JSON shape for all of them, `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


@dataclass(eq=False)
class Problem(Exception):
    """An answer that is an error. `code` is for programs and never changes; `detail` is for people."""

    status: int
    code: str
    title: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self, request_id: str) -> bytes:
        """The problem document."""
        return orjson.dumps(
            {
                "type": f"urn:cml:problem:{self.code}",
                "title": self.title,
                "status": self.status,
                "detail": self.detail,
                "request_id": request_id,
            }
        )


def unknown(kind: str, value: str) -> Problem:
    """404 for an id that the current version and the event store do not know."""
    return Problem(404, f"unknown-{kind}", f"Unknown {kind}", f"{kind} {value!r} is not known here")


def invalid(detail: str) -> Problem:
    """422 for a request that is well-formed but asks for something impossible."""
    return Problem(422, "invalid-request", "Invalid request", detail)


def unauthorised() -> Problem:
    """401: the same for a missing, a malformed, a wrong and an unknown key."""
    return Problem(
        401,
        "unauthorised",
        "A valid API key is needed",
        "send one of this service's API keys as: Authorization: Bearer KEY",
        {"www-authenticate": "Bearer"},
    )


def too_large(limit: int) -> Problem:
    """413 for a body beyond the limit; the connection is not read any further."""
    return Problem(
        413, "body-too-large", "Body too large", f"a request body may have {limit} bytes; send less"
    )


def internal_error() -> Problem:
    """500: what went wrong is for the log, not for the caller."""
    return Problem(500, "internal-error", "Internal error", "the service failed; its log has the request id")


def response(problem: Problem, request_id: str) -> Response:
    """The problem as a response."""
    return Response(problem.body(request_id), problem.status, dict(problem.headers), MEDIA_TYPE)


async def on_problem(request: Request, error: Exception) -> Response:
    """Handler for `Problem`."""
    assert isinstance(error, Problem)
    return response(error, _request_id(request))


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Handler for what the framework raises by itself: no such route, method not allowed."""
    assert isinstance(error, HTTPException)
    code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, f"http-{error.status_code}")
    problem = Problem(
        error.status_code, code, str(error.detail), str(error.detail), dict(error.headers or {})
    )
    return response(problem, _request_id(request))


async def on_invalid(request: Request, error: Exception) -> Response:
    """Handler for requests that do not match their schema: 422, naming the first places that are wrong."""
    assert isinstance(error, RequestValidationError)
    return response(invalid(describe(error.errors())), _request_id(request))


async def on_failure(request: Request, error: Exception) -> Response:
    """Handler for everything that nobody foresaw; the edge logs it."""
    return response(internal_error(), _request_id(request))


def describe(errors: object) -> str:
    """The first few of pydantic's complaints in one line, without echoing the input back."""
    listed = list(errors)[:3]  # type: ignore[call-overload]
    return "; ".join(f"{_place(one['loc'])}: {one['msg']}" for one in listed)


def _place(parts: Sequence[object]) -> str:
    """Where something is wrong; without a place it is the whole body."""
    return ".".join(map(str, parts)) or "body"


def _request_id(request: Request) -> str:
    return request.scope.get("request_id", "")
