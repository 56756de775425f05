"""`cml models`: list, show, verify, publish, roll back and prune versions in a registry."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from cml.commands.common import RegistryPlace, find_events, json_option, models_option, print_json
from cml.commands.duration import Duration
from cml.errors import ArtifactError, EventStoreError, RegistryError
from cml.manifest import MANIFEST, Manifest
from cml.registry import Registry
from cml.storage.place import Place, shown


@click.group("models")
def command() -> None:
    """List, show, verify, publish, roll back and prune model versions."""


@command.command("list")
@models_option
@json_option
def list_versions(models: Place, as_json: bool) -> None:
    """All versions, oldest first; the current one is marked."""
    registry = Registry(models)
    current = registry.current()
    rows = [_summary(registry, name, current) for name in registry.versions()]
    if as_json:
        print_json({"current": current, "versions": rows})
        return
    for row in rows:
        click.echo(
            "{mark} {version}  {text}".format(mark="*" if row["current"] else " ", **row, text=_line(row))
        )
    if not rows:
        click.echo(
            f"{registry.place}: no versions; publish one with: cml models publish RUN --to {registry.place}"
        )


@command.command("show")
@click.argument("version", required=False)
@models_option
@json_option
def show(version: str | None, models: Place, as_json: bool) -> None:
    """What VERSION (default: the current one) is and how it came about."""
    registry = Registry(models)
    name = version or registry.require_current()
    document = _document(name, registry.current(), registry.manifest(name))
    if as_json:
        print_json(document)
        return
    for key in (
        "version",
        "current",
        "created_at",
        "counts",
        "dim",
        "radius",
        "index",
        "metrics",
        "data",
        "versions",
    ):
        click.echo(f"{key:12} {_plain(document[key])}")
    for section in ("features", "user_features"):
        settings = document["config"].get(section, {})
        if named := [*settings.get("columns", ()), *settings.get("matrices", ())]:
            click.echo(f"{section:12} {', '.join(named)}, weight {settings['weight']:g}")
    for name, info in document["files"].items():
        click.echo(f"{'file':12} {name}  {info['bytes']:,} bytes  sha256 {info['sha256'][:12]}…")


@command.command("verify")
@click.argument("version", required=False)
@models_option
@json_option
def verify(version: str | None, models: Place, as_json: bool) -> None:
    """Check every byte of VERSION (default: of all); exits with 1 when a file is damaged."""
    registry = Registry(models)
    if version:
        registry.require(version)  # an unknown name is a mistake in the call, not a damaged version
    problems = {name: _problem(registry, name) for name in ([version] if version else registry.versions())}
    if as_json:
        print_json({"versions": [{"version": name, "problem": text} for name, text in problems.items()]})
    else:
        for name, text in problems.items():
            click.echo(f"{name}  {text or 'intact'}")
    if any(problems.values()):
        raise SystemExit(1)


@command.command("publish")
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--to", "models", type=RegistryPlace(), required=True, help="Model registry: a directory or a URL."
)
@click.option("--inactive", is_flag=True, help="Add the version without making it current.")
@json_option
def publish(run: Path, models: Place, inactive: bool, as_json: bool) -> None:
    """Copy the artifact of RUN (what `cml train --out RUN` wrote) into a registry and make it current."""
    registry = Registry(models)
    name = registry.publish(artifact_of(run), activate=not inactive)
    if as_json:
        print_json({"version": name, "current": registry.current()})
    else:
        click.echo(f"published {name} to {registry.place}{' (not current)' if inactive else ''}")


@command.command("rollback")
@click.option("--to", "version", help="Version to make current; default: the one before the current one.")
@models_option
@json_option
def rollback(version: str | None, models: Place, as_json: bool) -> None:
    """Make an older version current again, after checking every byte of it."""
    registry = Registry(models)
    before = _readable_current(registry) if version else registry.current()
    if version:
        registry.set_current(version)
    else:
        version = registry.rollback()
    if as_json:
        print_json({"version": version, "before": before})
    else:
        click.echo(f"current: {version} (before: {before})")


@command.command("prune")
@click.option("--keep", type=click.IntRange(min=1), help="How many of the newest versions stay.")
@click.option(
    "--older-than", type=Duration(), metavar="TIME", help="Only versions older than this: 30d, 12h."
)
@click.option("--erased", is_flag=True, help="Versions that hold a user who was erased, however new.")
@click.option("--events", envvar="CML_SERVICE_EVENTS", metavar="URL", help="Event store.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and remove nothing.")
@models_option
@json_option
def prune(
    keep: int | None,
    older_than: float | None,
    erased: bool,
    events: str | None,
    dry_run: bool,
    models: Place,
    as_json: bool,
) -> None:
    """Remove versions; the current one, an undamaged one before it and a candidate under test always stay."""
    from cml.pruning import Rules, judge, what_happened

    if keep is None and older_than is None and not erased:
        raise click.UsageError("say what goes: --keep N, --older-than TIME or --erased")
    url = find_events(events, models)
    if erased and url is None:
        raise EventStoreError(f"{shown(models)}: no events.db in it: say with --events who was erased")
    registry = Registry(models)
    rules = Rules(keep, older_than, erased, datetime.now(UTC))
    judged = judge(registry, rules, what_happened(url))
    doomed = [one.version for one in judged if one.goes]
    removed = doomed if dry_run else registry.remove(doomed)
    if as_json:
        print_json({"removed": removed, "dry_run": dry_run, "versions": [asdict(one) for one in judged]})
        return
    for one in judged:
        if one.version in removed:
            click.echo(f"{'would remove' if dry_run else 'removed'} {one.version}: {', '.join(one.reasons)}")
        elif one.reasons and one.kept_as:
            click.echo(f"kept {one.version}, the {one.kept_as} version: {', '.join(one.reasons)}")
    if not removed:
        click.echo("nothing to remove")


def artifact_of(run: Path) -> Path:
    """The artifact directory of a run, or the directory itself where it is one. Raises ArtifactError."""
    for directory in (run / "artifact", run):
        if (directory / MANIFEST).is_file():
            return directory
    raise ArtifactError(f"{run}: holds no artifact; make one with: cml train --train FILE --out {run}")


def _readable_current(registry: Registry) -> str | None:
    """The current version, None also where the pointer is broken: naming another one is how to mend it."""
    try:
        return registry.current()
    except RegistryError:
        return None


def _summary(registry: Registry, name: str, current: str | None) -> dict[str, Any]:
    """A line's worth of a version; one with an unreadable manifest is listed with its problem."""
    try:
        manifest = registry.manifest(name)
    except ArtifactError as error:
        return {"version": name, "current": name == current, "problem": str(error)}
    return {
        "version": name,
        "current": name == current,
        "created_at": manifest.created_at,
        "counts": manifest.counts.model_dump(),
        "dim": manifest.dim,
        "metrics": manifest.metrics,
    }


def _line(row: dict[str, Any]) -> str:
    if "problem" in row:
        return row["problem"]
    counts = row["counts"]
    metrics = [f"{name} {value:.4f}" for name, value in row["metrics"].items() if isinstance(value, float)]
    size = f"{counts['users']:,} users, {counts['items']:,} items, dim {row['dim']}"
    return "  ".join([row["created_at"], size, *metrics[:3]])


def _document(name: str, current: str | None, manifest: Manifest) -> dict[str, Any]:
    return {"version": name, "current": name == current} | manifest.model_dump(mode="json")


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _problem(registry: Registry, name: str) -> str | None:
    try:
        registry.verify(name)
    except (ArtifactError, RegistryError) as error:
        return str(error)
    return None
