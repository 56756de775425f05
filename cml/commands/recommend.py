"""`cml recommend`: what the service would answer for a user, in the terminal."""

from __future__ import annotations

from typing import Any

import click
import orjson

from cml.commands.common import json_option, list_document, models_option, print_json, print_list
from cml.errors import QueryError
from cml.query import ListOptions
from cml.recommend import recommend, recommend_session
from cml.snapshot import load_snapshot
from cml.storage.place import Place
from cml.vocabulary import UNKNOWN_ROW


def parse_where(text: str | None) -> dict[str, Any] | None:
    """The conditions in a `--where` text. Raises QueryError."""
    return _object("--where", text, '{"genres": "Drama"}')


def _object(option: str, text: str | None, example: str) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise QueryError(f"{option} {text!r}: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise QueryError(f"{option} {text!r}: expected an object such as '{example}'")
    return value


@click.command("recommend")
@click.argument("user_id", metavar="USER")
@models_option
@click.option("--version", help="Version to ask instead of the current one.")
@click.option("-k", default=10, show_default=True, help="Length of the list.")
@click.option("--offset", default=0, show_default=True, help="Items of the listing to skip.")
@click.option("--exclude", multiple=True, metavar="ITEM", help="Item that must not appear; repeatable.")
@click.option(
    "--where", metavar="JSON", help='Conditions, such as \'{"genres": "Drama", "year": {"min": 1990}}\'.'
)
@click.option(
    "--diversity",
    default=0.0,
    show_default=True,
    help="0: nearest first; towards 1: as different as possible.",
)
@click.option(
    "--user-features",
    metavar="JSON",
    help='What is known of a user outside the model, such as \'{"age": 34, "occupation": "librarian"}\'.',
)
@click.option("--because", default=2, show_default=True, help="The user's own items to name as reasons.")
@json_option
def command(
    user_id: str,
    models: Place,
    version: str | None,
    k: int,
    offset: int,
    exclude: tuple[str, ...],
    where: str | None,
    diversity: float,
    user_features: str | None,
    because: int,
    as_json: bool,
) -> None:
    """Recommend items for USER, with distances and the user's own items nearest to each.

    A user that the model does not know is placed by --user-features, or gets the popular items; the strategy says
    which it is.
    """
    options: ListOptions = {
        "k": k,
        "offset": offset,
        "exclude": exclude,
        "where": parse_where(where),
        "diversity": diversity,
        "because": because,
    }
    snapshot = load_snapshot(models, version)
    features = _object("--user-features", user_features, '{"age": 34}')
    if features is None or snapshot.user_row(user_id) != UNKNOWN_ROW:
        found = recommend(snapshot, user_id, **options)
    else:
        found = recommend_session(snapshot, (), features=features, **options)
    if as_json:
        print_json({"user_id": user_id} | list_document(found))
    else:
        print_list(found, f"Recommended for {user_id}")
