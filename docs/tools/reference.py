"""The reference pages, from the program: commands from typer, keys from the schema, names from `netsim.__all__`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

import netsim
from netsim.cli.app import COMMANDS, make_app
from netsim.cli.examples import examples_by_question
from netsim.specs.keys import keys


def pages() -> dict[str, str]:
    """Name to Markdown of every reference page."""
    return {
        "index": INDEX,
        "commands": "\n".join(commands()),
        "keys": "\n".join(key_tables()),
        "record": "\n".join(record()),
        "python": "\n".join(python()),
        "exit-codes": EXIT_CODES,
    }


INDEX = """# Reference

These pages are generated from the program.

- [Commands](commands.md): every command and option
- [Keys](keys.md): every key of the TOML files and of `--set`
- [Record](record.md): every field of the JSON that `netsim run --json` prints
- [Python](python.md): every public function and class
- [Exit statuses](exit-codes.md)
"""

EXIT_CODES = """# Exit statuses

| status | meaning |
|---|---|
| 0 | The command did what was asked. |
| 1 | A finding: `validate` saw a number outside its tolerance, or a step never ends because of a fault. |
| 2 | A wrong option, file, key or value, or a file that cannot be read or written. One line says which. |
| 3 | `--strict`: the plan does not fit into memory, or an operator lies outside the calibrated domain. |
| 130 | Interrupted with Ctrl-C. What was finished stays readable. |

Data goes to standard output; progress and warnings go to standard error. `--json` prints one JSON document. `--quiet`
prints neither summary nor progress.
"""


def _cell(text: object) -> str:
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def commands() -> Iterator[str]:
    """A section per command, with its help text and a table of its options."""
    yield "# Commands\n"
    group: Any = get_command(make_app(COMMANDS))
    for name, command in group.commands.items():
        yield f"## netsim {name}\n\n{command.help}\n"
        shown = [example.command for example in examples_by_question() if example.verb == name]
        yield "\n".join(["```sh", *shown, "```", ""])
        yield "| option | meaning |\n|---|---|"
        for parameter in command.params:
            yield f"| {_names(parameter)} | {_cell(getattr(parameter, 'help', '') or '')} |"
        yield ""


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.name}`"
    spelled = [*parameter.opts, *parameter.secondary_opts]
    return _cell(", ".join(f"`{option}`" for option in spelled))


def key_tables() -> Iterator[str]:
    """A table of keys per spec."""
    from netsim.specs.case import SECTIONS
    from netsim.specs.inference import InferenceSpec
    from netsim.specs.packets import PacketsSpec

    yield "# Keys\n\nA TOML file holds these keys, and `--set` overrides them. `netsim schema` prints the same.\n"
    for name, model in (SECTIONS | {"inference": InferenceSpec, "transport": PacketsSpec}).items():
        yield f"## {name}\n\n| key | takes | default | meaning |\n|---|---|---|---|"
        for key in keys(model):
            _, takes, default, meaning = (_cell(part) for part in tuple(key)[:4])
            yield f"| `{name}.{key.name}` | {takes} | {default} | {meaning} |"
        yield ""


def record() -> Iterator[str]:
    """The fields of the JSON record."""
    from importlib.resources import files

    fields = tomllib.loads(files("netsim.reports").joinpath("record.toml").read_text("utf-8"))
    yield "# Record\n\n`netsim run --json` prints these fields, and `netsim.run(...).record` holds them.\n"
    yield "| field | unit | meaning |\n|---|---|---|"
    for name, (unit, meaning) in fields.items():
        yield f"| `{name}` | {_cell(unit)} | {_cell(meaning)} |"


def python() -> Iterator[str]:
    """The public names, documented by their docstrings."""
    yield "# Python\n\n`import netsim` gives these names.\n"
    for name in sorted(netsim.__all__):
        if not name.startswith("__"):
            home = getattr(netsim, name).__module__
            yield f"::: {home}.{name}\n"
