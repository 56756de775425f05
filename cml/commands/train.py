"""`cml train`: from interaction files to a run directory."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click
import orjson
from tqdm import tqdm

from cml.adapted import Adapted
from cml.catalogue import Catalogue
from cml.commands.common import RegistryPlace, json_option, print_json
from cml.commands.duration import Duration
from cml.commands.options import (
    ReadingFlags,
    feature_matrix_option,
    items_options,
    reading_options,
    users_options,
)
from cml.commands.progress import progress
from cml.config import RunConfig, load_config
from cml.data.dataset import Dataset
from cml.data.items import read_items, read_others
from cml.data.matrices import absolute
from cml.data.reading import read_interactions, read_together
from cml.data.split import split
from cml.data.users import read_users
from cml.pipeline import ARTIFACT, ReadCatalogue, TrainedRun, train
from cml.registry import Registry
from cml.storage.place import Place
from cml.training.profiling import OFF, Timer
from cml.training.tuning import Budget, Trial
from cml.vocabulary import Vocabulary

FILE = click.Path(path_type=Path)


@click.command("train")
@click.option(
    "--train", "train_files", type=FILE, multiple=True, required=True, help="Interactions to learn from."
)
@click.option("--valid", type=FILE, multiple=True, help="Held-out interactions that choose the epoch.")
@click.option("--hold-out", is_flag=True, help="Without --valid: hold out pairs as split.method says.")
@items_options
@click.option(
    "--features",
    metavar="COLUMNS",
    help="Columns of the item table that place items without interactions, and help to place the others: "
    "genres,year:numeric.  [sets features.columns]",
)
@feature_matrix_option(
    "One more feature: rows of numbers in an NPZ file with item ids; repeatable.  [sets features.matrices]"
)
@users_options
@click.option(
    "--user-features",
    metavar="COLUMNS",
    help="Columns of the user table that place users without interactions, and help to place those with few: "
    "age,occupation:categorical.  [sets user_features.columns]",
)
@click.option(
    "--user-feature-matrix",
    "user_matrices",
    multiple=True,
    metavar="NAME=FILE",
    help="One more feature of users: rows of numbers in an NPZ file with user ids; repeatable.  "
    "[sets user_features.matrices]",
)
@click.option(
    "--adapt",
    "target",
    type=FILE,
    metavar="TARGET_ITEMS",
    help="Item table of another catalogue, without interactions, that --features shall place as well.",
)
@click.option(
    "--adapt-plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --adapt: draw both catalogues before and after into this file (png, svg or pdf).",
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Run directory.")
@click.option(
    "--models",
    type=RegistryPlace(),
    help="Then publish the model into this registry, a directory or a URL; not if Ctrl-C ended the training.",
)
@click.option("--refit", is_flag=True, help="Then learn from training and validation pairs together.")
@click.option("--config", "config_file", type=FILE, help="TOML file with settings.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="One setting; repeatable.")
@click.option("--seed", type=click.IntRange(min=0), help="Of everything random.  [default: 0]")
@click.option("--threads", type=click.IntRange(min=1), help="Default: all cores.")
@click.option(
    "--auto",
    type=Duration(),
    is_flag=False,
    flag_value="15m",
    help="Choose settings on validation data, within this time for the whole run: 90s, 15m, 1h.  [15m if not said]",
)
@click.option("--profile", is_flag=True, help="Show at the end where the time went.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in the run directory.")
@reading_options
@json_option
def command(
    train_files: tuple[Path, ...],
    valid: tuple[Path, ...],
    hold_out: bool,
    items: Path | None,
    item_kinds: Mapping[str, str],
    features: str | None,
    matrices: tuple[str, ...],
    users: Path | None,
    user_kinds: Mapping[str, str],
    user_features: str | None,
    user_matrices: tuple[str, ...],
    target: Path | None,
    adapt_plot: Path | None,
    out: Path,
    models: Place | None,
    refit: bool,
    config_file: Path | None,
    overrides: tuple[str, ...],
    seed: int | None,
    threads: int | None,
    auto: float | None,
    profile: bool,
    resume: bool,
    reading: ReadingFlags,
    as_json: bool,
) -> None:
    """Learn a model and write it to a run directory, ready to evaluate and to publish.

    The epoch is chosen on --valid, or on pairs held out of --train with --hold-out; with neither, all epochs of
    train.epochs are trained. Ctrl-C ends training early and keeps the best model so far. With --auto other
    settings are chosen on the same pairs, except those that are given.
    """
    started = time.monotonic()
    if hold_out and valid:
        raise click.UsageError(
            "--hold-out and --valid exclude each other: validation pairs come from one of them"
        )
    if refit and not (valid or hold_out):
        raise click.UsageError("--refit needs validation data: give --valid FILE or --hold-out")
    if auto is not None and not (valid or hold_out):
        raise click.UsageError("--auto chooses on validation data: give --valid FILE or --hold-out")
    if auto is not None and resume:
        raise click.UsageError("--auto keeps no checkpoint: leave out --resume")
    if adapt_plot:
        _check_picture(adapt_plot, target)
    named = (*_named("features", features, matrices), *_named("user_features", user_features, user_matrices))
    config = load_config(config_file, (*overrides, *named), seed=seed, threads=threads)
    config = config.model_copy(update={"data": reading.applied_to(config.data)})
    registry = Registry(models) if models is not None else None
    if registry is not None:
        registry.versions()  # a registry that does not answer is told now, not after the training
    data, held_out, everything = _data(train_files, valid, hold_out, refit, config, reading.strict)
    catalogue: ReadCatalogue | None = partial(read_items, items, kinds=item_kinds) if items else None
    timer = Timer() if profile else None
    again = "next trial" if auto is not None else "refit"
    with progress(config.train.epochs, shown=not as_json, again=again) as listen:
        run = train(
            out,
            data,
            config,
            valid=held_out,
            refit_on=everything if refit else None,
            catalogue=catalogue,
            target=partial(_others, target, item_kinds) if target else None,
            users=partial(read_users, users, kinds=user_kinds) if users else None,
            listen=listen,
            resume=resume,
            auto=Budget(auto, started, time.monotonic) if auto is not None else None,
            tell=_tell_trial,
            profile=timer or OFF,
        )
    if adapt_plot and run.adapted:
        _draw(run.adapted, adapt_plot)
    version = None
    if registry is not None and run.fit.stopped != "interrupted":
        version = registry.publish(run.directory / ARTIFACT)
    _tell(run, data, timer, registry, version, as_json)


def _check_picture(path: Path, target: Path | None) -> None:
    """Raises before anything is trained for nothing."""
    if not target:
        raise click.UsageError("--adapt-plot draws what --adapt does: give a target catalogue")
    from cml.pictures import kind_of

    kind_of(path)


def _draw(adapted: Adapted, path: Path) -> None:
    from cml.evaluation.domain_picture import figure_of
    from cml.pictures import write_picture

    write_picture(figure_of(adapted.before, adapted.after), path, dpi=110)


def _named(section: str, columns: str | None, matrices: tuple[str, ...]) -> list[str]:
    """What the options say about features, as settings of a section."""
    named = [f"{section}.columns={columns}"] if columns is not None else []
    if matrices:
        named.append(f"{section}.matrices={orjson.dumps(list(map(absolute, matrices))).decode()}")
    return named


def _data(
    files: tuple[Path, ...],
    valid: tuple[Path, ...],
    hold_out: bool,
    refit: bool,
    config: RunConfig,
    strict: bool,
) -> tuple[Dataset, Dataset | None, Dataset | None]:
    """(to learn from, to choose on, both together)."""
    read = partial(read_interactions, config=config.data, strict=strict)
    if hold_out:
        everything = _reported(read(files))
        parts = split(everything, config.split, config.rng("split"))
        return parts.train.compact(), parts.held_out, everything
    if not valid:
        return _reported(read(files)), None, None
    if not refit:
        return _reported(read(files)), _reported(read(valid)), None
    together = read_together({"train": files, "valid": valid}, config.data, strict=strict)
    data, held_out = (_reported(together[name]) for name in ("train", "valid"))
    return data.compact(), held_out, data.joined(held_out)


def _others(path: Path, kinds: Mapping[str, str], known: Vocabulary) -> Catalogue:
    """The target's items that training does not know."""
    return read_others(path, known, kinds=kinds)


def _reported(reading: Any) -> Dataset:
    """The data set; what was rejected goes to standard error."""
    for line in reading.report.rejects.by_line():
        click.echo(f"rejected: {line}", err=True)
    return reading.dataset


def _tell_trial(trial: Trial) -> None:
    """One line on standard error, above the bar."""
    verdict = "best so far" if trial.accepted else "no better"
    what = trial.move or "as configured"
    with tqdm.external_write_mode():
        click.echo(
            f"trial {trial.number}: {what}: {trial.value:.4f}, {trial.seconds:.1f} s, {verdict}", err=True
        )


def _tell(
    run: TrainedRun,
    data: Dataset,
    timer: Timer | None,
    registry: Registry | None,
    version: str | None,
    as_json: bool,
) -> None:
    fit = run.fit
    summary = {
        "run": str(run.directory),
        "metrics": fit.metrics,
        "best_epoch": fit.best_epoch,
        "epochs": len(fit.history),
        "stopped": fit.stopped,
        "users": data.n_users,
        "items": data.n_items,
        "pairs": len(data),
        "seconds": round(run.seconds, 3),
        "training_seconds": round(sum(epoch.seconds for epoch in fit.history), 3),
        "config": run.config.model_dump(mode="json"),
    }
    if as_json:
        more = {"profile": timer.table(run.seconds)} if timer else {}
        found = {"adaptation": run.adapted.as_dict()} if run.adapted else {}
        print_json(summary | found | more | ({"version": version} if registry else {}))
        return
    chosen = f"epoch {fit.best_epoch} of {len(fit.history)} ({fit.stopped})"
    click.echo(f"{run.directory}: {chosen}, {run.seconds:.1f} s")
    for name, value in fit.metrics.items():
        click.echo(f"  validation {name:14} {value:.4f}")
    if run.adapted:
        click.echo(run.adapted.text())
    if timer:
        click.echo(timer.text(run.seconds))
    if registry:
        where = registry.place
        click.echo(f"published {version} to {where}" if version else f"interrupted: not published to {where}")
