"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import ValidationError

from cml.config import DataConfig
from cml.errors import ConfigError

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class ReadingFlags:
    """How the user wants files to be read: the flags that were given, and whether rejects are tolerated."""

    given: Mapping[str, Any]
    strict: bool

    def applied_to(self, config: DataConfig = DataConfig()) -> DataConfig:  # noqa: B008  frozen, so shared safely
        """The configuration with the given flags in place of its values. Raises ConfigError."""
        try:
            return DataConfig.model_validate(config.model_dump() | dict(self.given))
        except ValidationError as error:
            first = error.errors()[0]
            flag = "--" + str(first["loc"][0]).replace("_", "-")
            raise ConfigError(f"{flag} {first['input']!r}: {first['msg']}; see docs/data.md") from None


_READING: dict[str, tuple[Any, str]] = {
    "user_column": (str, "Column of user ids."),
    "item_column": (str, "Column of item ids."),
    "rating_column": (str, "Column of ratings or counts."),
    "timestamp_column": (str, "Column of times: seconds, milliseconds or ISO 8601."),
    "weight_column": (str, "Column of weights."),
    "like_threshold": (float, "Rating from which on a pair is liked; without it, every pair is."),
    "dislike_threshold": (float, "Rating up to which a pair is disliked."),
    "min_user_interactions": (int, "Leave out users with fewer liked pairs."),
    "min_item_interactions": (int, "Leave out items with fewer liked pairs."),
    "duplicates": (click.Choice(["last", "first", "max", "sum"]), "What becomes of several rows of a pair."),
}


def reading_options(command: Command) -> Command:
    """Add the options for reading interactions; the command gets them as `reading: ReadingFlags`."""

    @functools.wraps(command)
    def with_flags(*args: Any, strict: bool, **kwargs: Any) -> Any:
        given = {name: kwargs.pop(name) for name in _READING}
        given = {name: value for name, value in given.items() if value is not None}
        return command(*args, reading=ReadingFlags(given, strict), **kwargs)

    decorated: Any = with_flags
    decorated = click.option("--strict", is_flag=True, help="Refuse a file with a row that cannot be used.")(
        decorated
    )
    for name, (kind, text) in reversed(_READING.items()):
        default = DataConfig.model_fields[name].default
        shown = "" if default is None else f"  [default: {default}]"
        flag = "--" + name.replace("_", "-")
        decorated = click.option(flag, name, type=kind, default=None, help=text + shown)(decorated)
    return decorated


def items_options(command: Command) -> Command:
    """Add the options for an item table; the command gets `items` (a path or None) and `item_kinds`."""
    table = click.option(
        "--items",
        type=click.Path(path_type=Path),
        default=None,
        help="Item table: titles, and columns to filter by.",
    )
    return table(item_kinds_option(command))


def users_options(command: Command) -> Command:
    """Add the options for a user table; the command gets `users` (a path or None) and `user_kinds`."""
    table = click.option(
        "--users",
        type=click.Path(path_type=Path),
        default=None,
        help="User table: what is known of users besides what they like. No value of it is published.",
    )
    return table(_kinds_option("user")(command))


def item_kinds_option(command: Command) -> Command:
    """Add `--item-kind COLUMN=KIND`; the command gets `item_kinds`, a kind by column."""
    return _kinds_option("item")(command)


def _kinds_option(what: str) -> Callable[[Command], Command]:
    return click.option(
        f"--{what}-kind",
        f"{what}_kinds",
        multiple=True,
        callback=_kinds_given,
        metavar="COLUMN=KIND",
        help=f"Read a column of the {what} table as text, tags, number or date.",
    )


def feature_matrix_option(text: str) -> Callable[[Command], Command]:
    """Add `--feature-matrix NAME=FILE`, several times; the command gets `matrices`."""
    return click.option("--feature-matrix", "matrices", multiple=True, metavar="NAME=FILE", help=text)


def _kinds_given(_context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """What `--item-kind COLUMN=KIND`, several times, says."""
    kinds: dict[str, str] = {}
    for text in given:
        column, separator, kind = text.rpartition("=")
        if not separator:
            raise click.BadParameter(
                f"{text!r}: expected COLUMN=KIND, for example {option.opts[0]} note=text"
            )
        kinds[column] = kind
    return kinds
