"""Prints what the named extras of ./pyproject.toml require, one requirement a line: `extras.py train,adversarial`.

So that a build can install dependencies, which seldom change, apart from our own code.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

if __name__ == "__main__":
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra in sys.argv[1].split(","):
        print(*project["optional-dependencies"][extra], sep="\n")
