"""Answers that are bytes already."""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import BaseModel
from starlette.responses import Response


def raw(body: bytes) -> Response:
    """JSON that is encoded already."""
    return Response(body, media_type="application/json")


def shaped(model: BaseModel, status: int = 200) -> Response:
    """A schema as JSON."""
    return Response(model.model_dump_json().encode(), status, media_type="application/json")


def plain(value: Any, status: int = 200) -> Response:
    """A plain value as JSON."""
    return Response(orjson.dumps(value), status, media_type="application/json")
