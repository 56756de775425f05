"""What several commands share: the options that name a registry, and how lists are printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import orjson

from cml.errors import ConfigError, EventStoreError
from cml.events.identity import known_file, was_here
from cml.recommend import Recommendations, Recommended
from cml.storage.place import Place, place_of


class RegistryPlace(click.ParamType):
    """A directory, as a path, or a URL, as text."""

    name = "place"

    def convert(self, value: Place, param: click.Parameter | None, context: click.Context | None) -> Place:
        """Also called with what it returned."""
        place = place_of(value)
        if isinstance(place, Path) and place.is_file():
            self.fail(f"{place} is a file; a registry is a directory or a URL", param, context)
        return place


def models_option(command: Callable) -> Callable:
    """`--models PLACE`: where the registry is."""
    return click.option(
        "--models",
        type=RegistryPlace(),
        default="models",
        show_default=True,
        help="Model registry: a directory or a URL.",
    )(command)


def find_events(given: str | None, models: Place) -> str | None:
    """The event store's URL; None where there is none. A store that was named has to be there."""
    if given == "off":
        return None
    if not given:
        if not isinstance(models, Path):
            return None
        own = models.absolute() / "events.db"
        if was_here(own) and not own.exists():
            raise EventStoreError(
                f"{own}: the event store that was here is gone; put it back, restore a backup (`cml events restore`), "
                f"or remove {known_file(own)} to go on without it"
            )
        return f"sqlite:///{own}" if own.exists() else None
    return named_events(given)


def named_events(given: str) -> str:
    """The URL of an event store that has to be there: opening it would make an empty one. Raises CmlError."""
    if "://" not in given:
        raise ConfigError(f"--events {given!r}: expected a URL, for example sqlite:////data/events.db")
    if given.startswith("sqlite:///") and not Path(given.removeprefix("sqlite:///")).exists():
        raise EventStoreError(f"event store {given}: no such file; check the URL")
    return given


def json_option(command: Callable) -> Callable:
    """`--json`: one JSON document instead of text."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def print_json(value: Any) -> None:
    """One indented JSON document on standard output."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode())


def print_list(found: Recommendations, heading: str) -> None:
    """A list for people: rank, distance or score, title and id, and the reasons below."""
    click.echo(f"{heading}  [{found.strategy}, version {found.version}]")
    for rank, item in enumerate(found.items, start=found.offset + 1):
        value = item.distance if item.distance is not None else item.score
        click.echo(f"{rank:4d}  {value:8.4g}  {label(item.item_id, item.record)}")
        if item.because:
            reasons = "; ".join(
                f"{label(own.item_id, own.record)} at {own.distance:.3f}" for own in item.because
            )
            click.echo(f"{'':16}because of {reasons}")
    if not found.items:
        click.echo("      nothing matches")
    if found.skipped:
        click.echo(f"skipped, unknown: {', '.join(found.skipped)}")


def label(item_id: str, record: dict[str, Any]) -> str:
    """Title and id, or the id alone."""
    title = record.get("title")
    return f"{title} ({item_id})" if title else item_id


def list_document(found: Recommendations) -> dict[str, Any]:
    """A list as JSON."""
    return {
        "version": found.version,
        "strategy": found.strategy,
        "k": found.k,
        "offset": found.offset,
        "items": [_item_document(item) for item in found.items],
        "skipped": list(found.skipped),
    }


def _item_document(item: Recommended) -> dict[str, Any]:
    document: dict[str, Any] = {"item_id": item.item_id, "item": item.record}
    if item.distance is not None:
        document["distance"] = item.distance
    if item.score is not None:
        document["score"] = item.score
    if item.because:
        document["because"] = [
            {"item_id": own.item_id, "distance": own.distance, "item": own.record} for own in item.because
        ]
    return document
