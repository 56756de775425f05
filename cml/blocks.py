"""The metadata of a few added items, made when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from numpy.typing import NDArray

from cml.catalogue import Catalogue
from cml.chosen import Chosen
from cml.errors import QueryError
from cml.item_changes import catalogue_of
from cml.item_columns import KINDS

if TYPE_CHECKING:
    from cml.arrivals import Addition

_FILTERS = 256  # whose results are kept at most
_FILTERS_BYTES = 16 << 20  # what these results may take in all
_FEWEST_FILTERS = 4
_LONGEST_FILTER = 10_000  # bytes of conditions whose result is kept, with them: ordinary ones have a hundred


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
        present, rest_holds = conditions_present(self.catalogue.columns, where, kinds)
        mask = self._matching(present).mask()
        return mask if rest_holds else np.zeros_like(mask)

    @cached_property
    def _matching(self) -> Callable[[bytes], Chosen]:
        return kept_filters(self.catalogue)


def kept_filters(catalogue: Catalogue) -> Callable[[bytes], Chosen]:
    """`catalogue.matching` for conditions as JSON with sorted keys; the last results are kept."""
    most = _FILTERS_BYTES // max(catalogue.n_items // 4, 1)  # a result takes at most two bits for each item
    # The cache knows the catalogue and nothing else: in a reference cycle it would outlive its swap.
    kept = lru_cache(maxsize=min(max(most, _FEWEST_FILTERS), _FILTERS))(partial(_matching, catalogue))
    return lambda key: kept(key) if len(key) <= _LONGEST_FILTER else _matching(catalogue, key)


def conditions_present(
    columns: Mapping[str, Any], where: Mapping[str, Any], kinds: Mapping[str, str]
) -> tuple[bytes, bool]:
    """Conditions on columns of these kinds, for items with only these `columns`: those on them, as JSON with sorted
    keys; and whether having no value satisfies the others. Raises QueryError.
    """
    present = {name: condition for name, condition in where.items() if name in columns}
    rest_holds = True
    for name in where.keys() - columns.keys():
        try:
            rest_holds &= bool(KINDS[kinds[name]].build([None]).matching(where[name])[0])
        except QueryError as error:
            raise QueryError(f"filter on {name!r}: {error}") from None
    return orjson.dumps(present, option=orjson.OPT_SORT_KEYS), rest_holds


def _matching(catalogue: Catalogue, key: bytes) -> Chosen:
    return Chosen.of_mask(catalogue.matching(orjson.loads(key)))
