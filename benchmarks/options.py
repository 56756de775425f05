"""Options that the benchmarks share."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.records import RESULTS


def parser_of(page: str | None, *, threads: int) -> argparse.ArgumentParser:
    """A parser with the options of every benchmark on data sets; `page` is the script's own documentation."""
    parser = argparse.ArgumentParser(description=(page or "").split("\n")[0])
    parser.add_argument(
        "--data", type=Path, action="append", default=[], help="a set's directory; repeatable"
    )
    parser.add_argument("--like-threshold", type=float, help="rating from which on a pair is liked")
    parser.add_argument("--threads", type=int, default=threads)
    parser.add_argument("--results", type=Path, default=RESULTS, help="directory of the records")
    return parser
