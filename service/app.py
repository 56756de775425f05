"""The application: parts put together, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from cml import __version__
from cml.events.store import EventStore
from cml.events.writer import EventWriter
from cml.registry import Registry
from service import errors, openapi, paths
from service.administration import Administration
from service.answers import Answers
from service.auth import Keyring
from service.catalogue import ItemLookup
from service.context import Context
from service.edge import Edge
from service.edits import Masks
from service.intake import Intake
from service.lifecycle import Lifecycle
from service.live import Live
from service.logs import AccessLog
from service.losses import Losses
from service.metrics import Metrics
from service.pages import Pages
from service.records import Records
from service.routes import admin, events, explorer, items, lists, model, probes, recommendations, users
from service.settings import Settings
from service.shortcut import Shortcut
from service.store import SnapshotStore
from service.watch import Watch

ROUTES = (
    users.routes,
    recommendations.routes,
    items.routes,
    lists.routes,
    events.routes,
    model.routes,
    probes.routes,
    explorer.routes,
)


class Service(FastAPI):
    """FastAPI with our own edge in front: it routes and documents, the edge does what every request needs."""

    edge: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.edge(scope, receive, send)

    async def behind_the_edge(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What the edge calls."""
        await super().__call__(scope, receive, send)


def create_app(settings: Settings, lifecycle: Lifecycle | None = None) -> Service:
    """The service for these settings. Opens the event store, reads the key file; models load at startup."""
    paths.register()
    context = _context(settings, lifecycle or Lifecycle())
    keyring = Keyring(settings.keys, settings.without_key)
    log = AccessLog(settings.access_log)
    app = _routed(context, Watch(context, keyring, log))
    app.edge = Edge(
        app.behind_the_edge,
        Shortcut(context.answers, settings.max_list),
        settings=settings,
        keyring=keyring,
        metrics=context.metrics,
        log=log,
    )
    if settings.cors_origins:
        app.edge = _with_cors(app.edge, settings.cors_origins)
    return app


def _context(settings: Settings, lifecycle: Lifecycle) -> Context:
    metrics = Metrics()
    registry = Registry(settings.models)
    stored = EventStore(settings.events_url, wait_for_server=True) if settings.events_url else None
    live = Live(stored)
    masks = Masks(live)
    store = SnapshotStore(registry, metrics, masks.prepare, verify=settings.verify)
    pages = Pages(settings, store, live, masks)
    records = Records(stored)
    return Context(
        settings=settings,
        lifecycle=lifecycle,
        metrics=metrics,
        store=store,
        live=live,
        losses=Losses(stored, store, metrics),
        pages=pages,
        answers=Answers(settings, store, live, metrics, pages),
        catalogue=ItemLookup(pages, live),
        intake=Intake(settings, EventWriter(stored) if stored else None, pages, metrics),
        records=records,
        administration=Administration(registry, store, live, records),
    )


def _routed(context: Context, watch: Watch) -> Service:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await watch.start()
        yield
        await watch.stop()

    app = Service(
        title="cml-recommender", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    openapi.describe(app)
    for make_routes in ROUTES:
        app.include_router(make_routes(context))
    app.include_router(admin.routes(context, watch))
    app.add_exception_handler(errors.Problem, errors.on_problem)
    app.add_exception_handler(HTTPException, errors.on_http_exception)
    app.add_exception_handler(RequestValidationError, errors.on_invalid)
    app.add_exception_handler(Exception, errors.on_failure)
    return app


def _with_cors(app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["authorization", "content-type", "x-request-id"],
        expose_headers=["x-request-id", "retry-after"],
    )
