"""The real command line, as a shell would run it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def run(
    *arguments: object, cwd: Path | None = None, program: str = "cml"
) -> subprocess.CompletedProcess[str]:
    """Runs `cml ARGUMENTS` to its end, whatever the outcome."""
    command = [sys.executable, "-m", program, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240)


def text(*arguments: object, cwd: Path | None = None) -> str:
    """What a successful command prints."""
    done = run(*arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def document(*arguments: object, cwd: Path | None = None) -> Any:
    """What a successful command prints with `--json`."""
    return json.loads(text(*arguments, "--json", cwd=cwd))


def complaint(done: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """The one line that a failed command says, without its `error: `."""
    assert done.returncode == code, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    return lines[0].removeprefix("error: ")
