"""What must agree with what in the files for Docker. Needs no Docker engine."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from sqlalchemy import make_url

from tests.contracts.documents import REPOSITORY

LOCKED = re.compile(
    r"^([A-Za-z0-9_.-]+)==(\S+?)(?: ;.*)? \\$((?:\n    --hash=sha256:[0-9a-f]{64}(?: \\)?)+)", re.M
)
TRAINING_ONLY = {"torch", "pandas", "scipy", "pyarrow", "scikit-learn", "pot", "matplotlib"}
EXTRAS = {"service.lock": ["postgres"], "service-s3.lock": ["postgres", "s3"]}


def read(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def plain(name: str) -> str:
    """A package's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(lock: str) -> dict[str, str]:
    return {plain(name): version for name, version, _hashes in LOCKED.findall(read(f"docker/{lock}"))}


def constraints() -> dict[str, str]:
    lines = (line.partition("#")[0].strip() for line in read("constraints.txt").splitlines())
    return {plain(name): version for name, _, version in (line.partition("==") for line in lines if line)}


def project() -> dict:
    return tomllib.loads(read("pyproject.toml"))["project"]


@pytest.mark.parametrize("lock", EXTRAS)
def test_every_line_of_the_lock_is_a_version_with_hashes(lock):
    requirements = [line for line in read(f"docker/{lock}").splitlines() if "==" in line]
    assert len(requirements) == len(locked(lock)) > 10


@pytest.mark.parametrize("lock", EXTRAS)
def test_the_service_image_gets_the_versions_that_everybody_else_gets(lock):
    assert {name: constraints().get(name) for name in locked(lock)} == locked(lock), "run `make lock`"


@pytest.mark.parametrize("lock", EXTRAS)
def test_the_lock_has_every_dependency_of_what_serves_and_nothing_of_training(lock):
    extras = project()["optional-dependencies"]
    wanted = project()["dependencies"] + [line for extra in EXTRAS[lock] for line in extras[extra]]
    needed = {plain(re.match(r"[A-Za-z0-9_.-]+", line)[0]) for line in wanted}
    assert needed <= locked(lock).keys(), "run `make lock`"
    assert not TRAINING_ONLY & locked(lock).keys()


def test_without_a_word_the_service_image_has_no_driver_of_an_object_store():
    assert re.search(r"^ARG LOCK=service\.lock$", read("docker/Dockerfile"), re.M)
    assert not {"fsspec", "s3fs", "botocore"} & locked("service.lock").keys()


def test_the_images_are_labelled_with_the_version_of_the_package():
    assert set(re.findall(r"ARG VERSION=(\S+)", read("docker/Dockerfile"))) == {project()["version"]}


def test_everything_that_the_dockerfile_copies_is_let_into_the_build():
    let_in = {line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")}
    copied = [
        source
        for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", read("docker/Dockerfile"), re.M)
        for source in sources.split()
    ]
    assert len(copied) > 5
    for source in copied:
        assert source in let_in or source.split("/")[0] in let_in, source


def test_with_postgres_service_and_retraining_share_one_store_and_wait_for_it():
    compose = yaml.safe_load(read("docker/compose.postgres.yaml"))
    services = compose["services"]
    assert services["retrain"]["environment"] == services["service"]["environment"]
    url = make_url(services["service"]["environment"]["CML_SERVICE_EVENTS"])
    server = services[url.host]
    assert server["environment"]["POSTGRES_USER"] == url.username
    assert server["environment"]["POSTGRES_DB"] == url.database
    assert re.search(r":-postgres:\d+\b", server["image"])  # a major version never changes under its data
    for name in ("service", "retrain"):
        assert services[name]["depends_on"][url.host]["condition"] == "service_healthy"
    mounted = [volume for one in services.values() for volume in one.get("volumes", [])]
    assert {volume.split(":")[0] for volume in mounted} == compose["volumes"].keys()
    assert not [name for name, one in services.items() if "ports" in one]


def test_the_password_is_made_once_and_for_those_who_need_it(tmp_path):
    compose = yaml.safe_load(read("docker/compose.postgres.yaml"))
    shell, options, script = compose["services"]["password"]["command"]
    script = (
        script.replace("$$", "$")
        .replace("/secrets/", f"{tmp_path}/")
        .replace("python ", f"{sys.executable} ")
    )
    for _ in range(2):
        subprocess.run([shell, options, script], check=True)
        password = (tmp_path / "password").read_text()
        assert len(password) == 48
        assert (tmp_path / "pgpass").read_text() == f"postgres:5432:cml:cml:{password}\n"
    assert (tmp_path / "pgpass").stat().st_mode & 0o777 == 0o600  # or the driver would not read it
    assert (tmp_path / "password").stat().st_mode & 0o777 == 0o444
    again = (tmp_path / "password").read_text()
    subprocess.run([shell, options, script], check=True)
    assert (tmp_path / "password").read_text() == again
