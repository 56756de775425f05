"""A service whose registry is a URL: what is damaged, slow or gone there leaves the version in use answering."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest

from cml import artifact
from cml.errors import ConfigError, StorageError
from cml.registry import Registry
from cml.storage.objects import Objects
from service.settings import Settings, load
from tests.service.conftest import ids, refused
from tests.service.worlds import content


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A registry in memory with the tiny model as its current version."""
    monkeypatch.setenv("CML_CACHE_DIR", str(tmp_path / "cache"))
    url = f"memory://{uuid4().hex}/models"
    publish(url, tmp_path)
    return url


def publish(url: str, folder: Path, *, flip: bool = False) -> str:
    artifact.write(content(flip=flip), folder / "run")
    return Registry(url).publish(folder / "run")


def answering(client) -> str:
    return client.get("/v1/users/ann/recommendations").json()["model_version"]


def test_it_answers_follows_the_pointer_and_moves_it(serve, url, tmp_path):
    client = serve(models=url)
    first = answering(client)
    second = publish(url, tmp_path, flip=True)
    assert client.post("/v1/admin/reload").json()["current"] == second == answering(client)
    assert client.post("/v1/admin/rollback").json()["current"] == first == Registry(url).current()
    assert client.post(f"/v1/admin/versions/{second}/activate").json()["current"] == second
    refused(client.post("/v1/admin/versions/000009-0123456789ab/activate"), 404, "unknown-version")


def test_a_damaged_object_leaves_the_version_in_use_and_is_named_until_it_is_mended(serve, url, tmp_path):
    client = serve(models=url)
    old = answering(client)
    new = publish(url, tmp_path, flip=True)
    files, root = fsspec.url_to_fs(url)
    key = f"versions/{new}/vectors.safetensors"
    whole = files.cat_file(f"{root}/{key}")
    files.pipe_file(f"{root}/{key}", whole[:-1] + bytes([whole[-1] ^ 1]))
    state = client.post("/v1/admin/reload").json()
    assert (state["current"], answering(client)) == (old, old)
    assert f"{url}/{key}: damaged" in state["failure"]
    assert f"{url}/{key}: damaged" in client.get("/readyz").text
    assert "cml_reload_failing 1.0" in client.get("/metrics").text
    files.pipe_file(f"{root}/{key}", whole)
    wait_for(
        lambda: client.post("/v1/admin/reload").json()["current"] == new
    )  # the next fetch waits a second
    assert "damaged" not in client.get("/readyz").text


def test_a_store_that_is_gone_leaves_the_version_in_use_and_administrators_are_told(serve, url, monkeypatch):
    client = serve(models=url)
    old = answering(client)

    def unreachable(self, done, key, *_arguments, **_options):
        raise self._failed(done, key, ConnectionError("nobody there"))

    with monkeypatch.context() as gone:
        gone.setattr(Objects, "_ask", unreachable)
        state = client.post("/v1/admin/reload").json()
        assert (state["current"], state["versions"], answering(client)) == (old, [old], old)
        for said in (state["failure"], client.get("/readyz").text):
            assert f"{url}/CURRENT: cannot be read: nobody there" in said
        for path in ("/v1/admin/rollback", f"/v1/admin/versions/{old}/activate"):
            assert "nobody there" in refused(client.post(path), 503, "registry-unavailable")
        empty = serve(models=url)
        assert empty.get("/livez").status_code == 200
        refused(empty.get("/v1/users/ann/recommendations"), 503, "not-ready")
    for one in (client, empty):
        assert one.post("/v1/admin/reload").json() | {"versions": []} == {
            "current": old,
            "versions": [],
            "experiment": None,
            "failure": None,
        }


def test_what_is_said_about_items_counts_while_the_registry_is_silent(serve, url, monkeypatch):
    one, other = serve(models=url), serve(models=url, poll_seconds=0.05)
    silent, asked = threading.Event(), threading.Event()
    real = Registry.current

    def current(self):
        asked.set()
        silent.wait(30)
        return real(self)

    monkeypatch.setattr(Registry, "current", current)
    try:
        assert asked.wait(10)
        changed = {"metadata": {"title": "Heated"}}
        assert one.put("/v1/items/i5", json=changed).status_code == 200
        wait_for(lambda: other.get("/v1/items", params={"title": "heated"}).json()["items"])
        assert ids(other.get("/v1/users/ann/recommendations"))
    finally:
        silent.set()


def test_a_registry_by_url_needs_to_be_told_where_events_are(url):
    with pytest.raises(ConfigError, match=f"{url}: .*CML_SERVICE_EVENTS"):
        _ = Settings(models=url).events_url
    assert Settings(models=url, events="off").events_url is None
    assert load({"CML_SERVICE_MODELS": f"{url}/"}).models == url
    assert load({"CML_SERVICE_MODELS": "some/folder"}).models == Path("some/folder")


def test_a_store_that_cannot_exist_is_refused():
    with pytest.raises(StorageError, match="nix://bucket"):
        Registry("nix://bucket")


def wait_for(condition, seconds: float = 20.0) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.05)
