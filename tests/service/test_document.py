"""The OpenAPI document, and what the pages for people say of routes, metrics and problems."""

from __future__ import annotations

import re
from pathlib import Path

import orjson
import pytest

from service.app import create_app


@pytest.fixture
def document(client):
    return client.get("/openapi.json").json()


def test_every_operation_documents_its_errors_as_problems(document):
    operations = [
        (path, operation)
        for path, item in document["paths"].items()
        if path.startswith("/v1")
        for operation in item.values()
    ]
    assert len(operations) > 15
    for path, operation in operations:
        assert operation.get("description"), path
        for status in ("400", "401", "403", "422", "429", "503"):
            schema = operation["responses"][status]["content"]["application/problem+json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/ProblemDocument"}, (path, status)


def test_every_reference_in_the_document_leads_somewhere(document):
    names = set(re.findall(r'#/components/schemas/([^"]+)"', orjson.dumps(document).decode()))
    assert len(names) > 10
    assert names <= set(document["components"]["schemas"])


def test_bodies_have_examples(document):
    for name in ("SessionRequest", "BatchRequest", "EventsRequest", "ItemUpdate", "ExperimentRequest"):
        assert document["components"]["schemas"][name]["examples"], name


def test_every_route_and_metric_and_problem_is_documented(document, client):
    docs = Path(__file__).parents[2] / "docs"
    api, operating = ((docs / name).read_text(encoding="utf-8") for name in ("http-api.md", "operating.md"))
    routes = [f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item]
    assert len(routes) > 20
    assert not [route for route in routes if f"`{route}`" not in api]
    client.get("/v1/lists/popular")
    metrics = set(re.findall(r"^# TYPE (cml_\w+?)(?:_total)? ", client.get("/metrics").text, re.MULTILINE))
    assert len(metrics) > 8
    assert not [metric for metric in metrics if f"`{metric}`" not in operating]
    sources = "\n".join(
        path.read_text(encoding="utf-8") for path in Path(create_app.__code__.co_filename).parent.glob("*.py")
    )
    codes = set(re.findall(r'Problem\(\s*\d{3},\s*"([a-z-]+)"', sources))
    assert len(codes) > 10
    assert not [code for code in codes if f"`{code}`" not in api]
