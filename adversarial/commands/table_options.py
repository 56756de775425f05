"""How commands are told to read feature tables, and their chance. Imports nothing that takes time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

TableFile = click.Path(path_type=Path, dir_okay=False)
Seed = click.IntRange(0, 2**32 - 1)


def table_options(function: Callable[..., None]) -> Callable[..., None]:
    """How feature tables are read."""
    for option in (
        click.option("--index-base", type=click.Choice(["0", "1"]), help="First index in svmlight files."),
        click.option("--label-column", default="label", show_default=True, help="Column with the labels."),
        click.option("--features", type=click.IntRange(1), help="Width of svmlight tables; else inferred."),
    ):
        function = option(function)
    return function


def reading(options: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments of `tables.read_together` that the options ask for."""
    base = options["index_base"]
    return {
        "label_column": options["label_column"],
        "width": options["features"],
        "index_base": None if base is None else int(base),
    }
