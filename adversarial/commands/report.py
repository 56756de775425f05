"""`adversarial report`: all experiments and one page that explains them."""

from __future__ import annotations

from pathlib import Path

import click

from adversarial import report
from adversarial.commands.table_options import Seed
from adversarial.experiments.catalogue import NAMES


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write."
)
@click.option("--only", multiple=True, type=click.Choice(NAMES), help="Run these only; may be repeated.")
@click.option("--seed", type=Seed, default=0, show_default=True)
@click.option("--effort", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True)
def command(out: Path, only: tuple[str, ...], seed: int, effort: float) -> None:
    """Write every picture and OUT/index.html.

    --effort is the share of the full number of training steps; below 1 the page comes sooner and shows less.
    """
    page = report.write(
        out, only or NAMES, seed=seed, effort=effort, observe=lambda section: click.echo(str(section.picture))
    )
    click.echo(str(page))
