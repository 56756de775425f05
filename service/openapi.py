"""What the OpenAPI document says about the service as a whole."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from service.asked import BatchRequest, EventsRequest, ExperimentRequest, ItemUpdate, SessionRequest
from service.schemas import ProblemDocument

_ABOUT = """Recommendations from one metric space: what lies near a user or an item is recommended.

Every list names the `model_version` that made it, the `strategy` by which it was made, and a
`recommendation_id` to send with the events that it leads to. Errors are problem documents (RFC 9457). Ids are
any text, percent-encoded in paths. Where API keys are in force, send `Authorization: Bearer KEY`."""
_OPEN_PATHS = ("/livez", "/readyz", "/startupz")


def describe(app: FastAPI) -> None:
    """Make the app's document: our words, one error shape, keys; computed once, when first asked for."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(title=app.title, version=app.version, description=_ABOUT, routes=app.routes)
    components = schema.setdefault("components", {})
    components.setdefault("schemas", {}).update(_read_by_hand())
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    components["securitySchemes"] = {
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "ID.SECRET, made by `python -m service.keys add`",
        }
    }
    schema["security"] = [{}, {"key": []}]
    for path in _OPEN_PATHS:
        for operation in schema["paths"].get(path, {}).values():
            operation["security"] = []
    return schema


def _read_by_hand() -> dict[str, Any]:
    """Schemas of bodies and errors, which the framework does not see."""
    models = (SessionRequest, BatchRequest, EventsRequest, ItemUpdate, ExperimentRequest, ProblemDocument)
    wanted = [(model, "validation") for model in models]
    _, definitions = models_json_schema(wanted, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    return definitions["$defs"]
