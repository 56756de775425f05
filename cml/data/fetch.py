"""Fetch a public data set: download, compare checksums, unpack; its folder appears whole or not at all."""

from __future__ import annotations

import hashlib
import re
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from cml import __version__
from cml.data.sources import SOURCES, Download, Source
from cml.errors import DataError

TIMEOUT_SECONDS = 30
PIECE_BYTES = 1 << 18

Progress = Callable[[str, int, int | None], None]  # file name, bytes so far, bytes in all where known
Open = Callable[[str], IO[bytes]]
Member = tuple[Path, IO[bytes]]


@dataclass(frozen=True)
class Fetched:
    """Where a data set lies now."""

    folder: Path
    interactions: Path
    items: Path | None
    downloaded: bool  # False: it was there already


def find_source(name: str, category: str | None = None) -> Source:
    """The data set of that name. Raises DataError for an unknown name and a missing or needless category."""
    source = SOURCES.get(name)
    if source is None:
        raise DataError(f"data set {name!r} is not known; known: {', '.join(SOURCES)}")
    if not source.needs_category:
        if category is not None:
            raise DataError(f"{name} has no categories; leave out --category")
        return source
    if category is None or not re.fullmatch(r"\w+", category):
        raise DataError(f"{name} comes by category; name one, for example --category All_Beauty")
    return source.in_category(category)


def fetch(
    source: Source,
    into: Path,
    *,
    verify: bool = True,
    progress: Progress | None = None,
    open_url: Open | None = None,
) -> Fetched:
    """Download a data set into the folder `into/NAME`; one that is there already is left alone.

    Raises DataError when a download fails, a checksum or size differs (unless `verify` is off), or the
    archive does not hold the expected tables. Nothing is left behind then.
    """
    folder = into / source.name
    fetched = Fetched(
        folder, folder / source.interactions, folder / source.items if source.items else None, downloaded=True
    )
    if fetched.interactions.exists():
        return Fetched(folder, fetched.interactions, fetched.items, downloaded=False)
    if folder.exists():
        raise DataError(f"{folder}: exists without {source.interactions}; move it away and fetch again")
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{source.name}-", dir=into) as staging:
        staged = Path(staging) / source.name
        staged.mkdir()
        for download in source.downloads:
            archive = Path(staging) / download.file_name
            _download(download, archive, open_url or _open_url, progress)
            if verify:
                _verify(download, archive)
            _unpack(archive, staged)
        _require(source, staged)
        staged.rename(folder)
    return fetched


def _open_url(url: str) -> IO[bytes]:
    return urlopen(
        Request(url, headers={"User-Agent": f"cml-recommender/{__version__}"}), timeout=TIMEOUT_SECONDS
    )


def _download(download: Download, target: Path, open_url: Open, progress: Progress | None) -> None:
    done = 0
    try:
        with closing(open_url(download.url)) as response, target.open("wb") as file:
            announced = getattr(response, "headers", {}).get("Content-Length")
            total = int(announced) if announced else download.size
            while piece := response.read(PIECE_BYTES):
                file.write(piece)
                done += len(piece)
                if progress:
                    progress(download.file_name, done, total)
    except HTTPError as error:
        raise DataError(
            f"{download.url}: the server answers {error.code} {error.reason}; {_BY_HAND}"
        ) from None
    except (OSError, HTTPException) as error:  # no network, a time-out, a full disk
        reason = getattr(error, "reason", None) or error
        raise DataError(
            f"{download.url}: cannot be fetched ({reason}); check the network, or {_BY_HAND}"
        ) from None
    if announced and done != int(announced):
        raise DataError(f"{download.url}: broke off after {done:,} of {int(announced):,} bytes; try again")


_BY_HAND = "download and unpack it by other means: every command takes local files"


def _verify(download: Download, path: Path) -> None:
    way_out = "take it as it is with --no-verify, or use a local file"
    for algorithm, expected in download.checksums.items():
        with path.open("rb") as file:
            found = hashlib.file_digest(
                file, partial(hashlib.new, algorithm, usedforsecurity=False)
            ).hexdigest()
        if found != expected:
            raise DataError(
                f"{download.url}: {algorithm} is {found}, expected {expected}: "
                f"the file was changed or damaged; fetch it again, {way_out}"
            )


def _unpack(path: Path, into: Path) -> None:
    """Move or unpack a download into the folder; an archive's own folders are dropped, so nothing escapes."""
    try:
        if zipfile.is_zipfile(path):
            _copy(_zip_members(path), into)
        elif path.name.endswith((".tar.gz", ".tgz")):
            _copy(_tar_members(path), into)
        else:
            path.rename(into / path.name)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{path.name}: the archive cannot be unpacked ({error}); fetch it again") from None


def _zip_members(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                with archive.open(member) as file:
                    yield Path(member.filename), file


def _tar_members(path: Path) -> Iterator[Member]:
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None:
                yield Path(member.name), file


def _copy(members: Iterator[Member], into: Path) -> None:
    """Copy members by their bare names; of two of one name, the one in fewer folders."""
    depths: dict[str, int] = {}
    for path, source in members:
        if len(path.parts) < depths.get(path.name, 1 << 30):
            depths[path.name] = len(path.parts)
            with (into / path.name).open("wb") as target:
                shutil.copyfileobj(source, target, PIECE_BYTES)


def _require(source: Source, folder: Path) -> None:
    for name in filter(None, (source.interactions, source.items)):
        if not (folder / name).is_file():
            found = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
            raise DataError(f"{source.name}: the download holds no {name} (found: {found}); use a local file")
