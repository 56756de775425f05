"""`cml ab`: what experiments led to."""

from __future__ import annotations

from dataclasses import asdict

import click

from cml.commands.common import json_option, named_events, print_json
from cml.events.store import EventStore
from cml.experiments import Comparison, compare


@click.group("ab")
def command() -> None:
    """Compare a candidate version with the current one."""


@command.command()
@click.argument("experiment")
@click.option(
    "--events", required=True, metavar="URL", help="Event store, such as sqlite:///models/events.db."
)
@json_option
def report(experiment: str, events: str, as_json: bool) -> None:
    """Compare the variants of EXPERIMENT by the share of users who acted on a list, with 95 % intervals."""
    store = EventStore(named_events(events))
    try:
        found = compare(store, experiment)
    finally:
        store.close()
    if as_json:
        print_json(asdict(found) | {"verdict": found.verdict})
    else:
        _print(found)


def _print(found: Comparison) -> None:
    click.echo(f"experiment {found.experiment}")
    click.echo(f"{'variant':10} {'users':>8} {'lists':>8} {'acted':>7} {'rate':>8}  95 % interval")
    for name, one in found.variants.items():
        bounds = f"{one.interval.low:.4f} to {one.interval.high:.4f}"
        click.echo(f"{name:10} {one.users:8d} {one.lists:8d} {one.acted:7d} {one.rate:8.4f}  {bounds}")
    bounds = f"{found.interval.low:+.4f} to {found.interval.high:+.4f}"
    click.echo(f"difference {found.difference:+.4f} ({bounds}): {found.verdict}")
