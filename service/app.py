"""The application: parts put together, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from cml import __version__
from cml.events import EventStore
from cml.registry import Registry
from service import errors, paths
from service.answers import Answers
from service.auth import Keyring
from service.catalogue import ItemLookup
from service.context import Context
from service.edge import Edge
from service.lifecycle import Lifecycle
from service.live import Live
from service.logs import AccessLog
from service.metrics import Metrics
from service.openapi import describe
from service.routes import items, lists, model, probes, users
from service.settings import Settings
from service.shortcut import Shortcut
from service.store import SnapshotStore
from service.watch import Watch

ROUTES = (users.routes, items.routes, lists.routes, model.routes, probes.routes)


class Service(FastAPI):
    """FastAPI with our own edge in front: it routes and documents, the edge does what every request needs."""

    edge: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.edge(scope, receive, send)

    async def route(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What the edge calls."""
        await super().__call__(scope, receive, send)


def create_app(settings: Settings, lifecycle: Lifecycle | None = None) -> Service:
    """The service for these settings. Opens the event store, reads the key file; models load at startup."""
    paths.register()
    metrics = Metrics()
    registry = Registry(settings.models)
    store = SnapshotStore(registry, metrics, verify=settings.verify)
    live = Live(EventStore(settings.events_url) if settings.events_url else None)
    context = Context(
        settings=settings,
        lifecycle=lifecycle or Lifecycle(),
        registry=registry,
        metrics=metrics,
        store=store,
        live=live,
        answers=Answers(settings, store, live, metrics),
        catalogue=ItemLookup(store, live),
    )
    keyring = Keyring(settings.keys)
    log = AccessLog(settings.access_log)
    app = _documented(context, Watch(context, keyring, log))
    app.edge = Edge(
        app.route, Shortcut(context.answers), settings=settings, keyring=keyring, metrics=metrics, log=log
    )
    if settings.cors_origins:
        app.edge = _with_cors(app.edge, settings.cors_origins)
    return app


def _documented(context: Context, watch: Watch) -> Service:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(await watch.start())
        yield
        task.cancel()
        await watch.stop()

    app = Service(
        title="cml-recommender", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    describe(app)
    for make_routes in ROUTES:
        app.include_router(make_routes(context))
    app.add_exception_handler(errors.Problem, errors.on_problem)
    app.add_exception_handler(HTTPException, errors.on_http_exception)
    app.add_exception_handler(RequestValidationError, errors.on_invalid)
    return app


def _with_cors(app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["authorization", "content-type", "x-request-id"],
        expose_headers=["x-request-id", "retry-after"],
    )
