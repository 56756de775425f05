"""`cml similar`: the items nearest to an item, in the terminal."""

from __future__ import annotations

import click

from cml.commands.common import json_option, label, list_document, models_option, print_json, print_list
from cml.commands.recommend import parse_where
from cml.recommend import similar_items
from cml.snapshot import load_snapshot
from cml.storage.place import Place


@click.command("similar")
@click.argument("item_id", metavar="ITEM")
@models_option
@click.option("--version", help="Version to ask instead of the current one.")
@click.option("-k", default=10, show_default=True, help="Length of the list.")
@click.option(
    "--where", metavar="JSON", help='Conditions, such as \'{"genres": "Drama", "year": {"min": 1990}}\'.'
)
@json_option
def command(
    item_id: str, models: Place, version: str | None, k: int, where: str | None, as_json: bool
) -> None:
    """List the items nearest to ITEM in the metric space, with distances."""
    snapshot = load_snapshot(models, version)
    found = similar_items(snapshot, item_id, k=k, where=parse_where(where))
    if as_json:
        print_json({"item_id": item_id} | list_document(found))
    else:
        record = snapshot.card(snapshot.require_item(item_id)).record
        print_list(found, f"Similar to {label(item_id, record)}")
