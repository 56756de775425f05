"""`adversarial transform`: rows of either domain to adapted features or predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from adversarial import saving, tables, wdgrl
from adversarial.commands.table_options import TableFile, reading, table_options
from adversarial.errors import DataError


@click.command()
@click.option("--model", type=click.Path(path_type=Path), required=True, help="Directory that `fit` wrote.")
@click.option("--input", "source", type=TableFile, required=True, help="Rows to map.")
@click.option("--out", type=TableFile, required=True, help="File to write; its ending says the format.")
@click.option("--predict", is_flag=True, help="Write predictions as labels instead of the input's labels.")
@table_options
def command(model: Path, source: Path, out: Path, predict: bool, **options: Any) -> None:
    """Write the adapted features of INPUT, with its labels or the model's predictions."""
    estimator, facts = wdgrl.load(model), saving.facts_of(model)
    settings = reading(options)
    settings["width"] = settings["width"] or estimator.n_features_in_
    if settings["index_base"] is None:
        settings["index_base"] = facts.get("index_base")
    (table,) = tables.read_together([source], **settings)
    names = facts.get("columns")
    if names is not None and table.names is not None and table.names != names:
        raise DataError(f"{source}: columns are not in the order of the model's; the first is {names[0]!r}")
    labels = estimator.predict(table.features) if predict else table.labels
    tables.write(out, estimator.transform(table.features), labels)
    click.echo(f"{out}: {table.features.shape[0]} rows, {estimator.hidden[-1]} features")
