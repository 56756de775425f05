"""`/v1/lists`: the same for everybody."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from cml.recommend import Fallback
from service.asked import ListOptions
from service.context import Context
from service.documented import problems
from service.queries import list_options
from service.routes.responses import raw
from service.schemas import ItemList


def routes(context: Context) -> APIRouter:
    """Routes of lists that are nobody's own."""
    router = APIRouter(prefix="/v1/lists", tags=["lists"])

    @router.get("/{by}", response_model=ItemList, responses=problems(410))
    async def items_for_everybody(
        by: Fallback, options: Annotated[ListOptions, Depends(list_options)]
    ) -> Response:
        """Most liked, trending (recent likes count more) or recent (newest first) items.

        Where the data had no times, trending and recent answer with the popular ones, and `strategy` says so.
        """
        return raw(await context.answers.ranked(by, options))

    return router
