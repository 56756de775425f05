"""`/v1/admin`: versions and experiments. Needs the scope `admin`."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from service import bodies, paths
from service.asked import ExperimentRequest
from service.context import Context
from service.documented import problems
from service.routes.responses import shaped
from service.schemas import Versions
from service.watch import Watch


def routes(context: Context, watch: Watch) -> APIRouter:
    """Routes for whoever is responsible. Each answers with the state that it led to."""
    router = APIRouter(prefix="/v1/admin", tags=["admin"])
    admin = context.administration

    async def done() -> Response:
        await watch.look()
        return shaped(await asyncio.to_thread(admin.state))

    @router.get("/versions", response_model=Versions, responses=problems())
    async def versions() -> Response:
        """What is published, what answers, and which experiment runs."""
        return shaped(await asyncio.to_thread(admin.state))

    @router.post("/reload", response_model=Versions, responses=problems())
    async def reload() -> Response:
        """Look at CURRENT now. Other workers follow within `poll_seconds`."""
        return await done()

    @router.post("/rollback", response_model=Versions, responses=problems(409))
    async def roll_back() -> Response:
        """Make the version before the current one current."""
        await asyncio.to_thread(admin.roll_back)
        return await done()

    @router.post("/versions/{version}/activate", response_model=Versions, responses=problems(404, 409))
    async def activate(version: str = Path(max_length=100, examples=["000012-0123456789ab"])) -> Response:
        """Make a published version current, after checking every byte of it."""
        await asyncio.to_thread(admin.activate, paths.read_id(version))
        return await done()

    @router.put(
        "/experiment",
        response_model=Versions,
        responses=problems(404, 409, body=True),
        openapi_extra=bodies.documented(ExperimentRequest),
    )
    async def start_an_experiment(request: Request) -> Response:
        """Let a candidate version answer a share of the users. Replaces an experiment that runs."""
        asked = await bodies.read(request, ExperimentRequest)
        await asyncio.to_thread(admin.start_experiment, asked)
        return await done()

    @router.delete("/experiment", response_model=Versions, responses=problems(409))
    async def end_the_experiment() -> Response:
        """Let the current version answer everybody again."""
        await asyncio.to_thread(context.records.end_experiment)
        return await done()

    return router
