"""CSV, TSV and the `::` files in blocks: parsed by Arrow, and by Python's csv where a block is not clean.

Both follow the same rules: a quote opens a field only as its first character, `""` inside is one quote, and
empty lines do not count as rows.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

import pyarrow as pa
import pyarrow.csv as arrow_csv

from cml.data.formats import Layout, opened
from cml.errors import DataError

BLOCK_BYTES = 1 << 24
LONGEST_FIELD = 1 << 22  # a quoted field beyond this is a quote that nobody closed
ARROW_SEPARATOR = b"\x1f"  # stands in for `::`, because Arrow knows separators of one byte only


@dataclass(frozen=True)
class Block:
    """Whole rows of a file as UTF-8, and the line where they begin."""

    data: bytes
    first_line: int


@dataclass(frozen=True)
class Row:
    """One row as Python's csv sees it, and the line where it begins."""

    line: int
    fields: list[str]


def blocks(path: Path, layout: Layout) -> Iterator[Block]:
    """The rows after the header, cut at row boundaries into blocks of about `BLOCK_BYTES`."""
    with opened(path) as stream:
        line = 1 + layout.header_lines
        rest = _after_header(stream, layout)
        while True:
            read = stream.read(BLOCK_BYTES)
            data = rest + read
            end = _last_row_end(data, layout) if read else len(data)
            if not read:
                _refuse_open_quote(path, data, line, layout)
            elif len(data) - end > BLOCK_BYTES + LONGEST_FIELD:
                _refuse_endless_row(path, data[end:], line + data.count(b"\n", 0, end), layout)
            if end:
                yield Block(_as_utf8(data[:end], layout), line)
                line += data.count(b"\n", 0, end)
            rest = data[end:]
            if not read:
                return


def parse(block: Block, layout: Layout, wanted: Sequence[str]) -> pa.Table | None:
    """The wanted columns as strings, empty fields null; None when a row of the block is malformed."""
    data, separator = block.data, layout.separator
    if len(separator) > 1:
        data, separator = data.replace(separator.encode(), ARROW_SEPARATOR), ARROW_SEPARATOR.decode()
    quoted = layout.quoted and b'"' in data
    try:
        return arrow_csv.read_csv(
            pa.BufferReader(data),
            # A block is one unit of work already; Arrow's own threads gain nothing on top (measured).
            read_options=arrow_csv.ReadOptions(
                column_names=list(layout.columns), use_threads=False, block_size=len(data) + 1
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=separator, quote_char='"' if quoted else False, newlines_in_values=quoted
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types={name: pa.string() for name in wanted},
                include_columns=list(wanted),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid:
        return None


def rows(block: Block, layout: Layout) -> Iterator[Row]:
    """The same rows one by one, slowly, with their lines; bytes that are not UTF-8 become lone surrogates."""
    text = block.data.decode("utf-8", errors="surrogateescape")
    if len(layout.separator) > 1 or not layout.quoted:
        for at, line in enumerate(text.split("\n")):
            line = line.removesuffix("\r")
            if line:
                yield Row(block.first_line + at, line.split(layout.separator))
        return
    csv.field_size_limit(max(csv.field_size_limit(), BLOCK_BYTES + LONGEST_FIELD))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=layout.separator)
    before = 0
    for fields in reader:
        if fields:
            yield Row(block.first_line + before, fields)
        before = reader.line_num


def row_lines(block: Block, layout: Layout) -> list[int]:
    """The line of each row of the block."""
    return [row.line for row in rows(block, layout)]


def _after_header(stream: BinaryIO, layout: Layout) -> bytes:
    for _ in range(layout.header_lines):
        stream.readline()
    if layout.header_lines:
        return b""
    return stream.read(3).removeprefix(b"\xef\xbb\xbf")  # a byte order mark is not part of the first id


def _as_utf8(data: bytes, layout: Layout) -> bytes:
    if not layout.legacy:
        return data
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1").encode("utf-8")
    return data


def _last_row_end(data: bytes, layout: Layout) -> int:
    """Where the last whole row of `data` ends: after a newline that stands in no quoted field."""
    end = data.rfind(b"\n") + 1
    if not layout.quoted or b'"' not in data:
        return end
    fields = [found.span() for found in _quoted_fields(layout).finditer(data) if _holds_a_line(data, found)]
    for start, stop in reversed(fields):
        if start < end <= stop:
            end = data.rfind(b"\n", 0, start) + 1
    return end


def _quoted_fields(layout: Layout) -> re.Pattern[bytes]:
    """Fields in quotes, closed or running to the end of the data (then group 1 is empty)."""
    separator = re.escape(layout.separator.encode())
    return re.compile(rb"(?:\A|(?<=[\r\n]|" + separator + rb'))"[^"]*(?:""[^"]*)*("|\Z)')


def _holds_a_line(data: bytes, found: re.Match[bytes]) -> bool:
    return not found.group(1) or data.find(b"\n", *found.span()) >= 0


def _refuse_endless_row(path: Path, data: bytes, line: int, layout: Layout) -> NoReturn:
    _refuse_open_quote(path, data, line, layout)
    raise DataError(
        f"{path}:{line}: a row of more than {len(data):,} bytes; is this a table of text with lines?"
    )


def _refuse_open_quote(path: Path, data: bytes, line: int, layout: Layout) -> None:
    if not layout.quoted or b'"' not in data:
        return
    for found in _quoted_fields(layout).finditer(data):
        if not found.group(1):
            line += data.count(b"\n", 0, found.start())
            raise DataError(
                f"{path}:{line}: a quote opens here and is never closed; close it or drop the row"
            )
