from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from s3fs import S3FileSystem

from tests.cml.storage.places import Place
from tests.s3 import Proxy, failing_proxy, make_bucket, s3_endpoint, settings

__all__ = ["s3_endpoint"]


def fresh_bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"b{uuid4().hex[:12]}"
    S3FileSystem.clear_instance_cache()  # what was made knows another endpoint
    make_bucket(endpoint, name)
    for variable, value in settings(endpoint).items():
        monkeypatch.setenv(variable, value)
    return f"s3://{name}/models"


@pytest.fixture
def memory(tmp_path: Path) -> Place:
    return Place(f"memory://{uuid4().hex}/models", tmp_path)


@pytest.fixture
def s3(tmp_path: Path, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(fresh_bucket(s3_endpoint, monkeypatch), tmp_path)


@pytest.fixture(params=["directory", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """The three kinds of storage, one after the other."""
    if request.param == "directory":
        return Place(tmp_path / "models", tmp_path)
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["memory", "s3"])
def url(request: pytest.FixtureRequest) -> Place:
    """The two kinds that are URLs."""
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def unreliable(s3: Place, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Place, Proxy]]:
    """An S3 registry behind a proxy that fails when it is told to."""
    with failing_proxy(s3_endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        monkeypatch.setattr(
            S3FileSystem, "retries", 2
        )  # tries for every failed request, nested: else it takes long
        yield s3, proxy
