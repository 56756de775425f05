"""Who may import whom, and what the light parts must not load."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.contracts.documents import REPOSITORY
from tests.service.worlds import publish

TRAINING_ONLY = ("torch", "pandas", "scipy", "sklearn", "pyarrow", "adversarial")

ASK_EVERYTHING = """
import json, sys
from pathlib import Path
for name in {absent}:
    sys.modules[name] = None  # importing it raises
from starlette.testclient import TestClient
from service.app import create_app
from service.settings import Settings

with TestClient(create_app(Settings(models=Path({models!r}), access_log=False))) as client:
    users, items = "/v1/users/ann", "/v1/items/i0"
    paths = [
        "/readyz", "/metrics", "/v1/model", "/v1/lists/trending", "/v1/items?title=alien", users, items,
        users + "/recommendations?explain=1&diversity=0.3", "/v1/users/nobody/recommendations",
        users + "/similar", items + "/similar", items + "/users", "/v1/admin/versions",
    ]
    bodies = {{
        "/v1/recommendations": {{"liked": [{{"item_id": "i0"}}], "where": {{"genres": "Comedy"}}}},
        "/v1/recommendations/batch": {{"user_ids": ["ann", "nobody"]}},
        "/v1/events": {{"events": [{{"user_id": "x", "item_id": "i0", "type": "like"}}]}},
    }}
    answers = [client.get(path) for path in paths]
    answers += [client.post(path, json=body) for path, body in bodies.items()]
    answers += [client.delete(users), client.put(items, json={{"metadata": {{"title": "A"}}}})]
print(json.dumps({{str(answer.request.url): answer.text for answer in answers if answer.status_code != 200}}))
"""


def modules_after(statements: str) -> set[str]:
    """Top-level names of everything that a fresh interpreter has loaded after these statements."""
    code = f"{statements}\nimport json, sys; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}


def contracts() -> list[dict]:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    return settings["tool"]["importlinter"]["contracts"]


def test_the_import_contracts_hold() -> None:
    """In a process of its own: the linter sets up logging for the process that it runs in."""
    assert contracts()
    lint = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True, no_logo=True))"
    done = subprocess.run([sys.executable, "-c", lint], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, done.stdout


def test_the_import_contracts_speak_of_modules_that_exist() -> None:
    named = {module for contract in contracts() for module in contract["source_modules"]}
    assert "service" in named
    assert [module for module in sorted(named) if find_spec(module) is None] == []


@pytest.mark.parametrize(
    "statements",
    [
        "import service.app",
        "import service.command",
        "import service.server",
        "import cml.commands.recommend, cml.commands.similar, cml.commands.models",
    ],
)
def test_what_serves_loads_nothing_of_training(statements: str) -> None:
    loaded = modules_after(statements)
    assert "numpy" in loaded or "click" in loaded  # the import did something
    assert loaded.isdisjoint(TRAINING_ONLY)


def test_importing_the_package_loads_nothing_but_the_package() -> None:
    assert modules_after("import cml").isdisjoint({*TRAINING_ONLY, "numpy", "faiss", "pydantic", "click"})


@pytest.mark.parametrize("program", ["cml", "adversarial"])
def test_help_loads_nothing_heavy(program: str) -> None:
    loaded = modules_after(f"from {program}.cli import cli; cli(['--help'], standalone_mode=False)")
    assert "click" in loaded
    assert loaded.isdisjoint({*TRAINING_ONLY, "faiss", "numpy"} - {program})


def test_the_service_answers_where_training_libraries_cannot_be_imported(tmp_path: Path) -> None:
    publish(tmp_path / "models")
    code = ASK_EVERYTHING.format(absent=TRAINING_ONLY, models=str(tmp_path / "models"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}
