"""The metadata of a few added items, made when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from numpy.typing import NDArray

from cml.catalogue import Catalogue
from cml.errors import QueryError
from cml.item_changes import catalogue_of
from cml.item_columns import KINDS

if TYPE_CHECKING:
    from cml.arrivals import Addition

_MASKS = 16  # filters whose result is kept


class Block:
    """Some items that stand together from the position `begin` on."""

    def __init__(self, begin: int, items: tuple[Addition, ...], kinds: Mapping[str, str]) -> None:
        self.begin = begin
        self.items = items
        self._kinds = kinds

    @cached_property
    def catalogue(self) -> Catalogue:
        """What is said about them, by the kinds of columns that were known when they came."""
        return catalogue_of([item.metadata for item in self.items], self._kinds)

    def matching(self, where: Mapping[str, Any], kinds: Mapping[str, str]) -> NDArray[np.bool_]:
        """Mask of the items that satisfy conditions on columns of these kinds. Raises QueryError."""
        return matching_lacking(self._matching, self.catalogue.columns, where, kinds)

    @cached_property
    def _matching(self) -> Callable[[bytes], NDArray[np.bool_]]:
        return kept_masks(self.catalogue)


def kept_masks(catalogue: Catalogue) -> Callable[[bytes], NDArray[np.bool_]]:
    """`catalogue.matching` for conditions as JSON with sorted keys; the last results are kept, read-only."""
    # The cache knows the catalogue and nothing else: in a reference cycle it would outlive its swap.
    return lru_cache(maxsize=_MASKS)(partial(_matching, catalogue))


def matching_lacking(
    matching: Callable[[bytes], NDArray[np.bool_]],
    columns: Mapping[str, Any],
    where: Mapping[str, Any],
    kinds: Mapping[str, str],
) -> NDArray[np.bool_]:
    """Conditions on columns of these kinds, of which items with only these `columns` have no value in the others."""
    present = {name: condition for name, condition in where.items() if name in columns}
    mask = matching(orjson.dumps(present, option=orjson.OPT_SORT_KEYS))
    for name in where.keys() - columns.keys():
        try:
            missing_matches = bool(KINDS[kinds[name]].build([None]).matching(where[name])[0])
        except QueryError as error:
            raise QueryError(f"filter on {name!r}: {error}") from None
        if not missing_matches:
            return np.zeros(len(mask), dtype=bool)
    return mask


def _matching(catalogue: Catalogue, key: bytes) -> NDArray[np.bool_]:
    mask = catalogue.matching(orjson.loads(key))
    mask.flags.writeable = False
    return mask
