"""Settings of the service: a frozen value, checked once at start; docs/operating.md lists every field.

Defaults, then a TOML file, then the environment (`CML_SERVICE_PORT` for `port`), then command-line flags.
"""

from __future__ import annotations

import ipaddress
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
)

from cml.errors import ConfigError
from cml.events.meaning import DEFAULT_EVENT_WEIGHTS
from cml.storage.place import place_of

PREFIX = "CML_SERVICE_"
EVENTS_OFF = "off"
SHARED_METRICS = "PROMETHEUS_MULTIPROC_DIR"  # of all workers: where they count, by the library's own name
EventWeights = Annotated[
    dict[
        Annotated[str, Field(pattern=f"^({'|'.join(DEFAULT_EVENT_WEIGHTS)})$")],
        Annotated[float, Field(ge=0, le=1000)],
    ],
    AfterValidator(lambda given: DEFAULT_EVENT_WEIGHTS | given),
]


class Settings(BaseModel):
    """Everything that decides how a service process behaves. Unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: Annotated[Path | str, BeforeValidator(place_of)]  # the model registry: a directory or a URL
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000  # 0: any free one, printed at start
    workers: PositiveInt = 1
    verify: bool = True  # check every file's checksum when a version is loaded
    poll_seconds: PositiveFloat = 1.0  # how often CURRENT and the key file are looked at

    events: str = ""  # SQLAlchemy URL; empty: events.db inside `models`; "off": no events are taken
    event_weights: EventWeights = DEFAULT_EVENT_WEIGHTS  # those that are not named keep their default

    keys: Path | None = None  # file of hashed API keys; watched, so rotation needs no restart
    without_key: tuple[
        Literal["read", "write"], ...
    ] = ()  # what callers who send no key may do where keys are set
    allow_without_keys: bool = False  # bind to a non-loopback address although anyone may call
    rate_limit: NonNegativeFloat = 0.0  # requests per second and key, over all workers; 0: unlimited
    rate_burst: PositiveInt = 50  # requests a key may make at once before the rate counts
    cors_origins: tuple[str, ...] = ()  # browser origins that may call; empty: CORS off

    default_k: PositiveInt = 20  # at most max_k
    max_k: PositiveInt = 500  # longest page, and longest similar or popular list
    max_depth: PositiveInt = 2000  # how far paging goes into one listing
    max_list: PositiveInt = 1000  # ids in exclude, allow, liked or disliked, values in a condition
    max_batch: PositiveInt = 5000  # users in one batch request
    max_events: PositiveInt = 1000  # events in one request
    max_body: PositiveInt = 1 << 20  # bytes of a request body
    max_connections: PositiveInt = 2000  # open connections per worker; beyond it: 503

    header_timeout: PositiveFloat = 10.0  # seconds a client may take to send a request's head
    body_timeout: PositiveFloat = 10.0  # seconds a client may take to send a request's body
    answer_timeout: PositiveFloat = (
        10.0  # seconds an answer may take before it becomes a 503; from part to part of a stream
    )
    drain_seconds: NonNegativeFloat = 2.0  # after SIGTERM: not ready, still answering, for this long
    finish_seconds: NonNegativeInt = 5  # then this long for requests under way

    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"
    access_log: bool = True

    @property
    def events_url(self) -> str | None:
        """Where events are stored, None when they are off."""
        if self.events == EVENTS_OFF:
            return None
        if self.events:
            return self.events
        if not isinstance(self.models, Path):
            raise ConfigError(
                f"models {self.models}: a registry by URL holds no event store: say with --events URL or "
                f"{PREFIX}EVENTS where it is, or --events {EVENTS_OFF}"
            )
        return f"sqlite:///{self.models.absolute() / 'events.db'}"

    def require_safe_binding(self) -> None:
        """Refuse to serve everyone on the network by accident. Raises ConfigError."""
        if self.keys is None and not self.allow_without_keys and not _is_loopback(self.host):
            raise ConfigError(
                f"host {self.host} can be reached from other machines, and no API keys are set: give a"
                " key file (--keys FILE; make one with `python -m service.keys`), bind to 127.0.0.1, or say"
                " --allow-without-keys"
            )


def load(environment: Mapping[str, str] = os.environ, file: Path | None = None, **flags: Any) -> Settings:
    """Settings from all sources; flags that are None do not count. Raises ConfigError naming the source."""
    chosen = file or (Path(environment[PREFIX + "CONFIG"]) if PREFIX + "CONFIG" in environment else None)
    values: dict[str, Any] = _read_toml(chosen) if chosen else {}
    values |= _from_environment(environment)
    values |= {name: value for name, value in flags.items() if value is not None}
    if "models" not in values:
        raise ConfigError(
            f"no model registry: give --models PLACE, a directory or a URL, or set {PREFIX}MODELS"
        )
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"setting {where} = {first['input']!r}: {first['msg']}; see docs/operating.md"
        ) from None


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    names = {
        key.removeprefix(PREFIX).lower(): text
        for key, text in environment.items()
        if key.startswith(PREFIX) and key != PREFIX + "CONFIG"
    }
    return {name: _parse(name, text) for name, text in names.items()}


def _parse(name: str, text: str) -> Any:
    """Lists and tables are written as JSON; every other value is the text, which pydantic converts."""
    if not text.startswith(("[", "{")):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"{PREFIX}{name.upper()}={text}: not valid JSON: {error}") from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
