"""`cml events`: back the event store up, and fill one from a backup."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import click

from cml.commands.common import find_events, json_option, models_option, print_json
from cml.errors import ArtifactError, EventStoreError
from cml.events.meaning import learned_by
from cml.events.store import EventStore
from cml.events.values import Marks
from cml.registry import Registry
from cml.storage.place import Place, shown


@click.group("events")
def command() -> None:
    """Back the event store up, and fill one from a backup."""


@command.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--events",
    envvar="CML_SERVICE_EVENTS",
    metavar="URL",
    help="Event store; default: events.db in the models directory.",
)
@models_option
@json_option
def backup(file: Path, events: str | None, models: Place, as_json: bool) -> None:
    """Write the whole event store, as it is now, to FILE; the service goes on meanwhile."""
    from cml.events.backup import backup

    url = find_events(events, models)
    if url is None:
        raise EventStoreError(
            f"{shown(models)}: no events.db in it: say with --events where the event store is"
        )
    with closing(EventStore(url)) as store:
        made = backup(store, file)
    _tell({"file": str(file), "created_at": made.created_at, "rows": made.rows}, as_json)


@command.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--to", "url", required=True, metavar="URL", help="Event store to fill; made if need be.")
@click.option("--replace", is_flag=True, help="Lose what the store holds, instead of refusing.")
@models_option
@json_option
def restore(file: Path, url: str, replace: bool, models: Place, as_json: bool) -> None:
    """Fill an event store from FILE, wholly or not at all. Stop the service before, if it uses that store.

    New events are numbered after all that the versions in the registry have learned.
    """
    from cml.events.backup import restore

    after = learned(Registry(models))
    with closing(EventStore(url)) as store:
        made = restore(store, file, replace=replace, after=after)
    _tell({"store": str(store), "created_at": made.created_at, "rows": made.rows}, as_json)


def learned(registry: Registry) -> Marks:
    """How far in the event store the registry's versions have come; a version that cannot be read counts as none."""
    found = [Marks()]
    for name in registry.versions():
        try:
            data: dict[str, Any] = registry.manifest(name).data
        except ArtifactError:
            continue
        found.append(learned_by(data))
    return Marks(events=max(one.events for one in found), erasures=max(one.erasures for one in found))


def _tell(done: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(done)
    else:
        rows = ", ".join(f"{count:,} {name}" for name, count in done["rows"].items())
        click.echo(f"{done.get('file') or done['store']}: {rows} (backup of {done['created_at']})")
