"""`adversarial wasserstein`: the distance between two tables of points, with its certificate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from adversarial import tables, wasserstein
from adversarial.commands.table_options import Seed, TableFile, reading, table_options


@click.command()
@click.argument("x", type=TableFile)
@click.argument("y", type=TableFile)
@click.option("--sliced", type=click.IntRange(1), help="Average over so many projections instead of exact.")
@click.option("--seed", type=Seed, default=0, show_default=True, help="Of the projections.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@table_options
def command(x: Path, y: Path, sliced: int | None, seed: int, as_json: bool, **options: Any) -> None:
    """W_1 between the rows of two tables under the Euclidean distance; labels are ignored."""
    first, second = (
        tables.as_dense(table.features) for table in tables.read_together([x, y], **reading(options))
    )
    if sliced is not None:
        value = wasserstein.sliced(first, second, rng=np.random.default_rng(seed), projections=sliced)
        result: dict[str, float] = {"value": value, "projections": sliced}
    else:
        found = wasserstein.exact(first, second)
        result = {"value": found.value, "gap": found.gap, "violation": found.violation}
    result |= {"n": len(first), "m": len(second)}
    click.echo(
        json.dumps(result) if as_json else " ".join(f"{name} {number}" for name, number in result.items())
    )
