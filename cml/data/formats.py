"""Which kind of table a file holds: recognised by its bytes and header, so that nobody has to say it.

Ids, ratings and times are not looked at here; a layout only says how to cut the file into named columns.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

import orjson

from cml.errors import DataError

HEAD_BYTES = 1 << 16  # enough for any header and the first rows
MAX_FIELDS_SHOWN = 12  # of a header that is quoted in an error


@dataclass(frozen=True)
class Layout:
    """How to cut one file into columns."""

    name: str  # for people: "CSV", "MovieLens u.data"
    kind: Literal["delimited", "json-lines", "parquet"]
    columns: tuple[str, ...]  # in file order; JSON lines: every key among the first objects
    separator: str = ","
    header_lines: int = 0  # physical lines before the first row
    quoted: bool = True  # fields may stand in double quotes
    legacy: bool = False  # a fixed layout of old: bytes that are not UTF-8 are latin-1


@dataclass(frozen=True)
class Headerless:
    """A public layout without a header line: recognised by separator and shape of its first line."""

    name: str
    separator: str
    columns: tuple[str, ...]
    digits: tuple[int, ...] = ()  # fields that are whole numbers in every row
    file_prefix: str = ""  # where the shape alone says too little

    def fits(self, path: Path, fields: Sequence[str]) -> bool:
        return (
            len(fields) == len(self.columns)
            and all(fields[at].isdigit() for at in self.digits)
            and path.name.startswith(self.file_prefix)
        )


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file's bytes, unpacked if gzipped (seen by the first of them). Raises DataError."""
    try:
        with path.open("rb") as raw:
            magic = raw.read(4)
            raw.seek(0)
            if magic.startswith(b"PK\x03\x04"):
                raise DataError(f"{path}: is a zip archive; unpack it and name the file inside")
            if magic.startswith(b"\x1f\x8b"):
                with gzip.GzipFile(fileobj=raw) as unpacked:
                    yield cast(BinaryIO, unpacked)
            else:
                yield raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path}: the gzip stream is damaged or cut short ({error}); fetch the file again"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def recognise(path: Path, headerless: Sequence[Headerless]) -> Layout:
    """The layout of a file; `headerless` are the public layouts that may stand for a missing header.

    Raises DataError when the file is empty, missing or not a table of text.
    """
    with opened(path) as stream:
        head = stream.read(HEAD_BYTES)
    if head.startswith(b"PAR1"):
        return _parquet(path)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path}: is UTF-16 text; save it as UTF-8")
    head = head.removeprefix(b"\xef\xbb\xbf")
    if not head.strip():
        raise DataError(f"{path}: is empty; it needs a header line and at least one row")
    if head.lstrip().startswith(b"{"):
        return Layout("JSON lines", "json-lines", columns=_json_keys(path, head))
    return _delimited(path, head, headerless)


def _parquet(path: Path) -> Layout:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        return Layout("Parquet", "parquet", columns=tuple(parquet.read_schema(path).names))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error}); write it again") from None


def _json_keys(path: Path, head: bytes) -> tuple[str, ...]:
    lines = head.splitlines()
    complete = lines[:-1] if len(head) == HEAD_BYTES else lines
    keys: dict[str, None] = {}
    for line in complete:
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue  # the reader rejects this line by number
        if isinstance(value, dict):
            keys |= dict.fromkeys(value)
    if not keys:
        raise DataError(
            f"{path}: looks like JSON, but no line is an object; write one object a line (JSON lines)"
        )
    return tuple(keys)


def _delimited(path: Path, head: bytes, headerless: Sequence[Headerless]) -> Layout:
    text = head.decode("utf-8", errors="replace")
    first = next(line for line in text.splitlines() if line.strip())
    for known in headerless:
        if known.separator in first and known.fits(path, first.split(known.separator)):
            return Layout(known.name, "delimited", known.columns, known.separator, quoted=False, legacy=True)
    separator = _separator(first)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    columns = next(row for row in rows if row)
    _refuse_repeated(path, columns)
    names = {",": "CSV", "\t": "TSV"}
    return Layout(
        names.get(separator, f"text separated by {separator!r}"),
        "delimited",
        tuple(columns),
        separator,
        header_lines=rows.line_num,
    )


def _separator(line: str) -> str:
    """The most frequent candidate; on a tie the first one, and a comma where there is none."""
    return max(("\t", ",", ";", "|"), key=line.count) if any(c in line for c in "\t;|") else ","


def _refuse_repeated(path: Path, columns: Sequence[str]) -> None:
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if repeated:
        raise DataError(f"{path}:1: column {repeated[0]!r} stands twice in the header; rename one of them")


def shown(columns: Sequence[str]) -> str:
    """Column names for an error message, shortened where there are many."""
    more = f" and {len(columns) - MAX_FIELDS_SHOWN} more" if len(columns) > MAX_FIELDS_SHOWN else ""
    return ", ".join(repr(name) for name in columns[:MAX_FIELDS_SHOWN]) + more
