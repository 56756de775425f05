"""The Docker engine as tests use it: commands, images, and a running deployment."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.contracts.documents import REPOSITORY
from tests.requirements import compose

SERVICE, TRAINER = "cml-service", "cml-trainer"
BUILD_SECONDS = 1500


def docker(*arguments: str, check: bool = True, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a docker command from the repository's root; what it prints is captured."""
    return _run(["docker", *arguments], os.environ, check, seconds)


def inspect(thing: str, template: str) -> str:
    """One fact about an image or a container."""
    return docker("inspect", "--format", template, thing).stdout.strip()


def wait_until(holds: Callable[[], bool], explain: Callable[[], str], seconds: float = 60) -> None:
    """Look again and again until it holds; fail with the explanation when it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.1)


def has_image(name: str) -> bool:
    return docker("image", "inspect", name, check=False).returncode == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Deployment:
    """A compose project of its own name, port and volumes."""

    project: str
    base_image: str
    files: tuple[Path, ...]
    port: int = field(default_factory=free_port)
    public_port: int = field(default_factory=free_port)

    def compose(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a compose command on this project."""
        files = [part for file in self.files for part in ("--file", str(file))]
        environment = os.environ | {
            "PYTHON_IMAGE": self.base_image,
            "CML_PORT": str(self.port),
            "CML_PUBLIC_PORT": str(self.public_port),
        }
        command = [*(compose() or ()), "--project-name", self.project, *files, *arguments]
        return _run(command, environment, check, BUILD_SECONDS)

    def up(self) -> None:
        """Start what is not running, and wait until the service answers."""
        self.compose("up", "--detach", "--no-build")
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        wait_until(self._is_ready, lambda: self.logs("service"))

    def _is_ready(self) -> bool:
        try:
            return self.get("/readyz").status_code == 200
        except httpx.TransportError:  # nobody listens yet
            return False

    def logs(self, service: str) -> str:
        said = self.compose("logs", "--no-color", service)
        return said.stdout + said.stderr

    def container(self, service: str = "service") -> str:
        """The id of a service's container."""
        return self.compose("ps", "--quiet", service).stdout.strip()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **options) -> httpx.Response:
        return httpx.get(self.url + path, timeout=30, **options)

    def post(self, path: str, **options) -> httpx.Response:
        return httpx.post(self.url + path, timeout=30, **options)


def compose_file(name: str) -> Path:
    return REPOSITORY / "docker" / name


def _run(
    command: Sequence[str], environment: Mapping[str, str], check: bool, seconds: float
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0 or not check, (
        f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    )
    return done
