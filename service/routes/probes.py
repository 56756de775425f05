"""Probes and metrics, for whoever runs the service. Not under /v1: they are no part of the product."""

from __future__ import annotations

import os

from fastapi import APIRouter
from starlette.responses import Response

from service.context import Context
from service.documented import problem
from service.metrics import CONTENT_TYPE
from service.routes.responses import shaped
from service.schemas import Status


def routes(context: Context) -> APIRouter:
    """Liveness, readiness, startup, metrics."""
    router = APIRouter(tags=["operations"])
    unready = {503: {"model": Status, "description": "Not yet, or not any more"}}

    @router.get("/livez", response_model=Status)
    async def alive() -> Response:
        """The process answers. Restart it when it does not."""
        return shaped(Status(status="alive"))

    @router.get("/startupz", response_model=Status, responses=unready)  # type: ignore[arg-type]
    async def started() -> Response:
        """The first look for a model is over."""
        done = context.lifecycle.started
        return shaped(Status(status="started" if done else "starting"), 200 if done else 503)

    @router.get("/readyz", response_model=Status, responses=unready)  # type: ignore[arg-type]
    async def ready() -> Response:
        """Send requests here. Problems that leave old answers standing are told but do not count."""
        status = readiness(context)
        return shaped(status, 200 if status.status == "ready" else 503)

    @router.get("/metrics", response_class=Response, responses={401: problem(401), 403: problem(403)})
    async def metrics() -> Response:
        """For Prometheus; needs the scope `read` where keys are in force."""
        return Response(context.metrics.page(), media_type=CONTENT_TYPE)

    return router


def readiness(context: Context) -> Status:
    """Whether to send requests to this process, and what is wrong with it."""
    problems = [context.store.failure, context.live.failure, *context.losses.problems]
    if os.environ.get("OMP_NUM_THREADS") != "1":
        problems.append("OMP_NUM_THREADS is not 1: searches of several workers will starve each other")
    if context.lifecycle.draining:
        return Status(status="draining")
    if not context.store.is_ready:
        return Status(status="no model", problems=[context.store.failure or "no model is published yet"])
    listed = [one for one in problems if one]
    return Status(status="ready", model_version=context.store.current.version, problems=listed)
