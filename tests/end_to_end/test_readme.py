"""What the documents tell a reader to type works, as it stands."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cml.bundled import bundled_interactions, bundled_items
from tests.contracts.documents import DOCS, README, code_blocks
from tests.end_to_end.commands import text
from tests.end_to_end.servers import server

pytestmark = pytest.mark.slow

ADDRESS = "http://127.0.0.1:8000"
# Pages whose Python runs on its own, in a folder where `make demo` or the quickstart has been.
WITH_PYTHON = ["README.md", "docs/artifact.md", "docs/configuration.md", "docs/data.md", "docs/training.md"]


HURRY = ["--set", "epochs=1", "--set", "start=random", "--threads", "1"]


def run_python(code: str, folder: Path) -> str:
    """What the code prints; on one thread, because a busy machine makes many wait for each other."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs/films and models, as the quickstart leaves it; learned in a hurry."""
    where = tmp_path_factory.mktemp("reader")
    data = ["--train", bundled_interactions(), "--items", bundled_items()]
    text("train", *data, "--out", "runs/films", "--set", "dim=8", *HURRY, cwd=where)
    text("models", "publish", "runs/films", "--to", "models", cwd=where)
    return where


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_python_of_a_page_runs(page: str, folder: Path) -> None:
    blocks = code_blocks((DOCS.parent / page).read_text(encoding="utf-8"), "python")
    assert blocks
    run_python("\n".join(blocks), folder)


def test_the_readme_has_five_lines_of_python_that_print_a_list(folder: Path) -> None:
    (block,) = code_blocks(README.read_text(encoding="utf-8"), "python")
    assert len([line for line in block.splitlines() if line and "import" not in line]) == 5
    printed = run_python(block, folder).splitlines()
    assert len(printed) == 5
    assert all("because of" in line for line in printed)


def test_the_five_lines_of_curl_are_answered(folder: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    blocks = code_blocks(README.read_text(encoding="utf-8"), "sh")
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("curl ")]
    assert len(lines) == 5
    with server(folder / "models") as running:
        for line in lines:
            command = [*shlex.split(line.replace(ADDRESS, running.url)), "--silent", "--fail-with-body"]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, f"{line}: {done.stdout}"
            assert json.loads(done.stdout)
