"""The repository's documents as data: sections, tables, links, code blocks."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
README = REPOSITORY / "README.md"

_HEADING = re.compile(r"^(#+) +(.+?) *$")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Section:
    """A heading and what follows it, up to the next heading of any level."""

    level: int
    title: str  # as written, backticks included
    text: str

    @property
    def anchor(self) -> str:
        """What a link says after `#` to come here, as GitHub makes it."""
        return re.sub(r"[^\w\- ]", "", self.title.lower()).replace(" ", "-")

    @property
    def codes(self) -> list[str]:
        """Everything in single backticks."""
        return _CODE.findall(self.text)


def tracked_files() -> list[Path]:
    """Files that git keeps, or will with the next `git add`; all files where there is no git."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    paths = (REPOSITORY / name for name in listed.split("\0") if name)
    return [path for path in paths if path.is_file()]


def markdown_files() -> list[Path]:
    return [path for path in tracked_files() if path.suffix == ".md"]


def sections(text: str) -> list[Section]:
    """Sections in order; text before the first heading is left out, headings inside code blocks are none."""
    found: list[tuple[int, str, list[str]]] = []
    fenced = False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        heading = None if fenced else _HEADING.match(line)
        if heading:
            found.append((len(heading[1]), heading[2], []))
        elif found:
            found[-1][2].append(line)
    return [Section(level, title, "\n".join(lines)) for level, title, lines in found]


def code_blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [block for name, block in _FENCE.findall(text) if name == language]


def table_rows(text: str) -> list[list[str]]:
    """The cells of every table row, header and ruler included; an escaped bar does not separate."""
    rows = (line.strip() for line in text.splitlines() if line.lstrip().startswith("|"))
    return [[cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]
