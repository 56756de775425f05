"""`cml export`: vectors and recommendations as Parquet."""

from __future__ import annotations

from pathlib import Path

import click

from cml.commands.common import json_option, models_option, print_json
from cml.commands.recommend import parse_where
from cml.errors import DataError
from cml.export import export_recommendations, export_vectors
from cml.snapshot import load_snapshot
from cml.storage.place import Place


@click.group("export")
def command() -> None:
    """Write vectors or recommendations as Parquet."""


@command.command("vectors")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@models_option
@click.option("--version", help="Version to export instead of the current one.")
@json_option
def vectors(directory: Path, models: Place, version: str | None, as_json: bool) -> None:
    """Write users.parquet and items.parquet (id, vector) into DIRECTORY."""
    written = export_vectors(load_snapshot(models, version), directory)
    if as_json:
        print_json({"rows": written})
    else:
        click.echo("\n".join(f"{directory / name}: {rows:,} rows" for name, rows in written.items()))


@command.command("recommendations")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@models_option
@click.option("--version", help="Version to export instead of the current one.")
@click.option("-k", default=20, show_default=True, help="Length of each list.")
@click.option("--where", metavar="JSON", help="Conditions on item metadata, as in `cml recommend`.")
@click.option(
    "--users",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Text file with a user id a line; default: all users of the version.",
)
@json_option
def recommendations(
    file: Path,
    models: Place,
    version: str | None,
    k: int,
    where: str | None,
    users: Path | None,
    as_json: bool,
) -> None:
    """Write every user's list (user_id, rank, item_id, distance or score, strategy) to FILE."""
    snapshot = load_snapshot(models, version)
    user_ids = list(snapshot.artifact.users) if users is None else _read_ids(users)
    rows = export_recommendations(snapshot, user_ids, file, k=k, where=parse_where(where))
    if as_json:
        print_json({"users": len(user_ids), "rows": rows})
    else:
        click.echo(f"{file}: {rows:,} rows for {len(user_ids):,} users")


def _read_ids(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text: {error.reason}; write one user id a line") from None
