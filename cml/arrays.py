"""Named numpy arrays in one safetensors file, written once and then read memory-mapped.

The safetensors library copies what it reads; we want the pages of one file shared by every process that
serves it, so the (simple) format is read and written here. Either side reads the other's files.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from cml.durable import naming
from cml.errors import ArtifactError

_ALIGNMENT = 64  # of the first array; the others follow in order of falling item size, so all are aligned
_LENGTH_BYTES = 8
_CODES: dict[str, np.dtype] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "U64": np.dtype("<u8"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_NAMES = {dtype: code for code, dtype in _CODES.items()}


def write_arrays(path: Path, arrays: Mapping[str, NDArray]) -> None:
    """Create a safetensors file with these arrays, synced to disk; refuses to replace an existing file."""
    ordered = sorted(
        ((name, _flat(array)) for name, array in arrays.items()), key=lambda pair: -pair[1].itemsize
    )
    header = _header({name: (flat, arrays[name].shape) for name, flat in ordered})
    with naming(path), path.open("xb") as file:
        file.write(len(header).to_bytes(_LENGTH_BYTES, "little"))
        file.write(header)
        for _, flat in ordered:
            if flat.size:
                file.write(flat.data.cast("B"))
        file.flush()
        os.fsync(file.fileno())


def read_arrays(path: Path) -> dict[str, NDArray]:
    """The arrays of a safetensors file as read-only views of the mapped file; nothing is copied.

    Raises ArtifactError when the file is missing or is not what its header says.
    """
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: cannot be read: {error}; publish the version again") from None
    try:
        length = int.from_bytes(mapped[:_LENGTH_BYTES], "little")
        entries = orjson.loads(mapped[_LENGTH_BYTES : _LENGTH_BYTES + length])
        start = _LENGTH_BYTES + length
        return {
            name: _view(mapped, start, entry) for name, entry in entries.items() if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(
            f"{path}: not a readable safetensors file: {error}; publish the version again"
        ) from None


def _flat(array: NDArray) -> NDArray:
    """The array's elements in row-major order, little-endian, in one piece."""
    dtype = array.dtype.newbyteorder("<")
    if dtype not in _NAMES:
        raise TypeError(
            f"arrays of {array.dtype} are not stored; convert to one of {', '.join(map(str, _NAMES))}"
        )
    return np.ascontiguousarray(array, dtype=dtype).reshape(-1)


def _header(arrays: Mapping[str, tuple[NDArray, tuple[int, ...]]]) -> bytes:
    entries, end = {}, 0
    for name, (flat, shape) in arrays.items():
        begin, end = end, end + flat.nbytes
        entries[name] = {"dtype": _NAMES[flat.dtype], "shape": list(shape), "data_offsets": [begin, end]}
    text = orjson.dumps(entries)
    return text + b" " * (-(len(text) + _LENGTH_BYTES) % _ALIGNMENT)


def _view(mapped: mmap.mmap, start: int, entry: Mapping) -> NDArray:
    dtype, shape = _CODES[entry["dtype"]], tuple(entry["shape"])
    begin, end = entry["data_offsets"]
    count = int(np.prod(shape, dtype=np.int64))
    if count * dtype.itemsize != end - begin or start + end > len(mapped) or begin < 0:
        raise ValueError("array sizes and file size disagree")
    if count == 0:
        return np.empty(shape, dtype=dtype)
    return np.frombuffer(mapped, dtype=dtype, count=count, offset=start + begin).reshape(shape)
