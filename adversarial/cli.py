"""The `adversarial` command tree. Commands are imported when called, so that help answers at once."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import version

import click

from adversarial.errors import AdversarialError, MissingExtraError

# name -> (module, one-line help). Each module defines a click command named `command`.
COMMANDS = {
    "fit": ("adversarial.commands.fit", "Learn domain-adapted features from a source and a target table."),
    "transform": ("adversarial.commands.transform", "Map a feature table through a fitted model."),
    "evaluate": ("adversarial.commands.evaluate", "Fit a method and report its accuracy on a test table."),
    "wasserstein": ("adversarial.commands.wasserstein", "Measure the distance between two tables of points."),
    "experiment": ("adversarial.commands.experiment", "Run one experiment and draw its picture."),
    "report": ("adversarial.commands.report", "Run all experiments and write one page that explains them."),
}

EXTRA_MODULES = {"torch", "scipy", "sklearn", "ot", "pandas", "pyarrow", "matplotlib", "tqdm", "safetensors"}


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
            raise missing_extra(error, f"adversarial {name}") from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in COMMANDS.items()])


def missing_extra(error: ModuleNotFoundError, command: str) -> Exception:
    """The error to show when an optional dependency is absent; any other missing module is our own fault."""
    if (error.name or "").split(".")[0] not in EXTRA_MODULES:
        return error
    return MissingExtraError(
        f"`{command}` needs {error.name}, which is not installed; "
        "get it with: pip install 'cml-recommender[adversarial]'"
    )


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("cml-recommender"), prog_name="adversarial")
def cli() -> None:
    """The Wasserstein family: exact distances, the GANs that lead to it, and domain-adapted features."""


def main() -> None:
    """Entry point: errors raised on purpose become one line on standard error and their exit code.

    So does what the machine refuses: a directory, space on a disk.
    """
    try:
        cli(standalone_mode=True)
    except AdversarialError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        problem = f"{place}{error.strerror or error}"
        click.echo(f"error: {problem}; make room or choose another place, and run it again", err=True)
        sys.exit(1)
    except ModuleNotFoundError as error:
        missing = missing_extra(error, "adversarial")
        if missing is error:
            raise
        click.echo(f"error: {missing}", err=True)
        sys.exit(1)
