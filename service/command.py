"""The command line of the service: flags become settings, settings become a running server."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cml.errors import ConfigError
from service.reasons import exit_with_reason

if TYPE_CHECKING:
    from service.settings import Settings


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--models", help="The model registry that `cml models publish` fills: a directory or a URL.")
@click.option("--host", help="Address to bind to [127.0.0.1].")
@click.option("--port", type=int, help="Port to bind to, 0 for any free one [8000].")
@click.option("--workers", type=int, help="Worker processes [1].")
@click.option("--events", help="Event store as an SQLAlchemy URL, or `off` [MODELS/events.db].")
@click.option(
    "--keys", type=click.Path(path_type=Path), help="File of hashed API keys [none: anyone may call]."
)
@click.option(
    "--allow-without-keys", is_flag=True, default=None, help="Bind to a public address without keys."
)
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with any of the settings.")
def command(config: Path | None, **flags: Any) -> None:
    """Answer recommendations over HTTP. All settings: docs/operating.md."""
    _limit_threads()
    from service import settings  # brings numpy

    chosen = settings.load(os.environ, config, **flags)
    chosen.require_safe_binding()
    models = _reachable(chosen)
    listener = _listen(chosen)
    host, port = listener.getsockname()[:2]
    click.echo(f"serving {models} on http://{f'[{host}]' if ':' in host else host}:{port}", err=True)
    if chosen.workers == 1:
        from service.server import serve  # brings faiss

        serve(chosen, listener)
    else:
        from service.supervisor import supervise

        sys.exit(supervise(chosen, listener))


def _reachable(chosen: Settings) -> str:
    """The registry's place for people. Raises ConfigError, MissingExtraError where no model can ever come from."""
    from cml.storage.choose import storage_at

    if isinstance(chosen.models, Path) and not chosen.models.is_dir():
        raise ConfigError(f"models directory {chosen.models} does not exist; publish a model into it first")
    _ = chosen.events_url
    return storage_at(chosen.models).place


def _listen(chosen: Settings) -> socket.socket:
    from service.sockets import listen

    try:
        return listen(chosen.host, chosen.port)
    except OSError as error:
        place = f"{chosen.host}:{chosen.port}"
        raise ConfigError(
            f"cannot listen on {place}: {error.strerror or error}; choose another --port"
        ) from None


def _limit_threads() -> None:
    """One thread for each worker's numeric libraries. They would start one per core in whoever asks them: for our
    small products waiting for each other costs more than the work, and two workers at once would starve each other.
    Must happen before numpy and faiss are imported, which read it only then."""
    os.environ["OMP_NUM_THREADS"] = "1"


def main() -> None:
    """Entry point."""
    exit_with_reason(command)
