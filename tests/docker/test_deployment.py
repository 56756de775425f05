"""`docker compose up` on an empty machine, and what happens to it afterwards."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.docker.engine import BUILD_SECONDS, Deployment, docker, inspect, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(2 * BUILD_SECONDS)]

BUNDLED = ["--train", "/bundled/interactions.csv.gz", "--items", "/bundled/items.csv.gz"]
NOTHING = "0000000000000000"  # no capability, in the kernel's words


def printed_key(deployment: Deployment) -> str:
    """The administrator's key, which the log has once."""
    printed = [line.split()[-1] for line in deployment.logs("keys").splitlines() if " admin." in line]
    assert len(printed) == 1
    return printed[0]


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def recommended(deployment: Deployment, user_id: str) -> dict:
    answer = deployment.get(f"/v1/users/{user_id}/recommendations", params={"k": 5})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_first_start_ends_in_recommendations_by_title(deployment):
    known = recommended(deployment, "1")
    assert known["strategy"] == "personal"
    assert len(known["items"]) == 5
    assert all(item["title"] for item in known["items"])
    assert recommended(deployment, "a-stranger")["strategy"] == "popular"


def test_the_first_start_prints_an_administrators_key_once_and_keeps_its_hash(deployment):
    key = printed_key(deployment)
    assert deployment.get("/v1/admin/versions").status_code == 401
    assert deployment.get("/v1/admin/versions", headers=bearer(key)).status_code == 200
    event = {"events": [{"user_id": "u", "item_id": "i", "type": "like"}]}
    assert deployment.post("/v1/events", json=event).status_code == 401
    kept = docker("exec", deployment.container(), "cat", "/keys/keys.json").stdout
    assert '"sha256"' in kept
    assert key.partition(".")[2] not in kept


def test_only_this_machine_can_call(deployment):
    assert docker("port", deployment.container()).stdout.strip() == f"8000/tcp -> 127.0.0.1:{deployment.port}"


def test_docker_finds_the_service_healthy(deployment):
    container = deployment.container()
    wait_until(
        lambda: inspect(container, "{{.State.Health.Status}}") == "healthy",
        lambda: inspect(container, "{{json .State.Health}}"),
    )


def test_the_service_has_no_rights_and_nowhere_to_write_but_its_volumes(deployment):
    container = deployment.container()
    status = docker("exec", container, "cat", "/proc/1/status").stdout
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert facts["Uid"].split() == ["10001"] * 4
    assert {facts[name] for name in ("CapEff", "CapPrm", "CapBnd")} == {NOTHING}
    assert facts["NoNewPrivs"] == "1"
    write = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text('')"
    refused = docker("exec", container, "python", "-c", write, "/opt/venv/new", check=False)
    assert "Read-only file system" in refused.stderr
    docker("exec", container, "python", "-c", write, "/events/new")


def test_another_start_keeps_the_model(deployment):
    before = recommended(deployment, "1")["model_version"]
    key = printed_key(deployment)
    deployment.up()
    assert recommended(deployment, "1")["model_version"] == before
    assert printed_key(deployment) == key
    assert deployment.get("/v1/admin/versions", headers=bearer(key)).status_code == 200
    assert "nothing to do" in deployment.logs("trainer")


def test_a_killed_service_comes_back_with_every_event_that_it_took(deployment):
    event = {
        "user_id": "newcomer",
        "item_id": recommended(deployment, "1")["items"][0]["item_id"],
        "type": "like",
    }
    key = bearer(printed_key(deployment))
    taken = deployment.post("/v1/events", json={"events": [event]}, headers=key)
    assert taken.status_code < 300, taken.text
    container = deployment.container()
    os.kill(int(inspect(container, "{{.State.Pid}}")), signal.SIGKILL)
    wait_until(lambda: inspect(container, "{{.RestartCount}}") == "1", lambda: deployment.logs("service"))
    deployment.wait_until_ready()
    stored = deployment.get("/v1/users/newcomer").json()["events"]
    assert [(one["item_id"], one["type"]) for one in stored] == [(event["item_id"], "like")]


def test_stopping_drains_and_ends_cleanly(deployment):
    container = deployment.container()
    deployment.compose("stop", "service")
    assert inspect(container, "{{.State.ExitCode}}") == "0"
    deployment.up()


def test_retraining_learns_from_events_and_the_new_version_knows_their_user(deployment):
    liked = [item["item_id"] for item in recommended(deployment, "1")["items"]]
    events = [{"user_id": "regular", "item_id": item_id, "type": "like"} for item_id in liked]
    key = bearer(printed_key(deployment))
    assert deployment.post("/v1/events", json={"events": events}, headers=key).status_code < 300
    order = ["cml", "retrain", "--models", "/models", *BUNDLED, "--threads", "1"]
    # Whether it publishes is asked, not how good one epoch is.
    tolerant = ["--set", "train.epochs=1", "--gate", "1", "--json"]
    done = deployment.compose("run", "--rm", "retrain", *order, *tolerant, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["outcome"], found["data"]["events"] >= len(liked)) == ("published", True), found
    wait_until(
        lambda: deployment.get("/v1/model").json()["version"] == found["version"],
        lambda: deployment.logs("service"),
    )
    again = recommended(deployment, "regular")
    assert again["strategy"] == "personal"
    assert not set(liked) & {item["item_id"] for item in again["items"]}


def test_the_public_deployment_answers_those_who_have_the_key_that_it_printed_once(public_deployment):
    path = "/v1/users/1/recommendations"
    assert public_deployment.get(path).status_code == 401
    key = bearer(printed_key(public_deployment))
    assert public_deployment.get(path, headers=key).status_code == 200
    assert public_deployment.get("/v1/admin/versions", headers=key).status_code == 200
    ports = docker("port", public_deployment.container()).stdout
    assert f"0.0.0.0:{public_deployment.public_port}" in ports
    public_deployment.up()
    assert public_deployment.get(path, headers=key).status_code == 200
