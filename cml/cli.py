"""The `cml` command tree. Commands are imported when they are called, so that help answers at once."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from cml import __version__
from cml.errors import CmlError, MissingExtraError

# name -> (module, one-line help). Each module defines a click command named `command`.
COMMANDS = {
    "demo": ("cml.commands.demo", "Train on the bundled films, publish, serve and show recommendations."),
    "data": ("cml.commands.data", "Check interaction files and fetch public data sets."),
    "train": ("cml.commands.train", "Learn a model from an interactions file."),
    "evaluate": ("cml.commands.evaluate", "Rank all unseen items for held-out users and report metrics."),
    "items": ("cml.commands.items", "Add items to a published version without training."),
    "models": ("cml.commands.models", "List, show, verify, publish and roll back model versions."),
    "recommend": ("cml.commands.recommend", "Recommend items for a user, with distances and reasons."),
    "similar": ("cml.commands.similar", "List the items nearest to an item."),
    "retrain": ("cml.commands.retrain", "Train again on fresh data and publish if it is not worse."),
    "history": ("cml.commands.history", "Show what became of every retraining, as a table and a picture."),
    "export": ("cml.commands.export", "Write vectors or recommendations as Parquet."),
    "events": ("cml.commands.events", "Back the event store up, and fill one from a backup."),
    "serve": ("cml.commands.serve", "Answer recommendations over HTTP."),
    "ab": ("cml.commands.ab", "Compare a candidate version with the current one."),
}

EXTRA_OF_MODULE = {
    "torch": "train",
    "pandas": "train",
    "pyarrow": "train",
    "scipy": "train",
    "threadpoolctl": "train",
    "tqdm": "train",
    "psycopg": "postgres",
    "matplotlib": "plot",
}


class LazyGroup(click.Group):
    """A group whose commands are modules, imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        try:
            return import_module(COMMANDS[name][0]).command
        except ModuleNotFoundError as error:
            raise missing_extra(error, f"cml {name}") from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in COMMANDS.items()])


def missing_extra(error: ModuleNotFoundError, command: str) -> Exception:
    """The error to show when an optional dependency is absent; any other missing module is our own fault."""
    extra = EXTRA_OF_MODULE.get((error.name or "").split(".")[0])
    if extra is None:
        return error
    return MissingExtraError(
        f"`{command}` needs {error.name}, which is not installed; get it with: pip install 'cml-recommender[{extra}]'"
    )


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cml")
def cli() -> None:
    """Collaborative metric learning: from a table of interactions to recommendations over HTTP."""


def main() -> None:
    """Entry point: errors raised on purpose become one line on standard error and their exit code.

    So does what the machine refuses (a directory, space on a disk, memory), wherever it happens to be noticed.
    """
    try:
        cli(standalone_mode=True)
    except CmlError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        problem = f"{place}{error.strerror or error}"
        click.echo(f"error: {problem}; make room or choose another place, and run it again", err=True)
        sys.exit(1)
    except MemoryError as error:
        click.echo(f"error: out of memory: {error}; use less data or a smaller model.dim", err=True)
        sys.exit(1)
    except ModuleNotFoundError as error:
        missing = missing_extra(error, "cml")
        if missing is error:
            raise
        click.echo(f"error: {missing}", err=True)
        sys.exit(1)
