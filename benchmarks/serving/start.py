"""How long a worker takes to become ready once its modules are there. `python -m benchmarks.serving.start MODELS`.

Prints seconds from the end of the imports to the end of the start: the version found, verified, mapped and answering.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # as the service sets it, before the library starts its threads

import asyncio
import sys
import time
from pathlib import Path

from service.app import create_app
from service.settings import Settings


async def ready(models: Path) -> float:
    """Seconds until a service on this registry answers."""
    began = time.perf_counter()
    app = create_app(Settings(models=models, events="off", access_log=False))
    async with app.router.lifespan_context(app):
        return time.perf_counter() - began


if __name__ == "__main__":
    print(f"{asyncio.run(ready(Path(sys.argv[1]))):.3f}")
