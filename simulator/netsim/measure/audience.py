"""Who hears of a measurement while it goes on, and what it returns: neither knows of a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netsim.errors import NetsimError
from netsim.measure.session import Outcome


@dataclass(frozen=True)
class Audience:
    """say : takes a line of news; warn : one that nobody may miss; watch : a progress bar by its label"""

    say: Callable[[str], None]
    warn: Callable[[str], None]
    watch: Callable[[str], AbstractContextManager[Callable[[int, int], None] | None]]


@dataclass(frozen=True)
class Measured:
    """What came of it: the record, lines for people instead of it, and whether a result was wrong."""

    record: dict[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    wrong: bool = False


def table_of(output: Path | None, what: str, without: str = "") -> Path:
    """The CSV to write.

    Raises NetsimError when none was named.
    """
    if output is None:
        raise NetsimError(f"{what} needs -o FILE.csv to write to{without}")
    return output


def tell_outcome(audience: Audience, device: str, outcome: Outcome, output: Path) -> None:
    """What a session did."""
    for name, reason in outcome.wrong.items():
        audience.say(f"wrong result, no row: {name}: {reason}")
    refused = ((name.partition(":")[0], reason) for name, reason in outcome.refused.items())
    for (kernel, reason), count in Counter(refused).items():
        audience.say(f"refused: {kernel} ({count} measurements): {reason}")
    audience.say(
        f"{outcome.measured} measured in {outcome.seconds:.0f} s on {device}, {outcome.found_done} were done, "
        f"{outcome.left} left: {output}"
    )
