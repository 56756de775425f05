"""User tables: what is known of users besides what they like, from the same file formats as item tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cml.catalogue import Catalogue
from cml.data.formats import Headerless
from cml.data.items import Subject, read_item_table
from cml.vocabulary import Vocabulary

ID_COLUMN = "user_id"
LAYOUTS = (
    Headerless(
        "MovieLens u.user", "|", (ID_COLUMN, "age", "gender", "occupation", "zip_code"), digits=(0, 1)
    ),
    Headerless(
        "MovieLens users.dat", "::", (ID_COLUMN, "gender", "age", "occupation", "zip_code"), digits=(0, 2)
    ),
)
ABOUT_USERS = Subject("user", ID_COLUMN, ("userId", "reviewerID", "id"), (), LAYOUTS)


def read_users(path: Path, users: Vocabulary, *, kinds: Mapping[str, str] | None = None) -> Catalogue:
    """What the table says of `users`, by row; nothing of those who stand in none of its rows.

    Columns are typed like those of an item table, see `cml.data.items.read_item_table`. Raises DataError when the
    table cannot be used, ConfigError for a kind or column that does not exist.
    """
    return read_item_table(path, users, id_column=ID_COLUMN, kinds=kinds, about=ABOUT_USERS).catalogue
