"""`/v1/users`: what to show a user."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from service.context import Context
from service.documented import problems
from service.queries import list_options
from service.routes.responses import raw
from service.schemas import ItemList, ListOptions

UserId = Annotated[str, Path(description="Any text, percent-encoded as one path segment.", examples=["42"])]
Options = Annotated[ListOptions, Depends(list_options)]


def routes(context: Context) -> APIRouter:
    """Routes about one user."""
    router = APIRouter(prefix="/v1/users", tags=["users"])

    @router.get("/{user_id:id}/recommendations", response_model=ItemList, responses=problems(410))
    async def recommendations_for_a_user(user_id: UserId, options: Options) -> Response:
        """The items nearest to this user, nearest first.

        A user of whom nothing is known gets the popular items, and `strategy` says so.
        """
        return raw(context.answers.for_user(user_id, options))

    return router
