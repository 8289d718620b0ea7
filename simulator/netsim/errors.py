"""Errors a user can cause, each one line: place, key, value, rule, and the nearest right word.

`NetsimError` carries the exit status of the command line: 2 for usage, configuration and I/O, 3 for a
question outside the calibrated domain under `--strict`, 1 for a job that stalls. Anything else that escapes is our
own bug.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: characters of a value that an error line repeats
LONGEST = 120


class NetsimError(Exception):
    """A request that cannot be met; `str()` is one clear line for a person."""

    exit_code = 2


class SpecError(NetsimError):
    """A value in a file or on the command line that breaks a rule.

    >>> str(SpecError("topologies/a.toml", "leaf.radix", 63, "must be even"))
    'topologies/a.toml: leaf.radix = 63, must be even'
    """

    def __init__(self, place: str, key: str, value: object, rule: str) -> None:
        self.place, self.key, self.value, self.rule = place, key, value, rule
        super().__init__(f"{place}: {key} = {shown(value)}, {rule}" if key else f"{place}: {rule}")


def shown(value: object) -> str:
    """A value as it stands in an error line: whole if it is short, else its beginning.

    >>> shown(63), shown("a" * 200)[-14:]
    ('63', 'aaaaaaaaaaa...')
    """
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deeply; a number of too many digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


class StalledError(NetsimError):
    """A job that can never end: a finding, not a mistake of the request."""

    exit_code = 1


class DomainError(NetsimError):
    """Outside the calibrated domain, asked with `--strict`."""

    exit_code = 3


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """A hint naming the nearest choice, or all of them when none is near.

    >>> did_you_mean("mpftt", ["mpft", "ft3"])
    "did you mean 'mpft'?"
    >>> did_you_mean("zzz", ["mpft", "ft3"])
    'known: ft3, mpft'
    """
    known = sorted(choices)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
