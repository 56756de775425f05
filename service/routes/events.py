"""`/v1/events`: what users did."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from service import bodies
from service.asked import EventsRequest
from service.context import Context
from service.documented import problems
from service.routes.responses import shaped
from service.schemas import EventsReceipt


def routes(context: Context) -> APIRouter:
    """Routes that take events."""
    router = APIRouter(prefix="/v1", tags=["events"])

    @router.post(
        "/events",
        response_model=EventsReceipt,
        responses=problems(body=True),
        openapi_extra=bodies.documented(EventsRequest),
    )
    async def take_events(request: Request) -> Response:
        """Store events. Answers when they are on disk; they count in the next answer of every worker.

        All or none are stored. After an error or a lost connection send the same events again: those with an
        `event_id` that is known already change nothing.
        """
        asked = await bodies.read(request, EventsRequest, context.settings.max_events)
        return shaped(await context.intake.take(asked.events))

    return router
