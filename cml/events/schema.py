"""Tables of the event store and the migrations that lead to them.

Migrations run forward by themselves when a store is opened, in one transaction under the writer's lock, so
several processes may open a store at once. They are plain functions in a tuple: the schema has few tables,
one owner and no branches, and needs no tool beside SQLAlchemy (docs/decisions/event-store.md).
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.types import BigInteger

from cml.errors import EventStoreError

metadata = MetaData()

# SQLite counts by itself only in a column declared INTEGER.
_Counter = BigInteger().with_variant(Integer, "sqlite")
# With `sqlite_autoincrement` no number is reused, even after deletes: "everything after n" stays complete.

events = Table(
    "events",
    metadata,
    Column("sequence", _Counter, primary_key=True, autoincrement=True),
    Column("event_id", String(200), nullable=False),
    Column("user_id", Text, nullable=False),
    Column("item_id", Text, nullable=False),
    Column("type", String(20), nullable=False),
    Column("weight", Float, nullable=False),
    Column("occurred_at", Float, nullable=False),  # seconds since 1970, as the client says
    Column("received_at", Float, nullable=False),  # seconds since 1970, as this machine says
    Column("recommendation_id", String(200), nullable=True),
    UniqueConstraint("event_id", name="events_once"),
    Index("events_by_user", "user_id", "sequence"),
    sqlite_autoincrement=True,
)

erasures = Table(
    "erasures",
    metadata,
    Column("sequence", _Counter, primary_key=True, autoincrement=True),
    Column("digest", String(16), nullable=False, unique=True),  # of the user id; the id itself is gone
    Column("erased_at", Float, nullable=False),
    sqlite_autoincrement=True,
)

items = Table(
    "items",
    metadata,
    Column("sequence", _Counter, primary_key=True, autoincrement=True),
    Column("item_id", Text, nullable=False, unique=True),
    Column("hidden", Boolean, nullable=False),
    Column("metadata", Text, nullable=True),  # JSON object, None: as published
    Column("features", Text, nullable=True),  # JSON object of values that are not shown
    Column("added_at", Float, nullable=True),  # seconds since 1970 when it was first spoken of, ascending
    sqlite_autoincrement=True,
)

experiments = Table(  # append-only: the last row says what runs now
    "experiments",
    metadata,
    Column("sequence", _Counter, primary_key=True, autoincrement=True),
    Column("name", String(100), nullable=False),
    Column("candidate", Text, nullable=True),  # version; None ends the experiment
    Column("share", Float, nullable=False),
    Column("decided_at", Float, nullable=False),
    sqlite_autoincrement=True,
)

exposures = Table(
    "exposures",
    metadata,
    Column("experiment", String(100), primary_key=True),
    Column("variant", String(20), primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("lists", Integer, nullable=False),
)

_version = Table("schema_version", metadata, Column("version", Integer, nullable=False))


def _added_at(connection: Connection) -> None:
    """When an item was first spoken of."""
    connection.execute(text("ALTER TABLE items ADD COLUMN added_at FLOAT"))


# From schema 1 to 2, from 2 to 3 and so on; only ever appended to. Each must spell its change out instead of
# using the tables above, which always describe the newest schema: an empty database gets those at once.
MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_added_at,)


def newest() -> int:
    """The version of the tables above."""
    return 1 + len(MIGRATIONS)


def migrate(connection: Connection) -> None:
    """Bring the schema to the newest version; raises EventStoreError when it is newer than this code."""
    if not inspect(connection).has_table(_version.name):
        metadata.create_all(connection)
        connection.execute(insert(_version).values(version=newest()))
        return
    at = int(connection.execute(select(_version.c.version)).scalar_one())
    if at > newest():
        raise EventStoreError(
            f"the event store has schema version {at}, this program knows {newest()}: upgrade"
        )
    for migration in MIGRATIONS[at - 1 :]:
        migration(connection)
    if at < newest():
        connection.execute(update(_version).values(version=newest()))
