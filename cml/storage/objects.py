"""Objects behind a URL, by way of fsspec: each read and replaced whole, none renamed.

Drivers raise whatever they like; here it becomes StorageError, with the URL, what was tried and why it failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from cml.errors import MissingExtraError, StorageError
from cml.storage.place import shown

BLOCK = 8 << 20  # bytes in one answer
_PATIENCE = 30.0  # seconds for one small operation, the driver's own retries included
_SLOWEST = 250_000  # bytes a second that an upload must make

_EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "abfs": "azure",
    "abfss": "azure",
}
_HINT = "check the URL, the network and the driver's credentials (docs/artifact.md), then try again"


class Objects:
    """Everything below one URL; keys are relative. Safe to use from several threads."""

    def __init__(self, url: str, patience: float = _PATIENCE) -> None:
        self.url = shown(url)
        self._patience = patience
        try:
            from fsspec.core import url_to_fs

            # A remembered listing would hide what other hosts write.
            self._files, root = url_to_fs(url, use_listings_cache=False)
        except ImportError as error:
            extra = _EXTRAS.get(url.partition("://")[0])
            way = f"pip install 'cml-recommender[{extra}]'" if extra else f"install its driver: {error}"
            raise MissingExtraError(f"{self.url}: the driver of this URL is not installed: {way}") from None
        except ValueError as error:
            raise StorageError(
                f"{self.url}: not a URL of a registry: {error}; for example s3://bucket/models"
            ) from None
        self._root = root.rstrip("/")

    def read(self, key: str) -> bytes | None:
        """The content of a small object; None where there is none."""
        try:
            return bytes(self._ask("read", key, "cat_file", self._path(key)))
        except _AbsentError:
            return None

    def blocks(self, key: str, size: int) -> Iterator[bytes]:
        """The first `size` bytes of an object in blocks; less where it is shorter."""
        for start in range(0, size, BLOCK):
            end = min(start + BLOCK, size)
            try:
                yield self._ask("read", key, "cat_file", self._path(key), start=start, end=end)
            except _AbsentError as error:
                raise self._failed("read", key, error) from None

    def size(self, key: str) -> int | None:
        """Bytes of an object; None where there is none."""
        try:
            return int(self._ask("read", key, "info", self._path(key))["size"])
        except _AbsentError:
            return None

    def keys(self, prefix: str) -> list[str]:
        """All keys below a prefix that is a folder, in no order."""
        try:
            found: Iterable[str] = self._ask("listed", prefix, "find", self._path(prefix))
        except _AbsentError:
            return []
        return [path[len(self._root) + 1 :] for path in found]

    def replace(self, key: str, content: bytes) -> None:
        """Give an object this content in one step."""
        try:
            self._ask("written", key, "pipe_file", self._path(key), content)
        except _AbsentError as error:  # no such bucket
            raise self._failed("written", key, error) from None

    def create(self, key: str, content: bytes) -> bool:
        """Make an object if there is none of that key; whether it is ours, which content that nobody else has tells."""
        try:
            self._ask("written", key, "pipe_file", self._path(key), content, mode="create")
        except _AbsentError as error:
            raise self._failed("written", key, error) from None
        except StorageError:
            found = self.read(key)  # refused, or done and its answer lost
            if found is None:
                raise
            return found == content
        return True

    def put(self, path: Path, key: str, size: int) -> None:
        """Upload a file of `size` bytes."""
        patience = self._patience + size / _SLOWEST
        try:
            self._ask("written", key, "put_file", str(path), self._path(key), patience=patience)
        except _AbsentError as error:
            raise self._failed("written", key, error) from None

    def remove(self, keys: Iterable[str]) -> None:
        """Remove objects; one that is gone already is no error."""
        for key in keys:
            try:
                self._ask("removed", key, "rm_file", self._path(key))
            except _AbsentError:
                continue

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def _ask(
        self,
        done: str,
        key: str,
        operation: str,
        *arguments: Any,
        patience: float | None = None,
        **named: Any,
    ) -> Any:
        """One operation of the driver, within our patience where it lets itself be interrupted."""
        try:
            if self._files.async_impl:
                from fsspec.asyn import sync

                call: Callable[..., Any] = getattr(self._files, f"_{operation}")
                return sync(self._files.loop, call, *arguments, timeout=patience or self._patience, **named)
            return getattr(self._files, operation)(*arguments, **named)
        except FileNotFoundError as error:
            raise _AbsentError(str(error)) from None
        except Exception as error:  # drivers' errors have no base in common
            raise self._failed(done, key, error) from error

    def _failed(self, done: str, key: str, error: Exception) -> StorageError:
        from fsspec.exceptions import FSTimeoutError

        late = isinstance(error, FSTimeoutError)
        reason = f"no answer within {self._patience:g} s" if late else _reason(error)
        return StorageError(f"{self.url}/{key}: cannot be {done}: {reason}; {_HINT}")


class _AbsentError(Exception):
    """There is no such object, or no such bucket."""


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or "no reason given"
    return text if isinstance(error, OSError | _AbsentError) else f"{type(error).__name__}: {text}"
