"""docs/architecture.md knows every module: a new one gets its line, a removed one loses it."""

from __future__ import annotations

import re

from tests.contracts.documents import DOCS, REPOSITORY, table_rows, tracked_files
from tests.contracts.test_imports import TRAINING_ONLY, modules_after

PLACE = re.compile(r"`((?:cml|service|adversarial)/[\w/.]*)`")
PAGE = (DOCS / "architecture.md").read_text(encoding="utf-8")
TOLD = set(PLACE.findall(PAGE))


def modules() -> list[str]:
    names = (path.relative_to(REPOSITORY) for path in tracked_files() if path.suffix == ".py")
    return [str(name) for name in names if name.parts[0] in ("cml", "service", "adversarial")]


def is_told(module: str) -> bool:
    """By name, or by a folder that stands for all in it."""
    folder = module.rpartition("/")[0] + "/"
    return module in TOLD or folder in TOLD


def test_every_module_is_told() -> None:
    named = [module for module in modules() if not module.endswith("__init__.py")]
    assert named
    assert sorted(module for module in named if not is_told(module)) == []


def test_every_place_that_is_told_exists() -> None:
    assert TOLD
    assert sorted(place for place in TOLD if not (REPOSITORY / place).exists()) == []


def test_what_is_marked_as_published_half_loads_nothing_of_training() -> None:
    rows = table_rows(PAGE)
    marked = {place for row in rows if row[0].endswith("**p**") for place in PLACE.findall(row[0])}
    assert "cml/recommend.py" in marked
    names = [place.removesuffix(".py").replace("/", ".") for place in sorted(marked)]
    assert modules_after(f"import {', '.join(names)}").isdisjoint(TRAINING_ONLY)
