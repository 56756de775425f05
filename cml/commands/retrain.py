"""`cml retrain`: learn from what happened since, and publish if the result is no worse than the current version."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from cml.commands.common import find_events, json_option, models_option, print_json
from cml.commands.options import ReadingFlags, items_options, reading_options, users_options
from cml.commands.progress import progress
from cml.config import RunConfig, load_config
from cml.errors import StoppedError
from cml.registry import Registry
from cml.retraining import report
from cml.retraining.order import Order
from cml.retraining.resuming import order_of_published
from cml.retraining.retrain import REFUSED, Retraining, retrain
from cml.storage.place import Place, shown

FILE = click.Path(path_type=Path)
SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.command("retrain")
@click.option("--train", "files", type=FILE, multiple=True, help="Interactions from before the event store.")
@items_options
@users_options
@models_option
@click.option(
    "--events",
    envvar="CML_SERVICE_EVENTS",
    metavar="URL",
    help="Event store; default: events.db in the models directory, where there is one.",
)
@click.option("--no-events", is_flag=True, help="Learn from the files alone.")
@click.option("--events-only", is_flag=True, help="Learn from the event store alone, forget earlier files.")
@click.option("--judge-share", type=SHARE, default=0.1, show_default=True, help="Of all likes; the latest.")
@click.option(
    "--min-new",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="New likes, else nothing is done.",
)
@click.option(
    "--gate",
    type=click.FloatRange(min=0),
    help="Loss that is tolerated in this round; default: publish.tolerance.",
)
@click.option(
    "--confidence", type=SHARE, help="That a loss is no chance, in this round; default: publish.confidence."
)
@click.option("--cold", is_flag=True, help="Do not start from the current version's vectors.")
@click.option("--force", is_flag=True, help="Also when nothing is new, or most of what files held is gone.")
@click.option("--restart", is_flag=True, help="Do not go on with an interrupted run.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep artifact and report in this directory.",
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
    users: Path | None,
    user_kinds: Mapping[str, str],
    models: Place,
    events: str | None,
    no_events: bool,
    restart: bool,
    out: Path | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    seed: int | None,
    threads: int | None,
    reading: ReadingFlags,
    as_json: bool,
    **rest: Any,
) -> None:
    """Learn from files and the event store, judge the result and the current version on the latest likes, publish.

    Exits with 0 when a version was published or nothing is new, with 3 when the new model is clearly worse than
    publish.tolerance allows, with 4 while another retraining is at work, with 5 when it was stopped: the same
    command then goes on.
    """
    registry = Registry(models)

    def order_from(version: str | None) -> Order:
        return Order(
            config=_config(registry, version, config_file, overrides, reading, seed=seed, threads=threads),
            files=files,
            events=None if no_events else find_events(events, models),
            no_events=no_events,
            items=items,
            item_kinds=item_kinds,
            users=users,
            user_kinds=user_kinds,
            strict=reading.strict,
            **rest,
        )

    order = order_of_published(registry, out, order_from) or order_from(registry.current())
    with _stoppable(), progress(order.config.train.epochs, shown=not as_json) as listen:
        done = retrain(registry, order, run=out, restart=restart, listen=listen, tell=_tell)
    _show(done, models, as_json)
    if done.outcome == REFUSED and done.verdict:
        done.verdict.require()


def _config(
    registry: Registry,
    version: str | None,
    config_file: Path | None,
    overrides: tuple[str, ...],
    reading: ReadingFlags,
    *,
    seed: int | None,
    threads: int | None,
) -> RunConfig:
    """The version's settings, unless there is a file; then what the flags say."""
    base = registry.manifest(version).config if version else {}
    config = load_config(config_file, overrides, base=base, seed=seed, threads=threads)
    return config.model_copy(update={"data": reading.applied_to(config.data)})


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM and Ctrl-C end the block with StoppedError: what is done stays, what is half done leaves no trace."""

    def stop(number: int, _frame: object) -> None:
        raise StoppedError(f"stopped by {signal.Signals(number).name}; run the same command to go on")

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(line: str) -> None:
    click.echo(line, err=True)


def _show(done: Retraining, models: Place, as_json: bool) -> None:
    if as_json:
        print_json({"published": done.version is not None, **done.report, "report_file": done.report_file})
        return
    click.echo(report.as_text(done.report))
    if done.version:
        click.echo(f"published {done.version} to {shown(models)} (before: {done.before or 'nothing'})")
