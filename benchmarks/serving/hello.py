"""The yardstick: a bare Starlette app that answers a constant as JSON. `python -m benchmarks.serving.hello PORT`."""

from __future__ import annotations

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def hello(_request: Request) -> JSONResponse:
    return JSONResponse({"hello": "world"})


if __name__ == "__main__":
    app = Starlette(routes=[Route("/", hello)])
    uvicorn.run(app, port=int(sys.argv[1]), access_log=False, log_level="warning")
