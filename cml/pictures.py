"""Pictures as files: whole or not there, of a kind that is known before anything is drawn. Needs the extra `plot`."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure

from cml.durable import replace_file
from cml.errors import DataError

FORMATS = ("png", "svg", "pdf")


def kind_of(path: Path) -> str:
    """The kind of picture that a file's name asks for. Raises DataError for one that is not written."""
    kind = path.suffix.lstrip(".").lower()
    if kind not in FORMATS:
        raise DataError(f"{path}: pictures are written as {', '.join(FORMATS)}; name the file so")
    return kind


def write_picture(figure: Figure, path: Path, *, dpi: int = 150) -> None:
    """Write a figure. Raises DataError for another kind of file, or where it cannot be written."""
    kind, content = kind_of(path), BytesIO()
    figure.savefig(content, format=kind, dpi=dpi)
    try:
        replace_file(path, content.getvalue())
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
