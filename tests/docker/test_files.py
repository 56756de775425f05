"""What must agree with what in the files for Docker. Needs no Docker engine."""

from __future__ import annotations

import re
import tomllib

from tests.contracts.documents import REPOSITORY

LOCKED = re.compile(
    r"^([A-Za-z0-9_.-]+)==(\S+?)(?: ;.*)? \\$((?:\n    --hash=sha256:[0-9a-f]{64}(?: \\)?)+)", re.M
)
TRAINING_ONLY = {"torch", "pandas", "scipy", "pyarrow", "scikit-learn", "pot", "matplotlib"}


def read(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def plain(name: str) -> str:
    """A package's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> dict[str, str]:
    return {plain(name): version for name, version, _hashes in LOCKED.findall(read("docker/service.lock"))}


def constraints() -> dict[str, str]:
    lines = (line.partition("#")[0].strip() for line in read("constraints.txt").splitlines())
    return {plain(name): version for name, _, version in (line.partition("==") for line in lines if line)}


def project() -> dict:
    return tomllib.loads(read("pyproject.toml"))["project"]


def test_every_line_of_the_lock_is_a_version_with_hashes():
    requirements = [line for line in read("docker/service.lock").splitlines() if "==" in line]
    assert len(requirements) == len(locked()) > 10


def test_the_service_image_gets_the_versions_that_everybody_else_gets():
    assert {name: constraints().get(name) for name in locked()} == locked(), "run `make lock`"


def test_the_lock_has_every_dependency_of_the_base_install_and_nothing_of_training():
    needed = {plain(re.match(r"[A-Za-z0-9_.-]+", line)[0]) for line in project()["dependencies"]}
    assert needed <= locked().keys(), "run `make lock`"
    assert not TRAINING_ONLY & locked().keys()


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
