"""How a process ends that cannot go on: one line that says why, and a code."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from cml.errors import CmlError


def exit_with_reason(work: Callable[[], object]) -> None:
    """Errors raised on purpose become one line on standard error and their exit code.

    So does what the machine refuses at the start, such as room on a disk.
    """
    try:
        work()
    except CmlError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        click.echo(f"error: {place}{error.strerror or error}; make room there, or check the place", err=True)
        sys.exit(1)
