"""docs/http-api.md names every route, docs/operating.md every setting of the service and every metric."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import PydanticUndefined

from service.app import create_app
from service.settings import Settings
from tests.contracts.documents import DOCS, table_rows

METHODS = {"get", "put", "post", "delete", "patch"}
ROUTE = re.compile(r"`([A-Z]+ /[^`?]*)`")


@pytest.fixture(scope="module")
def openapi(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return create_app(Settings(models=tmp_path_factory.mktemp("models"), events="off")).openapi()


def routes(openapi: dict[str, Any]) -> set[str]:
    return {
        f"{method.upper()} {path}"
        for path, operations in openapi["paths"].items()
        for method in operations
        if method in METHODS
    }


def test_every_route_is_told_and_no_other(openapi: dict[str, Any]) -> None:
    assert routes(openapi)
    rows = table_rows((DOCS / "http-api.md").read_text(encoding="utf-8"))
    told = {route for row in rows for route in ROUTE.findall(row[0])}
    assert sorted(routes(openapi) - told) == []
    assert sorted(told - routes(openapi)) == []


def test_every_error_of_every_route_is_a_problem_document(openapi: dict[str, Any]) -> None:
    errors = {
        f"{method.upper()} {path} {code}": answer.get("content", {})
        for path, operations in openapi["paths"].items()
        if path.startswith("/v1/")
        for method, operation in operations.items()
        for code, answer in operation["responses"].items()
        if int(code) >= 400
    }
    assert errors
    assert [where for where, content in errors.items() if list(content) != ["application/problem+json"]] == []


def shown(default: Any) -> str:
    """A default as the table writes it; what it does not write at all, or in words, is left to its author."""
    if default is PydanticUndefined or default is None or default == "":
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, int | float):
        return f"{default:.12g}"
    if isinstance(default, dict):
        return ", ".join(f"{name} {value:g}" for name, value in default.items())
    return "none" if default == () else str(default)


def test_every_setting_of_the_service_is_listed_with_its_default() -> None:
    rows = table_rows((DOCS / "operating.md").read_text(encoding="utf-8"))
    told = {row[0].strip("`"): row[1].strip("`") for row in rows if len(row) == 3}
    expected = {name: shown(field.default) for name, field in Settings.model_fields.items()}
    assert expected
    assert {name: told.get(name) for name in expected} == expected


def test_every_metric_is_named(tmp_path: Path) -> None:
    text = Path(DOCS / "operating.md").read_text(encoding="utf-8")
    source = (DOCS.parent / "service" / "metrics.py").read_text(encoding="utf-8")
    names = set(re.findall(r'"(cml_[a-z_]+)"', source))
    assert names
    assert sorted(name for name in names if name not in text) == []
