"""Images built for real, and deployments of them that are taken down whatever happens."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.documents import REPOSITORY
from tests.docker.engine import BUILD_SECONDS, Deployment, compose_file, docker, has_image

OFFICIAL_BASE = "python:3.11-slim-bookworm"
LOCAL_BASE = "cml-python-base"
QUICK = Path(__file__).with_name("quick.yaml")


@pytest.fixture(scope="session")
def base_image() -> str:
    """The official Python image where it can be had, else one made of Debian packages."""
    if has_image(OFFICIAL_BASE) or docker("pull", OFFICIAL_BASE, check=False, seconds=600).returncode == 0:
        return OFFICIAL_BASE
    if not has_image(LOCAL_BASE):
        script = REPOSITORY / "docker" / "local-base-image.sh"
        made = subprocess.run(
            [str(script), LOCAL_BASE], capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
        )
        if made.returncode != 0:
            last = (made.stdout + made.stderr).strip().splitlines()[-1:]
            pytest.skip(f"{OFFICIAL_BASE} cannot be pulled, and {script.name} failed: {' '.join(last)}")
    return LOCAL_BASE


@pytest.fixture(scope="session")
def torch_wheel() -> None:
    """A wheel of torch that pip was told of on this machine, where the build of the trainer looks for one."""
    folder = REPOSITORY / "wheels"
    if not any(folder.glob("torch-*.whl")):
        offered = [
            "--no-index",
            "--no-deps",
            "--constraint",
            "constraints.txt",
            "--dest",
            str(folder),
            "torch",
        ]
        command = [sys.executable, "-m", "pip", "download", "--quiet", *offered]
        subprocess.run(command, cwd=REPOSITORY, capture_output=True, timeout=BUILD_SECONDS, check=False)


@pytest.fixture(scope="session")
def images(base_image: str, torch_wheel: None) -> str:
    """Builds the service and the trainer; returns the base image that they stand on."""
    builder = Deployment("cml-test-build", base_image, (compose_file("compose.yaml"),))
    builder.compose("build", "service", "trainer")
    return base_image


@pytest.fixture(scope="module")
def deployment(images: str) -> Iterator[Deployment]:
    """`docker/compose.yaml` after its first start."""
    yield from started(Deployment("cml-test", images, (compose_file("compose.yaml"), QUICK)))


@pytest.fixture(scope="module")
def public_deployment(images: str) -> Iterator[Deployment]:
    """The same, with `docker/compose.public.yaml` on top."""
    files = (compose_file("compose.yaml"), compose_file("compose.public.yaml"), QUICK)
    yield from started(Deployment("cml-test-public", images, files))


def started(deployment: Deployment) -> Iterator[Deployment]:
    """Up for the tests, then gone with its volumes; leftovers of a killed run go first."""
    deployment.compose("down", "--volumes")
    try:
        deployment.up()
        yield deployment
    finally:
        deployment.compose("down", "--volumes", "--timeout", "20")
