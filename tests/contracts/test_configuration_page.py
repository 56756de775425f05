"""docs/configuration.md lists every setting with its default: a changed default is changed there, or this fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from cml.config import RunConfig, Section, load_config, settings
from tests.contracts.documents import DOCS, code_blocks, table_rows

PAGE = DOCS / "configuration.md"


def shown(default: Any) -> str:
    """A default as one would write it after `--set NAME=`."""
    if default is None or isinstance(default, bool):
        return str(default).lower()
    return "[]" if default == () else str(default)


def documented() -> dict[str, list[str]]:
    """Cells of the rows about settings, by name."""
    rows = table_rows(PAGE.read_text(encoding="utf-8"))
    return {row[0].strip("`"): row for row in rows if row[0].startswith("`")}


def choices() -> dict[str, tuple[str, ...]]:
    """The values of every setting that has a fixed set of them."""
    found = {}
    for section, field in RunConfig.model_fields.items():
        if isinstance(field.default, Section):
            for name, inner in type(field.default).model_fields.items():
                if get_origin(inner.annotation) is Literal:
                    found[f"{section}.{name}"] = get_args(inner.annotation)
    return found


def test_every_setting_is_listed_in_order_and_nothing_else_is() -> None:
    assert settings()
    assert list(documented()) == list(settings())


def test_every_default_is_the_one_in_the_code() -> None:
    rows = documented()
    wrong = []
    for name, default in settings().items():
        right = f"`{shown(default)}`"
        if rows[name][1] != right:
            wrong.append(" | ".join(["", rows[name][0], right, *rows[name][2:], ""]).strip())
    assert not wrong, "docs/configuration.md: these lines should read\n" + "\n".join(wrong)


def test_every_choice_is_explained() -> None:
    assert choices()
    rows = documented()
    missing = [
        f"{name}: {value}"
        for name, values in choices().items()
        for value in values
        if f"`{value}`" not in rows[name][2]
    ]
    assert missing == []


def test_the_examples_are_valid_settings(tmp_path: Path) -> None:
    examples = code_blocks(PAGE.read_text(encoding="utf-8"), "toml")
    assert examples
    for number, text in enumerate(examples):
        file = tmp_path / f"{number}.toml"
        file.write_text(text, encoding="utf-8")
        assert load_config(file) != RunConfig()
