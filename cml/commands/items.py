"""`cml items`: change what a published version knows of items."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from cml import artifact
from cml.commands.common import RegistryPlace, json_option, models_option, print_json
from cml.commands.options import feature_matrix_option, item_kinds_option
from cml.data.items import ItemReading, read_item_table
from cml.data.matrices import matrices_of, read_matrices_for
from cml.errors import DataError
from cml.growth import Growth, grown
from cml.registry import Registry
from cml.storage.place import Place

_SHOWN = 3  # ids of each sort


@click.group("items")
def command() -> None:
    """Change what a published version knows of items."""


@command.command("add")
@click.argument("items", type=click.Path(path_type=Path))
@models_option
@click.option("--version", help="Version to add to; default: the current one.")
@click.option(
    "--to",
    "target",
    type=RegistryPlace(),
    help="Registry to publish to; default: the same one.",
)
@click.option("--inactive", is_flag=True, help="Add the version without making it current.")
@click.option("--update", is_flag=True, help="Take over the metadata of items that the version knows.")
@item_kinds_option
@feature_matrix_option("Rows of a feature matrix that the version was trained with; repeatable.")
@click.option("--strict", is_flag=True, help="Refuse a file with a row that cannot be used.")
@json_option
def add(
    items: Path,
    models: Place,
    version: str | None,
    target: Place | None,
    inactive: bool,
    update: bool,
    item_kinds: dict[str, str],
    matrices: tuple[str, ...],
    strict: bool,
    as_json: bool,
) -> None:
    """Place the items of table ITEMS by their features and publish a version that has them, without training."""
    registry = Registry(models)
    name = version or registry.require_current()
    base = registry.load(name)
    usual = {column: values.kind for column, values in base.catalogue.columns.items()}
    reading = read_item_table(items, None, kinds=item_kinds, usual_kinds=usual, strict=strict)
    rows = read_matrices_for(base.placer, matrices, reading.items) if matrices else {}
    missing = [column for column in matrices_of(base.placer) if column not in rows]
    growth = grown(
        base,
        list(reading.items),
        reading.catalogue,
        now=datetime.now(UTC),
        update=update,
        matrices=rows,
    )
    if not growth.added and not growth.updated:
        raise DataError(f"{items}: nothing to add to version {name}: {_left_out(growth, missing)}")
    destination = Registry(target or models)
    published = _publish(growth, base, destination, activate=not inactive)
    report = _report(name, published, destination, reading, growth) | {"matrices_not_given": missing}
    if as_json:
        print_json(report)
    else:
        _print(report, reading, growth, missing)


def _publish(growth: Growth, base: artifact.Artifact, registry: Registry, *, activate: bool) -> str:
    with TemporaryDirectory(prefix="cml-items-") as staging:
        made = Path(staging) / "artifact"
        artifact.write(growth.content, made, list_length=base.manifest.list_length)
        return registry.publish(made, activate=activate)


def _report(
    before: str, published: str, registry: Registry, reading: ItemReading, growth: Growth
) -> dict[str, Any]:
    return {
        "version": published,
        "current": registry.current(),
        "from": before,
        "items": len(growth.content.items),
        "added": len(growth.added),
        "updated": len(growth.updated),
        "known": len(growth.known),
        "without_features": len(growth.unplaced),
        "first_known": list(growth.known[:_SHOWN]),
        "first_without_features": list(growth.unplaced[:_SHOWN]),
        "reading": {
            name: value
            for name, value in reading.report.as_dict().items()
            if name not in ("matched", "unmatched", "unused")
        },
    }


def _print(report: dict[str, Any], reading: ItemReading, growth: Growth, missing: list[str]) -> None:
    updated = f", {report['updated']:,} updated" if growth.updated else ""
    click.echo(f"added {report['added']:,} items{updated} to {report['from']}")
    for line in [*_reasons(growth), *reading.report.rejects.lines()]:
        click.echo(f"  left out: {line}")
    for column, wrong in reading.report.unreadable.items():
        click.echo(f"  unreadable: {len(wrong):,} values of {column}, the first is {wrong[0]!r}")
    for column in missing:
        click.echo(f"  not given: {_matrix(column)}; the items are placed by their other features")
    active = "" if report["current"] == report["version"] else " (not current)"
    click.echo(f"published {report['version']}{active}: {report['items']:,} items")


def _left_out(growth: Growth, missing: list[str]) -> str:
    reasons = [*_reasons(growth), *(f"not given: {_matrix(column)}" for column in missing)]
    return "; ".join(reasons) or "the table is empty"


def _matrix(column: str) -> str:
    return f"the feature matrix {column} (--feature-matrix {column}=FILE)"


def _reasons(growth: Growth) -> list[str]:
    reasons = []
    if growth.known:
        reasons.append(f"{len(growth.known):,} known already ({_some(growth.known)}); --update changes them")
    if growth.unplaced:
        reasons.append(f"{len(growth.unplaced):,} without a feature that counts ({_some(growth.unplaced)})")
    return reasons


def _some(ids: tuple[str, ...]) -> str:
    return ", ".join(ids[:_SHOWN]) + (", …" if len(ids) > _SHOWN else "")
