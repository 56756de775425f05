"""Request bodies: parsed in one step from bytes to a checked schema, and described for the OpenAPI document.

Faster and stricter than parsing JSON first and validating it later: nesting, numbers and encoding are limited
by the parser itself, and every way to be wrong gives the same 422.
"""

from __future__ import annotations

from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from service.errors import describe, invalid

Model = TypeVar("Model", bound=BaseModel)
_GZIP = b"\x1f\x8b"  # how it begins; no JSON does


async def read(request: Request, model: type[Model], longest: int | None = None) -> Model:
    """The request's body as this schema; see `parse`. Raises Problem 422."""
    return parse(await request.body(), model, longest)


def parse(body: bytes, model: type[Model], longest: int | None = None) -> Model:
    """JSON as this schema, where a list with more than `longest` entries is refused. Raises Problem 422."""
    if longest is not None and body.count(b",") >= longest:
        _refuse_long_lists(body, longest)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        if body.startswith(_GZIP):
            raise invalid("body: it is compressed; send plain JSON in UTF-8") from None
        raise invalid(describe(error.errors(include_input=False, include_url=False))) from None


def _refuse_long_lists(body: bytes, longest: int) -> None:
    """Before each entry is checked: for a hundred thousand of them that would hold up everybody."""
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        return  # the schema says what is wrong
    for name, value in given.items() if isinstance(given, dict) else ():
        if isinstance(value, list) and len(value) > longest:
            raise invalid(f"{name[:40]}: {len(value)} entries, at most {longest}")


def documented(model: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a route that reads this schema."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
