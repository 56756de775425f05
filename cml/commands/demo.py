"""`cml demo`: the whole way on the bundled films, from a table of ratings to answers over HTTP."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
import numpy as np

from cml.artifact import load
from cml.bundled import bundled_interactions, bundled_items
from cml.commands.demo_service import ask, running_service
from cml.commands.progress import progress
from cml.config import RunConfig, load_config
from cml.data.dataset import Dataset
from cml.data.items import read_items
from cml.data.reading import read_interactions
from cml.data.split import split
from cml.evaluation.evaluate import HeldOut
from cml.evaluation.judging import liked_pairs, seen_pairs
from cml.evaluation.report import report
from cml.pipeline import ARTIFACT, train
from cml.registry import Registry

SHOWN_USERS = 3
SHOWN_FILMS = 5


@click.command("demo")
@click.option("--serve/--no-serve", default=True, help="Keep the service running at the end.")
@click.option("--port", type=click.IntRange(1, 65535), help="Of the service.  [default: a free one]")
@click.option(
    "--models",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("models"),
    show_default=True,
    help="Where to publish.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs/demo"),
    show_default=True,
    help="Run directory.",
)
@click.option("--threads", type=click.IntRange(min=1), help="Default: all cores.")
def command(serve: bool, port: int | None, models: Path, out: Path, threads: int | None) -> None:
    """Train on 68,000 film ratings, judge, publish, serve, and show recommendations by title.

    Each user's last film is held out to judge the result, and the one before it to choose the epoch.
    """
    config = load_config(threads=threads)
    data = read_interactions(bundled_interactions(), config.data).dataset
    click.echo(f"{len(data):,} ratings by {data.n_users:,} users of {data.n_items:,} films (MovieTweetings)")
    judged = split(data, config.split, config.rng("split"))
    _train(judged.train, config, out)
    click.echo("\nEach user's last film, found among all films they had not rated before:")
    click.echo(_judge(judged.held_out, out / ARTIFACT, threads))
    version = Registry(models).publish(out / ARTIFACT)
    click.echo(f"\nPublished as {version} in {models}")
    with running_service(models, port) as address:
        for user_id in _active_users(judged.train):
            click.echo(_answer(address, user_id))
        click.echo(f"\nTry: curl '{address}/v1/users/{user_id}/recommendations?k=5'")
        if serve:
            click.echo(f"Explore: {address}/   (Ctrl-C stops)")
            _wait_for_interrupt()


def _train(known: Dataset, config: RunConfig, out: Path) -> None:
    chosen_on = split(known, config.split, config.rng("split"))
    with progress(config.train.epochs) as listen:
        run = train(
            out,
            chosen_on.train,
            config,
            valid=chosen_on.held_out,
            refit_on=known,
            catalogue=partial(read_items, bundled_items()),
            listen=listen,
        )
    click.echo(f"Trained in {run.seconds:.0f} s; {run.fit.best_epoch} epochs were best on validation data")


def _judge(held_out: Dataset, artifact: Path, threads: int | None) -> str:
    model = load(artifact)
    judged = HeldOut.of(held_out, model.users, model.items, seen_pairs(model))
    found = report(
        model.user_vectors,
        model.item_vectors,
        liked_pairs(model),
        judged,
        (20,),
        np.random.default_rng(0),
        threads=threads,
    )
    return found.text()


def _active_users(known: Dataset) -> list[str]:
    """Users with a typical number of ratings: enough to have a taste, few enough to read."""
    counts = np.bincount(known.user_rows, minlength=known.n_users)
    typical = np.flatnonzero((counts >= 15) & (counts <= 25))
    return [known.users[row] for row in typical[np.linspace(0, len(typical) - 1, SHOWN_USERS).astype(int)]]


def _answer(address: str, user_id: str) -> str:
    found = ask(address, user_id, SHOWN_FILMS)
    lines = [f"\nUser {user_id} should like"]
    for film in found["items"]:
        reasons = ", ".join(own["title"] for own in film["because"])
        lines.append(f"  {film['title']} ({film['metadata']['year']})   because of {reasons}")
    return "\n".join(lines)


def _wait_for_interrupt() -> None:
    import signal

    try:
        signal.pause()
    except KeyboardInterrupt:
        click.echo("\nstopped")
