"""`netsim examples`: the commands by question; the same lines stand at the end of each command's help."""

from __future__ import annotations

import shlex
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Example:
    """A question and the command that answers it; `slow` and `elsewhere` are for the tests."""

    question: str
    command: str
    slow: bool = False
    elsewhere: bool = False

    @property
    def verb(self) -> str:
        return shlex.split(self.command)[1]


@cache
def examples_by_question() -> tuple[Example, ...]:
    """All examples, in the order of the file."""
    text = Path(__file__).with_suffix(".toml").read_text("utf-8")
    return tuple(Example(**entry) for entry in tomllib.loads(text)["examples"])


def examples_of(verb: str) -> str:
    """The last lines of a command's help: its examples, unwrapped; empty where there is none."""
    lines = [f"  {example.command}" for example in examples_by_question() if example.verb == verb]
    return "\n".join(["\b", "Examples:" if len(lines) > 1 else "Example:", *lines]) if lines else ""


def examples() -> None:
    """List commands by the question that they answer."""
    for example in examples_by_question():
        print(f"{example.question}\n    {example.command}")
