"""API keys: who calls, and what they may do.

A key is `ID.SECRET`. The id finds the entry, the secret is compared by its SHA-256 in constant time. Secrets
are 32 random bytes, so a fast hash is enough: there is nothing to guess that stretching would protect.
"""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from cml.errors import ConfigError
from service.errors import Problem, unauthorised

READ, WRITE, ADMIN = "read", "write", "admin"
SCOPES = (READ, WRITE, ADMIN)
ANYONE = "anyone"  # the caller's name where no keys are in force

_OPEN = frozenset(("/livez", "/readyz", "/startupz", "/", "/explorer", "/openapi.json", "/docs"))
_log = logging.getLogger(__name__)
_NOBODY = bytes(32)  # compared against when the id is unknown, so that both failures take the same steps


@dataclass(frozen=True, slots=True)
class Key:
    """One entry of the key file. `admin` includes the other scopes; `write` does not include `read`."""

    id: str
    digest: bytes
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        return scope in self.scopes or ADMIN in self.scopes


class Keyring:
    """The keys in force. Without a file everyone may do everything; with one, who sends no key `without_key` scopes.

    `refresh` reads the file again when it changed; a damaged file leaves the keys in force as they are.
    """

    def __init__(self, file: Path | None, without_key: Collection[str] = ()) -> None:
        self._file = file
        self._without_key = frozenset(without_key)
        self._stamp: tuple[int, int, int] | None = None
        self._keys: dict[str, Key] = {}
        self.failure: str | None = None
        if file is not None:
            self._keys, self._stamp = read_keys(file), _stamp(file)

    def refresh(self) -> bool:
        """True when the file had changed and was taken over."""
        if self._file is None:
            return False
        try:
            stamp = _stamp(self._file)
            if stamp == self._stamp:
                return False
            self._keys, self._stamp, self.failure = read_keys(self._file), stamp, None
        except ConfigError as error:
            if self.failure != str(error):
                _log.error("keeping the API keys in force: %s", error)
            self.failure = str(error)
            return False
        return True

    def authorise(self, authorization: bytes | None, scope: str | None) -> str:
        """The caller's key id. Raises Problem: 401 without a valid key, 403 when its scopes do not do."""
        if scope is None or self._file is None or (authorization is None and scope in self._without_key):
            return ANYONE
        key = self._find(authorization or b"")
        if key is None:
            raise unauthorised()
        if not key.may(scope):
            raise Problem(403, "forbidden", "Not allowed", f"this API key does not have the scope {scope!r}")
        return key.id

    def _find(self, authorization: bytes) -> Key | None:
        scheme, _, credentials = authorization.partition(b" ")
        id_, _, secret = credentials.strip().partition(b".")
        key = self._keys.get(id_.decode("latin-1"))
        matches = hmac.compare_digest(sha256(secret).digest(), key.digest if key else _NOBODY)
        return key if matches and scheme.lower() == b"bearer" else None


def required_scope(method: str, path: str) -> str | None:
    """The scope that a request needs; None for what everyone may see."""
    if path in _OPEN or path.startswith("/explorer/"):
        return None
    if path.startswith("/v1/admin/"):
        return ADMIN
    if method in ("PUT", "DELETE") or (method == "POST" and path == "/v1/events"):
        return WRITE
    return READ


def read_keys(file: Path) -> dict[str, Key]:
    """Keys by id, from a file of the text that `parse_keys` reads. Raises ConfigError."""
    try:
        text = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"key file {file}: cannot be read: {error.strerror}") from None
    return parse_keys(text, file)


def parse_keys(text: bytes, file: Path) -> dict[str, Key]:
    """Keys by id, from `{"keys": [{"id": ..., "sha256": ..., "scopes": [...]}]}` of this file. Raises ConfigError."""
    try:
        keys = [_key(entry) for entry in orjson.loads(text)["keys"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"key file {file}: {error}; write it with `python -m service.keys`") from None
    if len({key.id for key in keys}) != len(keys):
        raise ConfigError(f"key file {file}: a key id stands twice; ids must be distinct")
    return {key.id: key for key in keys}


def _key(entry: dict[str, Any]) -> Key:
    scopes = frozenset(entry["scopes"])
    if not scopes or not scopes <= set(SCOPES):
        raise ValueError(
            f"key {entry['id']!r} has scopes {sorted(scopes)}; they must be among {', '.join(SCOPES)}"
        )
    if not re.fullmatch("[A-Za-z0-9_-]{1,64}", entry["id"]):
        raise ValueError(f"key id {entry['id']!r}: use letters, digits, - and _")
    if len(entry["sha256"]) != 64:
        raise ValueError(f"key {entry['id']!r}: sha256 must have 64 hexadecimal digits")
    return Key(entry["id"], bytes.fromhex(entry["sha256"]), scopes)


def _stamp(file: Path) -> tuple[int, int, int]:
    try:
        status = file.stat()
    except OSError as error:
        raise ConfigError(f"key file {file}: cannot be read: {error.strerror}") from None
    return status.st_mtime_ns, status.st_size, status.st_ino
