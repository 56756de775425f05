"""The real commands and a real service with a registry on a real S3-compatible server."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cml.test_retrain_command import QUICK, two_groups
from tests.end_to_end.commands import complaint, document, run, text
from tests.end_to_end.servers import Server, server
from tests.s3 import failing_proxy, make_bucket, s3_server, settings

pytestmark = pytest.mark.slow

URL = "s3://films/models"


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.1)


def version(service: Server) -> str:
    return service.get("/v1/model").json()["version"]


def test_a_model_is_trained_served_retrained_and_swapped_and_a_server_that_fails_leaves_it_answering(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_server() as endpoint, failing_proxy(endpoint) as proxy:
        make_bucket(endpoint, "films")
        for name, value in settings(proxy.endpoint).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("CML_CACHE_DIR", str(tmp_path / "cache"))
        old, new = (two_groups(tmp_path / f"{likes}.csv", likes=likes) for likes in (8, 10))
        quick = [part for setting in QUICK for part in ("--set", setting)]

        first = document(*("train", "--train", old, "--out", tmp_path / "run", "--models", URL, *quick))[
            "version"
        ]
        with server(URL, "--events", "off", "--workers", "2") as service:  # type: ignore[arg-type]
            service.wait_for_starts(2)
            assert version(service) == first

            second = document("retrain", "--train", new, "--models", URL, "--no-events")["version"]
            until(lambda: version(service) == second)
            assert [row["version"] for row in document("history", "--models", URL)["rounds"]] == [second]

            text("models", "rollback", "--models", URL)
            until(lambda: version(service) == first)
            listed = document("models", "list", "--models", URL)
            assert (listed["current"], len(listed["versions"])) == (first, 2)

            proxy.fail(".*")
            said = complaint(run("models", "rollback", "--to", second, "--models", URL))
            assert said.startswith(f"{URL}/versions/")
            assert "cannot be" in said
            assert "then try again" in said
            until(lambda: URL in service.get("/readyz").text)
            assert version(service) == first
            assert service.get("/readyz").status_code == 200

            proxy.recover()
            text("models", "rollback", "--to", second, "--models", URL)
            until(lambda: version(service) == second)
            until(lambda: URL not in service.get("/readyz").text)
        refused = complaint(run("serve", "--models", URL))
        assert URL in refused
        assert "--events" in refused
