"""docs/cli.md tells of every command, argument and option, and of none that is gone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest

from adversarial.cli import cli as adversarial
from cml.cli import cli as cml
from service.command import command as service
from service.keys import command as keys
from tests.contracts.documents import DOCS, Section, code_blocks, sections

OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z0-9-]*")
LINK = re.compile(r"\]\(#([\w-]+)\)")


def commands(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with how it is called."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(f"{path} {name}", inner)
    else:
        yield path, command


COMMANDS = {
    **dict(commands("cml", cml)),
    **dict(commands("adversarial", adversarial)),
    "python -m service": service,
    **dict(commands("python -m service.keys", keys)),
}
PAGE = sections((DOCS / "cli.md").read_text(encoding="utf-8"))
BY_ANCHOR = {section.anchor: section for section in PAGE}


def section_of(path: str) -> Section:
    found = [section for section in PAGE if f"`{path}`" in section.title]
    assert len(found) == 1, f"docs/cli.md needs one heading that holds `{path}`"
    return found[0]


def text_about(section: Section) -> str:
    """The section, and those on the same page that it refers to: groups of options are told once."""
    return "\n".join([section.text, *(BY_ANCHOR[anchor].text for anchor in LINK.findall(section.text))])


def options_of(command: click.Command) -> set[str]:
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    shown = [option for option in options if not option.hidden]
    return {name for option in shown for name in (*option.opts, *option.secondary_opts)}


def names_of(argument: click.Argument, command: click.Command) -> list[str]:
    """What the page must say of an argument: its name, or the values that it may have."""
    if isinstance(argument.type, click.Choice):
        return list(argument.type.choices)
    return [argument.make_metavar(click.Context(command)).strip("[].")]


def test_there_are_commands() -> None:
    assert {"cml train", "cml models list", "adversarial fit", "python -m service"} <= set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_and_argument_is_told(path: str) -> None:
    command, text = COMMANDS[path], text_about(section_of(path))
    told = set(OPTION.findall(text))
    assert sorted(options_of(command) - told) == []
    arguments = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
    names = [name for argument in arguments for name in names_of(argument, command)]
    assert [name for name in names if f"`{name}" not in text] == []


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_that_is_told_exists(path: str) -> None:
    in_tables = {
        option
        for line in section_of(path).text.splitlines()
        if line.startswith("| `--")
        for option in OPTION.findall(line.split(" | ")[0])
    }
    assert sorted(in_tables - options_of(COMMANDS[path])) == []


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_an_example_that_could_be_typed(path: str) -> None:
    lines = [
        line.strip()
        for section in PAGE
        for block in code_blocks(section.text, "sh")
        for line in block.replace("\\\n", " ").splitlines()
    ]
    examples = [line for line in lines if line == path or line.startswith(f"{path} ")]
    assert examples, f"docs/cli.md: no example of `{path}` in a block of ```sh"
    for example in examples:
        unknown = set(OPTION.findall(example.removeprefix(path))) - options_of(COMMANDS[path])
        assert not unknown, f"docs/cli.md: {example}"
