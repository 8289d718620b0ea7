"""The typer application, and the one place where errors become a line and an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from keyword import iskeyword
from typing import Any

import typer
from typer.main import get_command

import netsim
from netsim.cli.examples import examples_of
from netsim.errors import NetsimError
from netsim.specs.borders import printable
from netsim.specs.output import release_all

#: verb -> its line of 80 columns, in the order in which --help lists them; a verb is the function of its name in the
#: module of its name beside this one, which is read when the verb is asked for
COMMANDS: dict[str, str] = {
    "run": "Simulate a training step: time, waits, network cost.",
    "infer": "Serve a model: time per token and to the first, tokens a second.",
    "compare": "Compare fabrics on the same job, with a recommendation.",
    "sweep": "Run a study: combinations of any keys, a table and pictures.",
    "optimize": "Find the cheapest or fastest design under constraints.",
    "goodput": "What failures, checkpoints and spares leave of a long run.",
    "share": "Run several jobs on one fabric; what each loses.",
    "collective": "Time a collective on an otherwise idle fabric.",
    "packets": "Congestion packet by packet: queues, marks, pauses, losses.",
    "topology": "Count, check, price, draw and compare fabrics, without a run.",
    "workload": "Parameters, FLOPs, KV cache, memory and traffic of models.",
    "claims": "Check the claims of the DeepSeek-V3 hardware story.",
    "validate": "Compare with every published number.",
    "calibrate": "Make a compute profile from a trace or a table of timings.",
    "measure": "Time kernels or collectives on this GPU (needs torch, CUDA).",
    "import": "Read logs, fabrics, placements and traces of other tools.",
    "export": "Write traffic for htsim, GOAL, Chakra, SimGrid and others.",
    "schema": "List the keys of a spec, for TOML files and --set.",
    "examples": "List commands by the question that they answer.",
    "doctor": "Check the installation on this machine.",
}


def make_app(commands: Mapping[str, str] = COMMANDS, asked: str | None = None) -> typer.Typer:
    """The application with these commands; `asked` : of which only this one is read, the others are named."""
    app = typer.Typer(
        name="netsim",
        help="Which network, how much of it, and what does it cost in step time?",
        no_args_is_help=True,
        rich_markup_mode=None,  # "[default: ...]" and "[[faults]]" are text, not markup
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name, line in commands.items():
        command = _command(name) if asked in (None, name) else _unread
        app.command(name, short_help=line, epilog=examples_of(name) or None)(command)
    return app


def _command(name: str) -> Callable[..., Any]:
    """The function of a verb; one that is a word of Python's ends in _."""
    own = f"{name}_" if iskeyword(name) else name
    found: Callable[..., Any] = getattr(import_module(f"netsim.cli.{own}"), own)
    return found


def _unread() -> None:
    """Stands for a verb that is not asked for."""


def _version(asked: bool) -> None:
    if asked:
        print(f"netsim {netsim.__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


def run_app(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status."""
    try:
        return _run(list(arguments) or ["--help"])
    finally:
        release_all()


def _run(arguments: list[str]) -> int:
    verb = next((word for word in arguments if not word.startswith("-")), "")
    try:
        status = get_command(make_app(COMMANDS, asked=verb)).main(
            args=arguments, prog_name="netsim", standalone_mode=False
        )
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
        line = _usage(error, arguments)
        return _say(line, getattr(error, "exit_code", 2)) if line else 2


def _usage(error: Any, arguments: Sequence[str]) -> str:
    """Click's line on a usage error, with the value that it leaves out: `--gpus 2k: must be a valid integer`."""
    line = str(error.format_message())
    rule = line.partition("Input should be ")[2].partition(", unable to parse")[0]
    options = getattr(getattr(error, "param", None), "opts", [])
    for word, value in zip(arguments, [*arguments[1:], ""], strict=True):
        option, given, inline = word.partition("=")
        if rule and option in options:
            return f"{option} {inline if given else value}: must be {rule}"
    if line.startswith("Missing argument"):
        return f"{line.rstrip('.')}: see netsim {arguments[0]} --help"
    return line


def _say(line: str, status: int) -> int:
    line = " ".join(printable(line).split())
    print(f"netsim: {line if len(line) < 900 else line[:900] + ' ...'}", file=sys.stderr)
    return status
