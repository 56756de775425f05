"""What every document must keep: links that lead somewhere, and no trace of the machine it was written on."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.contracts.documents import (
    README,
    REPOSITORY,
    code_blocks,
    markdown_files,
    sections,
    tracked_files,
)

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
# Written in two pieces so that this file does not hold what it looks for.
FORBIDDEN = [
    "/work" + "/main",
    "/work" + "/shared",
    ".." + "/shared",
    "/tmp" + "/brief",
    "pypi" + ".org",
    "python" + "hosted",
]


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def links(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    for block in re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL):
        text = text.replace(block, "")
    return [
        target for target in LINK.findall(text) if "://" not in target and not target.startswith("mailto:")
    ]


def problem(path: Path, target: str) -> str | None:
    """What is wrong with a relative link."""
    file, _, anchor = unquote(target).partition("#")
    found = (path.parent / file).resolve() if file else path
    if not found.is_relative_to(REPOSITORY) or not found.exists():
        return f"{name_of(path)}: {target} leads nowhere"
    if anchor and found.suffix == ".md":
        anchors = {section.anchor for section in sections(found.read_text(encoding="utf-8"))}
        if anchor not in anchors:
            return f"{name_of(path)}: {target}: no such heading; there are {', '.join(sorted(anchors))}"
    return None


def test_every_relative_link_leads_somewhere() -> None:
    found = [(path, target) for path in markdown_files() for target in links(path)]
    assert len(found) > 20
    assert [text for path, target in found if (text := problem(path, target))] == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [README]
    while waiting:
        path = waiting.pop()
        if path in reached or path.suffix != ".md" or not path.is_file():
            continue
        reached.add(path)
        waiting += [(path.parent / unquote(target).partition("#")[0]).resolve() for target in links(path)]
    pages = {path for path in markdown_files() if path.is_relative_to(REPOSITORY / "docs")}
    assert pages
    assert sorted(name_of(path) for path in pages - reached) == []


def test_no_file_speaks_of_the_machine_it_was_written_on() -> None:
    texts = {}
    for path in tracked_files():
        try:
            texts[path] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    assert len(texts) > 100
    found = [f"{name_of(path)}: {word}" for path, text in texts.items() for word in FORBIDDEN if word in text]
    assert found == []


@pytest.mark.parametrize("page", markdown_files(), ids=name_of)
def test_python_in_the_documents_is_python(page: Path) -> None:
    for block in code_blocks(page.read_text(encoding="utf-8"), "python"):
        compile(block, name_of(page), "exec")
