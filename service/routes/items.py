"""`/v1/items`: look items up, find them by title, see what is near; change and hide them."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from service import bodies
from service.asked import LONGEST_ID, ItemUpdate, ListOptions
from service.context import Context
from service.documented import problems
from service.queries import list_options
from service.routes.responses import raw, shaped
from service.schemas import Item, ItemList, ItemMatches, UserList

ItemId = Annotated[
    str, Path(description="Any text, percent-encoded as one path segment.", examples=["tt0133093"])
]
NewId = Annotated[ItemId, Path(max_length=LONGEST_ID)]  # what is written must be an id that events can name
Options = Annotated[ListOptions, Depends(list_options)]
Length = Annotated[int | None, Query(ge=1, description="Length of the list.", examples=[10])]


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
        return raw(await context.answers.similar_items(item_id, options))

    @router.get("/{item_id:id}/users", response_model=UserList, responses=problems(404))
    async def users_for_an_item(item_id: ItemId, k: Length = None) -> Response:
        """The users nearest to this item who have not seen it, nearest first: whom to tell about it."""
        return raw(await context.answers.users_for_item(item_id, k))

    @router.put("/{item_id:id}/hidden", response_model=Item, responses=problems())
    async def hide_an_item(item_id: NewId) -> Response:
        """From now on no list holds the item. It can still be looked up."""
        await asyncio.to_thread(context.records.hide_item, item_id, True)
        return shaped(context.catalogue.item(item_id))

    @router.delete("/{item_id:id}/hidden", response_model=Item, responses=problems(404))
    async def show_an_item(item_id: ItemId) -> Response:
        """Undo hiding."""
        await asyncio.to_thread(context.records.hide_item, item_id, False)
        return shaped(context.catalogue.item(item_id))

    @router.get("/{item_id:id}", response_model=Item, responses=problems(404))
    async def look_up_an_item(item_id: ItemId) -> Response:
        """What is known about an item."""
        return shaped(context.catalogue.item(item_id))

    @router.put(
        "/{item_id:id}",
        response_model=Item,
        responses=problems(body=True),
        openapi_extra=bodies.documented(ItemUpdate),
    )
    async def change_an_item(item_id: NewId, request: Request) -> Response:
        """Replace what is said about an item since publishing.

        An item that the version in use was not made with is placed by its features and counts in every list at
        once, as hiding does. Metadata of the version's own items counts after a moment.
        """
        update = await bodies.read(request, ItemUpdate)
        snapshot = context.store.current
        await asyncio.to_thread(context.records.put_item, item_id, update, snapshot)
        return shaped(context.catalogue.item(item_id))

    return router
