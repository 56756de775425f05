"""`adversarial experiment`: run one experiment and draw its picture."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from adversarial import report
from adversarial.commands.table_options import Seed
from adversarial.errors import SettingError
from adversarial.experiments.catalogue import NAMES


@click.command()
@click.argument("name", type=click.Choice(NAMES))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for the picture.")
@click.option("--show", is_flag=True, help="Open the picture in the system's image viewer.")
@click.option("--seed", type=Seed, default=0, show_default=True)
@click.option("--effort", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True)
def command(name: str, out: Path | None, show: bool, seed: int, effort: float) -> None:
    """Run experiment NAME, write NAME.png and say what is seen.

    --effort is the share of the full number of training steps; below 1 the picture comes sooner and shows less.
    """
    if out is None and not show:
        raise SettingError("nothing to do with the picture: give --out DIR, --show or both")
    folder = out if out is not None else Path(tempfile.mkdtemp(prefix="adversarial-"))
    section = report.perform(name, folder, seed=seed, effort=effort)
    click.echo(f"{section.picture}\n{section.text}")
    if show:
        click.launch(str(section.picture))
