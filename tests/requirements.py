"""What some tests need of the machine beside Python: where it is, or why such a test cannot run here."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
_DEBIAN_POSTGRES = Path("/usr/lib/postgresql")  # Debian keeps the servers off the path, one folder a version


@cache
def chromium() -> str | None:
    """The browser's executable."""
    return next(filter(None, map(shutil.which, _CHROMIUM_NAMES)), None)


@cache
def postgres() -> Path | None:
    """The folder with `initdb` and `pg_ctl`, of the newest version."""
    on_path = shutil.which("pg_ctl")
    if on_path:
        return Path(on_path).parent
    installed = [found.parent for found in _DEBIAN_POSTGRES.glob("*/bin/pg_ctl")]
    return max(installed, key=lambda folder: float(folder.parent.name), default=None)


@cache
def compose() -> tuple[str, ...] | None:
    """The command that runs compose files: Docker's plugin, or the older program of its own."""
    for command in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(command[0]) and _succeeds(*command, "version"):
            return command
    return None


@cache
def docker_runs() -> bool:
    """Whether a Docker engine answers."""
    return shutil.which("docker") is not None and _succeeds("docker", "info")


def unmet(requirement: str) -> str | None:
    """Why tests marked with this requirement cannot run here; None when they can."""
    if requirement == "docker" and not docker_runs():
        return "no Docker engine answers: install docker.io and start dockerd"
    if requirement == "docker" and compose() is None:
        return "no compose command: install docker-compose"
    if requirement == "browser" and chromium() is None:
        return "no Chromium on the path: install chromium"
    if requirement == "postgres" and postgres() is None:
        return "no PostgreSQL server found: install postgresql"
    return None


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
