"""`adversarial evaluate`: fit a method on two domains and judge it on labelled rows of the target."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from adversarial import tables
from adversarial.commands.options import make_estimator, training_options
from adversarial.commands.table_options import TableFile, reading, table_options
from adversarial.errors import DataError
from adversarial.wdgrl import DomainAdaptedClassifier


@click.command()
@training_options
@table_options
@click.option("--test", type=TableFile, required=True, help="Labelled rows of the target, for judging only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(source: Path, target: Path, test: Path, as_json: bool, **options: Any) -> None:
    """Fit a method on SOURCE and TARGET and report its accuracy on TEST.

    Labels of the target are never trained on, and labels of TEST are only counted against.
    """
    from_source, from_target, judged = tables.read_together([source, target, test], **reading(options))
    labels, answers = from_source.require_classes(source), judged.require_labels(test)
    _require_known(answers, labels, test, source)
    estimator = make_estimator(DomainAdaptedClassifier, options)
    started, cpu = time.perf_counter(), time.process_time()
    estimator.fit(from_source.features, labels, from_target.features)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    result = {
        "method": options["method"],
        "accuracy": float(estimator.score(judged.features, answers)),
        "steps": options["steps"],
        "seed": options["seed"],
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu_seconds, 3),
        "source": str(source),
        "target": str(target),
        "test": str(test),
        "rows": {"source": len(labels), "target": from_target.features.shape[0], "test": len(answers)},
        "features": int(from_source.features.shape[1]),
        "settings": {k: v for k, v in estimator.get_params().items() if k not in ("head", "random_state")},
    }
    if as_json:
        click.echo(json.dumps(result))
        return
    click.echo(
        f"{options['method']}: accuracy {result['accuracy']:.4f} on {len(answers)} rows of {test} "
        f"after {options['steps']} steps, seed {options['seed']}, {seconds:.1f} s"
    )


def _require_known(answers: np.ndarray, labels: np.ndarray, test: Path, source: Path) -> None:
    """Raises DataError for an answer that no source row has, which would be wrong whatever is predicted."""
    classes = set(labels.tolist())
    for row, answer in enumerate(answers.tolist(), start=1):
        if answer not in classes:
            known = ", ".join(repr(name) for name in sorted(classes, key=str)[:5])
            raise DataError(
                f"{test}: data row {row} has label {answer!r}, and the labels of {source} are {known}; "
                "use the same labels in both, or drop the row"
            )
