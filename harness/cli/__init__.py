"""The command `harness`: thin verbs over the Python functions.

A command module imports nothing heavy at its top, so that help and usage errors cost
milliseconds. Results go to standard output, progress and notes to standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

import harness
from harness.cli.check import check_command
from harness.cli.compare import compare_command
from harness.cli.data import data
from harness.cli.gate import gate_command
from harness.cli.inspect import inspect_command
from harness.cli.listing import list_command
from harness.cli.new import new
from harness.cli.plugins import plugins_command
from harness.cli.predict import predict_command
from harness.cli.report import report
from harness.cli.run import run_command
from harness.cli.store import store
from harness.cli.table import table_command
from harness.errors import HarnessError, Unsupported, did_you_mean

COMMANDS = (
    run_command, list_command, plugins_command, table_command, compare_command,
    inspect_command, predict_command, report, check_command, new, gate_command, data, store,
)  # fmt: skip


class _Commands(click.Group):
    """A group whose commands stand in the order of their use, with near names suggested."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[
        str | None, click.Command | None, list[str]
    ]:  # fmt: skip
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            known = did_you_mean(args[0], self.commands, what="commands")
            raise click.UsageError(f"no command {args[0]!r}; {known}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(harness.__version__, prog_name="harness")
def cli() -> None:
    """Compare JAX models honestly: plugins, one jitted engine, one table."""


for _command in COMMANDS:
    cli.add_command(_command)


def main(args: Sequence[str] | None = None) -> None:
    """Runs a command and leaves with its exit code; an error is one line on stderr."""
    try:
        code = cli.main(args, prog_name="harness", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        sys.exit(2)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except HarnessError as error:
        _fail(str(error), error.exit_code)
    except Unsupported as error:
        _fail(str(error), 2)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted", 130)
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        sys.stderr.close()
        sys.exit(0)
    else:
        sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> None:
    print(f"harness: {message}", file=sys.stderr)
    sys.exit(code)
