"""Keys, scopes, limits and hostile requests."""

from __future__ import annotations

import asyncio
import errno
import gzip
import subprocess
import sys

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from cml.errors import ConfigError
from service.auth import Keyring, read_keys
from service.errors import Problem
from service.keys import command as keys
from service.limits import RateLimit
from service.logs import AccessLog
from service.paths import decode, read_id
from service.settings import Settings
from tests.service.conftest import refused


def new_key(file, name, *scopes) -> str:
    arguments = ["add", name, "--file", str(file)] + [part for scope in scopes for part in ("--scope", scope)]
    result = CliRunner().invoke(keys, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output.strip()


@pytest.fixture
def key_file(tmp_path):
    return tmp_path / "keys.json"


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


EVENT = {"events": [{"user_id": "u", "item_id": "i7", "type": "like"}]}


def test_each_scope_opens_its_own_doors(serve, key_file):
    given = {scope: new_key(key_file, scope, scope) for scope in ("read", "write", "admin")}
    client = serve(keys=key_file)
    allowed = {
        scope: (
            client.get("/v1/users/ann/recommendations", headers=bearer(key)).status_code,
            client.post("/v1/events", json=EVENT, headers=bearer(key)).status_code,
            client.get("/v1/admin/versions", headers=bearer(key)).status_code,
        )
        for scope, key in given.items()
    }
    assert allowed == {"read": (200, 403, 403), "write": (403, 200, 403), "admin": (200, 200, 200)}


def test_a_line_break_at_the_end_of_a_path_opens_no_other_door(serve, key_file):
    key = new_key(key_file, "web", "read")
    client = serve(keys=key_file)
    for ending in ("%0A", "%0D%0A", "/", "%2F"):
        answer = client.post("/v1/events" + ending, json=EVENT, headers=bearer(key), follow_redirects=False)
        assert answer.status_code != 200, ending
    assert client.get("/v1/users/u", headers=bearer(key)).status_code == 404


def test_without_a_key_callers_may_do_what_the_settings_say_and_no_more(serve, key_file):
    key = new_key(key_file, "web", "read")
    path = "/v1/users/ann/recommendations"
    client = serve(keys=key_file, without_key=("read",))
    assert client.get(path).status_code == 200
    assert client.post("/v1/recommendations", json={"liked": [{"item_id": "i0"}]}).status_code == 200
    assert client.get("/metrics").status_code == 200
    refused(client.post("/v1/events", json=EVENT), 401, "unauthorised")
    refused(client.delete("/v1/users/ann"), 401, "unauthorised")
    refused(client.get("/v1/admin/versions"), 401, "unauthorised")
    refused(client.get(path, headers=bearer(key + "x")), 401, "unauthorised")
    assert client.get(path, headers=bearer(key)).status_code == 200


def test_nobody_administers_without_a_key(models, key_file):
    with pytest.raises(ValidationError, match="without_key"):
        Settings(models=models, keys=key_file, without_key=("admin",))


def test_the_first_key_is_made_and_shown_once_and_kept_as_a_hash_alone(key_file):
    shown = CliRunner().invoke(keys, ["first", "--file", str(key_file)], catch_exceptions=False).output
    key = shown.splitlines()[-1]
    assert Keyring(key_file).authorise(f"Bearer {key}".encode(), "admin") == "admin"
    kept = key_file.read_bytes()
    assert key.partition(".")[2].encode() not in kept
    again = CliRunner().invoke(keys, ["first", "--file", str(key_file)], catch_exceptions=False)
    assert (again.exit_code, key_file.read_bytes()) == (0, kept)
    assert "nothing to do (admin)" in again.output


def test_wrong_unknown_malformed_and_missing_keys_get_the_same_answer(serve, key_file):
    key = new_key(key_file, "web", "read")
    client = serve(keys=key_file)
    attempts = [
        {},
        bearer(key + "x"),
        bearer("web."),
        bearer("nobody." + key.partition(".")[2]),
        {"authorization": "Bearer é.x".encode()},
        {"authorization": key},
        {"authorization": f"Basic {key}"},
    ]
    answers = [client.get("/v1/model", headers={**attempt, "x-request-id": "same"}) for attempt in attempts]
    assert {refused(answer, 401, "unauthorised") for answer in answers} == {
        "send one of this service's API keys as: Authorization: Bearer KEY"
    }
    assert len({answer.content for answer in answers}) == 1
    assert client.get("/v1/model", headers=bearer(key)).status_code == 200


def test_probes_and_the_explorer_need_no_key_but_metrics_do(serve, key_file):
    key = new_key(key_file, "web", "read")
    client = serve(keys=key_file)
    for path in ("/livez", "/readyz", "/startupz", "/explorer/", "/explorer/explorer.js", "/openapi.json"):
        assert client.get(path).status_code == 200, path
    refused(client.get("/metrics"), 401, "unauthorised")
    refused(client.get("/v1/nonsense"), 401, "unauthorised")
    assert client.get("/metrics", headers=bearer(key)).status_code == 200


def test_keys_made_at_once_are_all_kept(key_file):
    command = [sys.executable, "-m", "service.keys", "add", "--scope", "read", "--file", str(key_file)]
    makers = [subprocess.Popen([*command, f"k{number}"], stdout=subprocess.DEVNULL) for number in range(6)]
    assert [maker.wait(60) for maker in makers] == [0] * 6
    assert sorted(read_keys(key_file)) == [f"k{number}" for number in range(6)]


@pytest.mark.parametrize("name", ["two words", "dot.ted", "", "x" * 65])
def test_a_key_with_an_impossible_name_does_not_get_into_the_file(key_file, name):
    new_key(key_file, "web", "read")
    before = key_file.read_bytes()
    with pytest.raises(ConfigError, match="letters, digits"):
        new_key(key_file, name, "read")
    assert key_file.read_bytes() == before


def test_keys_rotate_without_a_restart_and_a_damaged_file_changes_nothing(key_file):
    old = new_key(key_file, "old", "read")
    ring = Keyring(key_file)
    assert ring.refresh() is False
    new = new_key(key_file, "new", "read")
    CliRunner().invoke(keys, ["remove", "old", "--file", str(key_file)], catch_exceptions=False)
    assert ring.refresh() is True
    assert ring.authorise(b"Bearer " + new.encode(), "read") == "new"
    with pytest.raises(Problem):
        ring.authorise(b"Bearer " + old.encode(), "read")
    key_file.write_text("{")
    assert ring.refresh() is False
    assert "keys.json" in ring.failure
    assert ring.authorise(b"Bearer " + new.encode(), "read") == "new"


def test_the_key_file_holds_no_secret(key_file):
    key = new_key(key_file, "web", "read")
    secret = key.partition(".")[2]
    assert len(secret) >= 40
    assert secret not in key_file.read_text()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"keys": [{"id": "a"}]}',
        '{"keys": [{"id": "a b", "sha256": "00", "scopes": ["read"]}]}',
        '{"keys": [{"id": "a", "sha256": "%s", "scopes": ["fly"]}]}' % ("0" * 64),
    ],
)
def test_damaged_key_files_are_refused_at_start(key_file, content):
    key_file.write_text(content)
    with pytest.raises(ConfigError, match=r"keys\.json"):
        read_keys(key_file)


@pytest.mark.parametrize(
    ("host", "safe"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("10.0.0.1", False)],
)
def test_only_loopback_may_be_served_without_keys(tmp_path, host, safe):
    settings = Settings(models=tmp_path, host=host)
    if safe:
        settings.require_safe_binding()
    else:
        with pytest.raises(ConfigError, match="allow-without-keys"):
            settings.require_safe_binding()
    settings.model_copy(update={"allow_without_keys": True}).require_safe_binding()
    settings.model_copy(update={"keys": tmp_path / "keys.json"}).require_safe_binding()


def test_the_rate_limit_lets_a_burst_through_and_then_the_rate():
    now = [0.0]
    limit = RateLimit(rate=2.0, burst=3, clock=lambda: now[0])
    for _ in range(3):
        limit.take("a")
    with pytest.raises(Problem) as refusal:
        limit.take("a")
    assert (refusal.value.status, refusal.value.headers["retry-after"]) == (429, "1")
    limit.take("b")  # others have their own
    now[0] = 0.5
    limit.take("a")
    with pytest.raises(Problem):
        limit.take("a")
    now[0] = 100.0
    for _ in range(3):  # never more than the burst
        limit.take("a")
    with pytest.raises(Problem):
        limit.take("a")


def test_too_many_requests_are_told_when_to_come_back(serve):
    client = serve(rate_limit=0.001, rate_burst=2)
    statuses = [client.get("/v1/model").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    answer = client.get("/v1/model")
    assert "key or address" in refused(answer, 429, "too-many-requests")
    assert int(answer.headers["retry-after"]) > 100
    assert client.get("/livez").status_code == 200


def test_bodies_have_a_limit_declared_or_not(serve):
    client = serve(max_body=1000)
    big = b'{"liked": [], "k": 5' + b" " * 1000 + b"}"
    refused(client.post("/v1/recommendations", content=big), 413, "body-too-large")
    refused(client.post("/v1/recommendations", content=iter([big])), 413, "body-too-large")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"\xff\xfe",
        b'"\xed\xa0\x80"',
        b"null",
        b"[]",
        b'{"k": 1e999}',
        b'{"k": 99999999999999999999999999}',
        b'{"liked": [{"item_id": "\\ud800"}]}',
        b'{"liked": {}}',
        b'{"k": true}',
        b'{"where": {"year": {"min": "x"}}}',
        b'{"diversity": NaN}',
        b'{"nonsense": 1}',
        gzip.compress(b'{"k": 5}'),
    ],
)
@pytest.mark.parametrize("path", ["/v1/recommendations", "/v1/recommendations/batch", "/v1/events"])
def test_hostile_bodies_get_a_4xx(client, path, body):
    refused(client.post(path, content=body), 422, "invalid-request")


@pytest.mark.parametrize(
    ("path", "name", "limit"),
    [
        ("/v1/recommendations", "liked", 1000),
        ("/v1/recommendations", "exclude", 1000),
        ("/v1/recommendations/batch", "user_ids", 5000),
        ("/v1/events", "events", 1000),
    ],
)
def test_long_lists_are_refused_before_their_entries_are_looked_at(client, path, name, limit):
    entries = ["wrong", *range(30_000)]  # whoever looked at one of them would refuse that one
    answer = client.post(path, json={name: entries})
    assert refused(answer, 422, "invalid-request") == f"{name}: 30001 entries, at most {limit}"


@pytest.mark.parametrize("path", [b"/v1/items/%ff", b"/v1/items/%00", b"/v1/users/%c3%28/recommendations"])
def test_paths_that_are_not_text_are_a_400(path):
    with pytest.raises(Problem) as refusal:
        decode(path)
    assert refusal.value.status == 400


def test_ids_survive_the_path_exactly():
    for user_id in ("a/b", "%2F", "a%2Fb", "日本", "a b", "//", ".", "a\nb", "\n", "a\r\n/\n", "\u2028"):
        from urllib.parse import quote

        segments = decode(f"/v1/users/{quote(user_id, safe='')}/x".encode()).split("/")
        assert len(segments) == 5
        assert read_id(segments[3]) == user_id


def test_a_compressed_body_is_told_so(client):
    detail = refused(client.post("/v1/recommendations", content=gzip.compress(b"{}")), 422, "invalid-request")
    assert "compressed" in detail


def test_what_does_not_exist_is_a_problem_too(client):
    refused(client.get("/nonsense"), 404, "not-found")
    refused(client.patch("/v1/model"), 405, "method-not-allowed")


def test_every_answer_has_security_headers_and_a_request_id(client):
    for answer in (
        client.get("/v1/model"),
        client.get("/nonsense"),
        client.get("/explorer/"),
        client.get("/livez"),
    ):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-request-id"]
    assert client.get("/livez", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert client.get("/livez", headers={"x-request-id": "a b\tc"}).headers["x-request-id"] != "a b\tc"


def test_other_origins_may_call_only_when_told(serve):
    ask = {"origin": "https://shop.example", "access-control-request-method": "POST"}
    plain = serve()
    assert "access-control-allow-origin" not in plain.get("/livez", headers=ask).headers
    open_ = serve(cors_origins=("https://shop.example",))
    assert open_.get("/livez", headers=ask).headers["access-control-allow-origin"] == "https://shop.example"
    assert open_.options("/v1/events", headers=ask).status_code == 200
    assert (
        "access-control-allow-origin"
        not in open_.get("/livez", headers={"origin": "https://evil.example"}).headers
    )


def test_a_failure_of_ours_tells_nothing_but_its_request_id(client, monkeypatch, caplog):
    def fail(*_args, **_options):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("service.answers.similar_items", fail)
    answer = client.get("/v1/items/i0/similar")
    assert "secret" not in refused(answer, 500, "internal-error")
    assert answer.headers["x-request-id"] in [
        getattr(record, "request_id", None) for record in caplog.records
    ]


def test_the_log_names_the_key_and_the_route_but_no_secret_path_or_user(serve, key_file, capsys):
    key = new_key(key_file, "web", "read")
    with serve(keys=key_file, access_log=True) as client:
        client.get("/v1/users/ann/recommendations", headers=bearer(key))
        client.get("/v1/users/ann/recommendations?k=5&explain=2", headers=bearer(key))
    logged = capsys.readouterr().err
    assert logged.count('"route":"/v1/users/{user_id}/recommendations"') == 2
    assert '"key":"web"' in logged
    for hidden in (key, key.partition(".")[2], "ann", "explain"):
        assert hidden not in logged


def test_a_log_that_cannot_be_written_is_no_error_of_the_answer(monkeypatch):
    class Full:
        def write(self, _text: str) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    async def many_requests() -> None:
        log = AccessLog(True)
        for _ in range(1000):  # more than are kept before they are written at once
            log.add("r", "GET", "/livez", 200, 0.001, "anyone")
        log.flush()

    monkeypatch.setattr("sys.stderr", Full())
    asyncio.run(many_requests())
