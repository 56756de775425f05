"""`/v1/recommendations`: lists for sessions, for long requests, and for many users at once."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from service import bodies
from service.asked import BatchRequest, SessionRequest
from service.context import Context
from service.documented import problems
from service.routes.responses import raw
from service.schemas import ItemList

_LINES = {
    200: {
        "description": "One list a line, in the order of `user_ids`",
        "content": {"application/jsonl": {"schema": {"$ref": "#/components/schemas/ItemList"}}},
    }
}


def routes(context: Context) -> APIRouter:
    """Routes that take their question in a body."""
    router = APIRouter(prefix="/v1/recommendations", tags=["recommendations"])

    @router.post(
        "",
        response_model=ItemList,
        responses=problems(410, body=True),
        openapi_extra=bodies.documented(SessionRequest),
    )
    async def recommendations_for_a_session(request: Request) -> Response:
        """A list from what somebody liked and disliked, without storing anything.

        With `user_id` the user's stored history counts too. Unknown ids are skipped and named in `skipped`.
        """
        asked = await bodies.read(request, SessionRequest, context.settings.max_list)
        return raw(await context.answers.for_session(asked))

    @router.post(
        "/batch",
        response_class=StreamingResponse,
        responses=_LINES | problems(body=True),  # type: ignore[operator]
        openapi_extra=bodies.documented(BatchRequest),
    )
    async def recommendations_for_many_users(request: Request) -> Response:
        """The same kind of list for each of many users, streamed as JSON lines."""
        limits = context.settings
        asked = await bodies.read(request, BatchRequest, max(limits.max_batch, limits.max_list))
        return StreamingResponse(context.answers.batch(asked), media_type="application/jsonl")

    return router
