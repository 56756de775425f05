"""`cml evaluate`: a run or a published version on held-out interactions, beside the baselines."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import click
import numpy as np

from cml.artifact import load
from cml.commands.common import json_option, print_json
from cml.commands.models import artifact_of
from cml.commands.options import item_kinds_option
from cml.evaluation.baselines import BASELINES
from cml.evaluation.cold_judging import judge_cold_items
from cml.evaluation.cold_start import ColdReport
from cml.evaluation.judging import judge, read_for

FILE = click.Path(path_type=Path)
DEFAULT_KS = (10, 20, 50, 100)


@click.command("evaluate")
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--test", type=FILE, multiple=True, required=True, help="Held-out interactions.")
@click.option("--seen", type=FILE, multiple=True, help="More interactions to leave out of the lists.")
@click.option(
    "--k",
    "ks",
    type=click.IntRange(min=1),
    multiple=True,
    default=DEFAULT_KS,
    show_default=True,
    help="List length; may be given several times.",
)
@click.option(
    "--cold-items",
    type=FILE,
    help="Item table: judge where features or tags place the items of --test that the model lacks.",
)
@item_kinds_option
@click.option("--baselines/--no-baselines", default=True, help="Judge popularity and item-item, too.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the intervals.")
@click.option("--threads", type=click.IntRange(min=1), default=None, help="Default: all cores.")
@click.option("--strict", is_flag=True, help="Refuse a file with a row that cannot be used.")
@json_option
def command(
    run: Path,
    test: tuple[Path, ...],
    seen: tuple[Path, ...],
    ks: tuple[int, ...],
    cold_items: Path | None,
    item_kinds: dict[str, str],
    baselines: bool,
    seed: int,
    threads: int | None,
    strict: bool,
    as_json: bool,
) -> None:
    """Rank all unseen items for the users of --test and report metrics, intervals and baselines.

    RUN is what `cml train --out RUN` wrote, or the directory of a published version. Files are read as the
    run read its own: the same columns and the same threshold for what is liked. With --cold-items, the items that
    the run has never seen are placed by its features, else by their tags, and ranked, among all items and among
    themselves.
    """
    if cold_items and seen:
        raise click.UsageError("--seen does not go with --cold-items: nobody has seen an item held out whole")
    started = perf_counter()
    model = load(artifact_of(run))
    judged = read_for(model, test, strict=strict)
    if cold_items:
        rng = np.random.default_rng(seed)
        cold = judge_cold_items(model, judged, cold_items, ks, rng, kinds=item_kinds, strict=strict)
        _tell_cold(cold, max(ks), as_json, perf_counter() - started)
        return
    excluded = read_for(model, seen, strict=strict) if seen else None
    rng = np.random.default_rng(seed)
    made = BASELINES if baselines else {}
    report = judge(model, judged, excluded, ks, rng, baselines=made, threads=threads)
    seconds = perf_counter() - started
    for reading in (judged, excluded):
        for reject in reading.report.rejects.by_line() if reading else ():
            click.echo(f"rejected: {reject}", err=True)
    if as_json:
        print_json(report.as_dict() | {"seconds": round(seconds, 3), "config": model.config})
    else:
        click.echo(report.text())


def _tell_cold(report: ColdReport, k: int, as_json: bool, seconds: float) -> None:
    if as_json:
        print_json(report.as_dict() | {"seconds": round(seconds, 3)})
    else:
        click.echo(report.text(k))
