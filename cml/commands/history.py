"""`cml history`: what became of every retraining, as a table and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cml.commands.common import json_option, models_option, print_json
from cml.errors import DataError
from cml.registry import Registry
from cml.retraining import past
from cml.storage.place import Place, shown

HEADINGS = (
    "began",
    "outcome",
    "metric",
    "candidate",
    "current",
    "popularity",
    "new",
    "cold",
    "shift",
    "moved",
)


@click.command("history")
@models_option
@click.option("--last", type=click.IntRange(min=1), help="Only so many rounds, the latest.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw quality, data and drift over time into this file (png, svg or pdf).",
)
@json_option
def command(models: Place, last: int | None, plot: Path | None, as_json: bool) -> None:
    """Show every retraining of a registry: quality beside the version before, size of the data, drift.

    `new` counts likes that the version before had not seen, `cold` is the share of judged users whom training did
    not know, `shift` how much likes moved between items (0 to 1), `moved` how far common items moved on average.
    """
    rows = past.read(Registry(models))
    if not rows:
        raise DataError(f"{shown(models)}: nothing was retrained here yet; `cml retrain` adds a line a round")
    rows = rows[-last:] if last else rows
    if plot is not None:
        from cml.pictures import write_picture
        from cml.retraining.plot import figure_of

        write_picture(figure_of(rows), plot)
    if as_json:
        print_json({"rounds": rows, "plot": str(plot) if plot else None})
        return
    click.echo(table(rows))
    if plot is not None:
        click.echo(f"drawn to {plot}")


def table(rows: list[dict[str, Any]]) -> str:
    """One line a round, oldest first, under headings; `-` for what a round did not come to."""
    lines = [HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(row["at"])[:16].replace("T", " "),
        str(row["outcome"]),
        row.get("metric") or "-",
        _number(row.get("candidate"), ".4f"),
        _number(past.of_version_before(row), ".4f"),
        _number(row.get("baseline popularity"), ".4f"),
        _number(row.get("new"), ",d"),
        _number(row.get("cold_users"), ".1%"),
        _number(row.get("popularity_shift"), ".3f"),
        _number(row.get("displacement"), ".3f"),
    )


def _number(value: Any, form: str) -> str:
    return "-" if value is None else format(value, form)
