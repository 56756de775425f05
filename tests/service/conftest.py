"""A service on a tiny model, asked in-process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.service.worlds import publish


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A registry with the tiny model as its current version."""
    publish(tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def events_url(models: Path) -> str:
    """Where the service keeps its events."""
    return f"sqlite:///{models / 'events.db'}"


@pytest.fixture
def serve(models: Path, events_url: str) -> Iterator[Callable[..., TestClient]]:
    """Starts a service with these settings and returns a client of it."""
    with ExitStack() as stack:

        def start(**settings: Any) -> TestClient:
            defaults = {"models": models, "events": events_url, "access_log": False, "poll_seconds": 3600}
            chosen = Settings(**defaults | settings)
            return stack.enter_context(TestClient(create_app(chosen), raise_server_exceptions=False))

        yield start


@pytest.fixture
def client(serve: Callable[..., TestClient]) -> TestClient:
    """A client of a service with default settings."""
    return serve()


def ids(answer: Any) -> list[str]:
    """The listed items' ids."""
    assert answer.status_code == 200, answer.text
    return [item["item_id"] for item in answer.json()["items"]]


def refused(answer: Any, status: int, code: str) -> str:
    """Asserts that the answer is this problem; returns its detail."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"urn:cml:problem:{code}"
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["title"]
    return problem["detail"]
