"""`/v1/users`: what to show a user, what is stored about them, and how to make it forgotten."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from service.asked import ListOptions
from service.context import Context
from service.documented import problems
from service.queries import list_options
from service.routes.responses import raw, shaped
from service.schemas import Erased, ItemList, User, UserList

UserId = Annotated[str, Path(description="Any text, percent-encoded as one path segment.", examples=["42"])]
Options = Annotated[ListOptions, Depends(list_options)]
Length = Annotated[int | None, Query(ge=1, description="Length of the list.", examples=[10])]


def routes(context: Context) -> APIRouter:
    """Routes about one user. The longer paths come first: an id may hold slashes."""
    router = APIRouter(prefix="/v1/users", tags=["users"])

    @router.get("/{user_id:id}/recommendations", response_model=ItemList, responses=problems(410))
    async def recommendations_for_a_user(user_id: UserId, options: Options) -> Response:
        """The items nearest to this user, nearest first.

        Events count at once. A user of whom nothing is known gets the popular items, and `strategy` says so.
        """
        return raw(await context.answers.for_user(user_id, options))

    @router.get("/{user_id:id}/similar", response_model=UserList, responses=problems(404))
    async def similar_users(user_id: UserId, k: Length = None) -> Response:
        """The users nearest to this one, nearest first."""
        return raw(await context.answers.similar_users(user_id, k))

    @router.get("/{user_id:id}", response_model=User, responses=problems(404))
    async def what_is_stored_about_a_user(user_id: UserId) -> Response:
        """The user's items in the training data, and all events."""
        snapshot = context.pages.shown()
        return shaped(await asyncio.to_thread(context.records.user, user_id, snapshot))

    @router.delete("/{user_id:id}", response_model=Erased, responses=problems())
    async def erase_a_user(user_id: UserId) -> Response:
        """Erase everything about a user, in every worker and at once.

        Published versions hide the user; the next training does not know them. Erasing again is no error.
        """
        return shaped(await asyncio.to_thread(context.records.erase, user_id))

    return router
