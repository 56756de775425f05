"""`make bench`: quality, then speed, then the tables of docs/benchmarks.md.

    python -m benchmarks [--data DIR ...]

DIR holds train, valid and test .csv.gz, or train and test, or interactions.csv.gz alone. Without --data the bundled
films are used.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import quality, speed, table
from cml.bundled import bundled_interactions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--data", action="append", help="a set's directory; repeatable")
    directories = parser.parse_args().data or [str(Path(bundled_interactions()).parent)]
    words = [word for directory in directories for word in ("--data", directory)]
    quality.main(words)
    speed.main(words)
    table.main()


if __name__ == "__main__":
    main()
