"""Make and remove API keys: `python -m service.keys add web --scope read --file keys.json`."""

from __future__ import annotations

import fcntl
import os
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import click
import orjson

from cml.durable import replace_file
from cml.errors import CmlError, ConfigError
from service.auth import ADMIN, SCOPES, parse_keys, read_keys

_file = click.option(
    "--file",
    required=True,
    type=click.Path(path_type=Path),
    help="The key file; running services notice changes.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Manage the file of hashed API keys."""


@command.command()
@click.argument("id")
@click.option(
    "--scope", "scopes", multiple=True, required=True, type=click.Choice(SCOPES), help="May be repeated."
)
@_file
def add(id: str, scopes: tuple[str, ...], file: Path) -> None:
    """Make a key, store its hash and print it: the only time that it can be seen."""
    with _alone(file):
        key = _new(file, id, scopes)
    click.echo(key)


@command.command()
@_file
def first(file: Path) -> None:
    """Where there is no key file, make an administrator's key; the file that is there is only read.

    For containers that start again and again: the key is printed at the first start alone.
    """
    with _alone(file):
        if file.exists():
            click.echo(f"{file} has keys: nothing to do ({', '.join(sorted(read_keys(file)))})")
            return
        key = _new(file, "admin", (ADMIN,))
    click.echo("The administrator's API key, shown this once; only its hash is kept:")
    click.echo(key)


@command.command()
@click.argument("id")
@_file
def remove(id: str, file: Path) -> None:
    """Take a key out of force."""
    with _alone(file):
        entries = _entries(file)
        kept = [entry for entry in entries if entry["id"] != id]
        if len(kept) == len(entries):
            raise ConfigError(f"key file {file} has no key {id!r}; `list` shows those it has")
        _write(file, kept)


@command.command(name="list")
@_file
def list_keys(file: Path) -> None:
    """Print ids and scopes."""
    for entry in _entries(file):
        click.echo(f"{entry['id']}\t{','.join(entry['scopes'])}")


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """One change at a time in the file's directory: two at once would lose a key that was printed already."""
    try:
        directory = os.open(file.absolute().parent, os.O_RDONLY)
    except OSError as error:
        raise ConfigError(f"key file {file}: its directory cannot be opened: {error.strerror}") from None
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def _new(file: Path, id: str, scopes: Sequence[str]) -> str:
    """Add a key; what is returned is written down nowhere."""
    secret = secrets.token_urlsafe(32)
    entry = {"id": id, "sha256": sha256(secret.encode()).hexdigest(), "scopes": sorted(set(scopes))}
    _write(file, [*_entries(file, missing_is_empty=True), entry])
    return f"{id}.{secret}"


def _entries(file: Path, missing_is_empty: bool = False) -> list[dict]:
    if missing_is_empty and not file.exists():
        return []
    keys = read_keys(file).values()
    return [{"id": key.id, "sha256": key.digest.hex(), "scopes": sorted(key.scopes)} for key in keys]


def _write(file: Path, entries: list[dict]) -> None:
    text = orjson.dumps({"keys": entries}, option=orjson.OPT_INDENT_2)
    if len({entry["id"] for entry in entries}) != len(entries):
        raise ConfigError(
            f"key file {file} already has a key {entries[-1]['id']!r}; remove it first or take another id"
        )
    parse_keys(text, file)  # running services follow this file: nothing gets into it that they refuse
    replace_file(file.absolute(), text + b"\n")


def main() -> None:
    """Entry point: errors raised on purpose become one line."""
    try:
        command()
    except CmlError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
