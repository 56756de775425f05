"""`/v1/items`: look items up, find them by title, see what is similar."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from service.context import Context
from service.documented import problems
from service.queries import list_options
from service.routes.responses import raw, shaped
from service.schemas import Item, ItemList, ItemMatches, ListOptions

ItemId = Annotated[
    str, Path(description="Any text, percent-encoded as one path segment.", examples=["0133093"])
]
Options = Annotated[ListOptions, Depends(list_options)]


def routes(context: Context) -> APIRouter:
    """Routes about items. The longer paths come first: an id may hold slashes."""
    router = APIRouter(prefix="/v1/items", tags=["items"])

    @router.get("", response_model=ItemMatches, responses=problems())
    async def search_titles(
        title: Annotated[
            str, Query(min_length=1, max_length=200, examples=["matrix"], description="Words of the title.")
        ],
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> Response:
        """Items whose title holds every word: whole titles first, then beginnings, then the rest."""
        return shaped(context.catalogue.search(title, limit))

    @router.get("/{item_id:id}/similar", response_model=ItemList, responses=problems(404, 410))
    async def similar_items(item_id: ItemId, options: Options) -> Response:
        """The items nearest to this one, nearest first."""
        return raw(context.answers.similar(item_id, options))

    @router.get("/{item_id:id}", response_model=Item, responses=problems(404))
    async def look_up_an_item(item_id: ItemId) -> Response:
        """What is known about an item."""
        return shaped(context.catalogue.item(item_id))

    return router
