"""Which SQLite file was here before: a store that is gone must not be mistaken for one that never was.

The database carries a number of its own (SQLite's `user_version`), and a small file beside it, NAME.known, says
which number was here last. Where the database is gone, SQLite makes a new and empty one without a word, and that gets
another number.
"""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection

from cml.durable import replace_file


def known_file(database: Path) -> Path:
    """Where it says which database was here."""
    return database.with_name(f"{database.name}.known")


def was_here(database: Path) -> bool:
    """Whether there was a store at this place, be it there or not."""
    return known_file(database).exists()


def identify(connection: Connection) -> int:
    """The database's own number, given to it now if it has none; within a transaction of the writer."""
    number = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    if not number:
        number = 1 + secrets.randbelow(2**31 - 1)
        connection.exec_driver_sql(f"PRAGMA user_version = {number}")
    return number


def complaint(database: Path, number: int) -> str | None:
    """What is wrong when another database was here before; the first one that is seen here is noted."""
    known = known_file(database)
    try:
        before = int(json.loads(known.read_bytes())["store"])
    except FileNotFoundError:
        with suppress(OSError):  # as on a full disk; the next one who opens it tries again
            note(database, number)
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        return (
            f"{known}: cannot be read ({error}); remove it if {database.name} was always the event store here"
        )
    if before == number:
        return None
    return (
        f"{database} is not the event store that was here before: that one is gone, with all that users did since the "
        f"data were exported, and who was erased. Stop what uses it and put it back, or restore a backup (`cml events "
        f"restore`); to go on with this one, remove {known} and start again"
    )


def note(database: Path, number: int) -> None:
    """This is the database that is here from now on."""
    replace_file(known_file(database), json.dumps({"store": number}).encode())
