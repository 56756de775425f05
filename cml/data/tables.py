"""A table file as a stream of chunks with bounded memory, each row traceable to its line in the file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as parquet

from cml.data.delimited import Block, blocks, parse, row_lines, rows
from cml.data.formats import Layout, opened
from cml.data.rejects import Reason, Reject
from cml.errors import DataError

ROWS_PER_CHUNK = 1 << 19

JsonReader = Callable[[Any], str | None]

FIELDS = Reason("not as many fields as the header", "put values with separators in quotes, or drop the row")
ENCODING = Reason("not UTF-8 text", "save the file as UTF-8, or drop the row")
NOT_JSON = Reason("not a JSON object", "write one JSON object a line")
NOT_A_VALUE = Reason("neither text nor a number (an id: nor an integer)", "write it as a JSON string")


@dataclass(frozen=True)
class Chunk:
    """Some consecutive rows: the wanted columns, missing values null.

    Text formats give strings, Parquet its own types. `line_of(index)` says where a row stands in the file;
    `broken` are the rows that could not be cut into columns, and stand in no column.
    """

    columns: Mapping[str, pa.ChunkedArray]
    line_of: Callable[[int], int]
    broken: list[Reject] = field(default_factory=list)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


def read_chunks(
    path: Path, layout: Layout, wanted: Sequence[str], *, ids: Collection[str] = ()
) -> Iterator[Chunk]:
    """The wanted columns, chunk by chunk in file order; `ids` are the ones among them that hold ids.

    Raises DataError when the file cannot be read on.
    """
    if layout.kind == "delimited":
        return _delimited_chunks(path, layout, wanted)
    if layout.kind == "parquet":
        return _parquet_chunks(path, wanted)
    return _json_chunks(path, wanted, ids)


def _delimited_chunks(path: Path, layout: Layout, wanted: Sequence[str]) -> Iterator[Chunk]:
    for block in blocks(path, layout):
        table = parse(block, layout, wanted)
        if table is None:
            yield _row_by_row(path, block, layout, wanted)
        else:
            yield Chunk({name: table[name] for name in wanted}, _LineOf(partial(row_lines, block, layout)))


class _LineOf:
    """Lines of the rows of a chunk, found only when somebody asks."""

    def __init__(self, find: Callable[[], list[int]]) -> None:
        self._find = cache(find)

    def __call__(self, index: int) -> int:
        return self._find()[index]


def _row_by_row(path: Path, block: Block, layout: Layout, wanted: Sequence[str]) -> Chunk:
    """The slow way for a block with malformed rows: they are set aside, the others kept."""
    positions = [layout.columns.index(name) for name in wanted]
    kept: list[list[str | None]] = []
    lines: list[int] = []
    broken: list[Reject] = []
    for row in rows(block, layout):
        values = row.fields
        if len(values) != len(layout.columns):
            broken.append(Reject(path, row.line, layout.separator.join(values), FIELDS))
        elif any("\udc80" <= letter <= "\udcff" for at in positions for letter in values[at]):
            broken.append(Reject(path, row.line, ascii(layout.separator.join(values)), ENCODING))
        else:
            kept.append([values[at] or None for at in positions])
            lines.append(row.line)
    return Chunk(_string_columns(wanted, kept), lines.__getitem__, broken)


def _string_columns(wanted: Sequence[str], records: list[list[str | None]]) -> dict[str, pa.ChunkedArray]:
    columns = zip(*records, strict=True) if records else [[] for _ in wanted]
    return {
        name: pa.chunked_array([pa.array(list(values), type=pa.string())])
        for name, values in zip(wanted, columns, strict=True)
    }


def _json_chunks(path: Path, wanted: Sequence[str], ids: Collection[str]) -> Iterator[Chunk]:
    readers = [(name, _json_id if name in ids else _json_text) for name in wanted]
    with opened(path) as stream:
        numbered = enumerate(stream, start=1)
        while batch := list(islice(numbered, ROWS_PER_CHUNK)):
            yield _json_chunk(path, batch, readers)


def _json_chunk(
    path: Path, batch: list[tuple[int, bytes]], readers: Sequence[tuple[str, JsonReader]]
) -> Chunk:
    kept: list[list[str | None]] = []
    lines: list[int] = []
    broken: list[Reject] = []
    for line, data in batch:
        if not data.strip():
            continue
        try:
            record = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
            values = [read(record.get(name)) for name, read in readers]
        except (orjson.JSONDecodeError, AttributeError):
            broken.append(Reject(path, line, data.decode("utf-8", "replace").strip(), NOT_JSON))
        except TypeError as error:
            broken.append(Reject(path, line, str(error), NOT_A_VALUE))
        else:
            kept.append(values)
            lines.append(line)
    return Chunk(_string_columns([name for name, _ in readers], kept), lines.__getitem__, broken)


def _json_text(value: Any) -> str | None:
    """A string as it is, a number as its shortest decimal text, a list of strings joined by `|`.

    Nothing, an empty string and an empty list are missing.
    """
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return "|".join(value) or None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise TypeError(orjson.dumps(value).decode())


def _json_id(value: Any) -> str | None:
    """As `_json_text`, without lists and fractions: as such arrive integers that lost their last digits."""
    if isinstance(value, float | list):
        raise TypeError(orjson.dumps(value).decode())
    return _json_text(value)


def _parquet_chunks(path: Path, wanted: Sequence[str]) -> Iterator[Chunk]:
    before = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=ROWS_PER_CHUNK, columns=list(wanted)):
                columns = {name: pa.chunked_array([batch.column(name)]) for name in wanted}
                yield Chunk(columns, range(before + 1, before + len(batch) + 1).__getitem__)
                before += len(batch)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error}); write it again") from None
