"""`cml retrain`: train again on fresh data, and publish if the result is no worse than the current version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from cml.commands.common import json_option, models_option, print_json
from cml.commands.options import ReadingFlags, items_options, reading_options
from cml.commands.progress import progress
from cml.config import RunConfig, load_config
from cml.data.items import read_items
from cml.data.reading import read_interactions
from cml.manifest import read_manifest
from cml.registry import Registry
from cml.retraining.retrain import Retraining, retrain

FILE = click.Path(path_type=Path)


@click.command("retrain")
@click.option(
    "--train", "files", type=FILE, multiple=True, required=True, help="All interactions known by now."
)
@items_options
@models_option
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Keep the run in this directory."
)
@click.option(
    "--config", "config_file", type=FILE, help="TOML file with settings; default: the current version's."
)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="One setting; repeatable.")
@click.option("--seed", type=click.IntRange(min=0), help="Of everything random.")
@click.option("--threads", type=click.IntRange(min=1), help="Default: all cores.")
@reading_options
@json_option
def command(
    files: tuple[Path, ...],
    items: Path | None,
    item_kinds: Mapping[str, str],
    models: Path,
    out: Path | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    seed: int | None,
    threads: int | None,
    reading: ReadingFlags,
    as_json: bool,
) -> None:
    """Train on the files, judge the model and the current version on pairs held out of them, and publish.

    Exits with 3, and changes nothing, when the new model is clearly worse than publish.tolerance allows.
    """
    registry = Registry(models)
    config = _config(registry, config_file, overrides, reading, seed=seed, threads=threads)
    read = read_interactions(files, config.data, strict=reading.strict)
    for line in read.report.rejects.by_line():
        click.echo(f"rejected: {line}", err=True)
    catalogue = partial(read_items, items, kinds=item_kinds) if items else None
    with _run_directory(out) as run, progress(config.train.epochs, shown=not as_json) as listen:
        done = retrain(registry, run, read.dataset, config, catalogue=catalogue, listen=listen)
    _tell(done, out, models, as_json)
    done.verdict.require()


def _config(
    registry: Registry,
    config_file: Path | None,
    overrides: tuple[str, ...],
    reading: ReadingFlags,
    *,
    seed: int | None,
    threads: int | None,
) -> RunConfig:
    """The current version's settings, unless there is a file; then what the flags say."""
    current = registry.current()
    base = read_manifest(registry.path(current)).config if current else {}
    config = load_config(config_file, overrides, base=base, seed=seed, threads=threads)
    return config.model_copy(update={"data": reading.applied_to(config.data)})


@contextmanager
def _run_directory(out: Path | None) -> Iterator[Path]:
    if out:
        yield out
        return
    with TemporaryDirectory(prefix="cml-retrain-") as directory:
        yield Path(directory)


def _tell(done: Retraining, out: Path | None, models: Path, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "published": done.version is not None,
                "version": done.version,
                "before": done.before,
                "run": str(out) if out else None,
                "verdict": done.verdict.as_dict(),
            }
        )
    elif done.version:
        click.echo(done.verdict.reason)
        click.echo(f"published {done.version} to {models} (before: {done.before or 'nothing'})")
