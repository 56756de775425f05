"""`adversarial fit`: learn adapted features and store the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from adversarial import tables
from adversarial.adaptation import Record
from adversarial.commands.options import make_estimator, training_options
from adversarial.commands.table_options import TableFile, reading, table_options
from adversarial.errors import ModelError
from adversarial.wdgrl import DomainAdaptedClassifier, DomainAdaptedRegressor


@click.command()
@training_options
@table_options
@click.option("--task", type=click.Choice(["classify", "regress"]), default="classify", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New directory for the model.")
@click.option("--history", type=TableFile, help="Also write the losses as a table (CSV).")
def command(source: Path, target: Path, task: str, out: Path, history: Path | None, **options: Any) -> None:
    """Learn from labelled SOURCE and unlabelled TARGET rows, and store the model in a new directory."""
    if out.exists():
        raise ModelError(f"{out} exists; choose another directory or remove this one")
    from_source, from_target = tables.read_together([source, target], **reading(options))
    if task == "classify":
        labels, estimator = (
            from_source.require_classes(source),
            make_estimator(DomainAdaptedClassifier, options),
        )
    else:
        labels, estimator = (
            from_source.require_amounts(source),
            make_estimator(DomainAdaptedRegressor, options),
        )
    for written in (out, history) if history is not None else (out,):
        written.parent.mkdir(parents=True, exist_ok=True)  # before the training, which nobody wants to lose
    with tqdm(total=options["steps"], unit="step", disable=None) as bar:

        def observe(record: Record) -> None:
            bar.update(int(record["step"]) - bar.n)
            bar.set_postfix(task=record["task_loss"], alignment=record["alignment_loss"])

        estimator.fit(from_source.features, labels, from_target.features, observe=observe)
    bases = [table.index_base for table in (from_source, from_target) if table.index_base is not None]
    names = [table.names for table in (from_source, from_target) if table.names is not None]
    estimator.save(out, facts={"index_base": next(iter(bases), None), "columns": next(iter(names), None)})
    if history is not None:
        _write_history(history, estimator.history_)
    last = estimator.history_[-1]
    click.echo(f"{out}: {options['method']}, {options['steps']} steps, task loss {last['task_loss']:.4f}")


def _write_history(path: Path, history: list[Record]) -> None:
    import pandas as pd

    pd.DataFrame(history).to_csv(path, index=False)
