"""The typer application, and the one place where errors become a line and an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer
from typer.main import get_command

import netsim
from netsim.cli.calibrate import calibrate
from netsim.cli.collective import collective
from netsim.cli.compare import compare
from netsim.cli.goodput import goodput
from netsim.cli.infer import infer
from netsim.cli.measure import measure
from netsim.cli.optimize import optimize
from netsim.cli.run import run
from netsim.cli.schema import schema
from netsim.cli.share import share
from netsim.cli.sweep import sweep
from netsim.cli.topology import topology
from netsim.cli.validate import validate
from netsim.cli.workload import workload
from netsim.errors import NetsimError

#: in the order in which --help lists them; what a command needs it imports when it runs
COMMANDS = (
    run,
    infer,
    compare,
    sweep,
    optimize,
    goodput,
    share,
    collective,
    topology,
    workload,
    validate,
    calibrate,
    measure,
    schema,
)

app = typer.Typer(
    name="netsim",
    help="Which network, how much of it, and what does it cost in step time?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in COMMANDS:
    app.command()(command)


def _version(asked: bool) -> None:
    if asked:
        print(f"netsim {netsim.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


def run_app(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status."""
    try:
        status = get_command(app).main(args=list(arguments), prog_name="netsim", standalone_mode=False)
        sys.stdout.flush()
        return _say("interrupted", 130) if status == 130 else int(status or 0)
    except NetsimError as error:
        return _say(str(error), error.exit_code)
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KeyboardInterrupt, typer.Abort):
        return _say("interrupted", 130)
    except SystemExit:  # rich gives up on a closed pipe
        return 0
    except OSError as error:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  (the interpreter flushes it on its way out)
        return _say(f"cannot write the output: {error.strerror}", 2)
    except Exception as error:
        if not hasattr(error, "format_message"):  # click's own usage errors have one
            raise
        line = error.format_message()
        return _say(line, getattr(error, "exit_code", 2)) if line else 2


def _say(line: str, status: int) -> int:
    print(f"netsim: {' '.join(line.split())}", file=sys.stderr)
    return status
