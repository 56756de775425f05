"""`/v1/model`: which version answers."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from cml.features.placing import Placer
from service.context import Context
from service.documented import problems
from service.routes.responses import shaped
from service.schemas import Model


def routes(context: Context) -> APIRouter:
    """Routes about the model in use."""
    router = APIRouter(prefix="/v1", tags=["model"])

    @router.get("/model", response_model=Model, responses=problems())
    async def model_in_use() -> Response:
        """The version that answers: what it was trained on, how, and how well it did."""
        return shaped(_describe(context))

    return router


def _describe(context: Context) -> Model:
    snapshot = context.pages.shown()
    manifest = snapshot.artifact.manifest
    return Model(
        version=snapshot.version,
        created_at=manifest.created_at,
        users=manifest.counts.users,
        items=manifest.counts.items,
        dim=manifest.dim,
        index=manifest.index.model_dump(),
        metrics=manifest.metrics,
        data=manifest.data,
        config=manifest.config,
        columns=snapshot.stock.columns,
        features=_columns(snapshot.artifact.placer),
        user_features=_columns(snapshot.artifact.user_placer),
        versions=manifest.versions,
    )


def _columns(placer: Placer | None) -> dict[str, str]:
    return {} if placer is None else placer.columns
