"""The spec of a fault: which part, what happens to it, and when; as a table of a TOML or as one line of `--fault`.

    plane 3 down at 40%
    link leaf0.1-spine0.3 down from 2s to 5s
    nic host12.3 degraded to 50% at 1s
    switch spine0.1 down at 3s for 200ms
    gpu host3.2 slow 20% at 25%
    nvlink host3 degraded to 50%
    congestion 30% on link leaf0.1-spine0.3 from 10% to 60%

`down` takes the part away, `degraded` leaves a part of its capacity, `slow` takes a part of the speed of GPUs, and
`congestion` is what another job takes of the capacity. A time with a unit counts from the start of the step, a
percentage is of the fault-free step. Without a time the fault is there from the start; without an end it stays.
What the parts are called is the business of `netsim.topologies.parts`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from netsim.errors import NetsimError, SpecError, did_you_mean
from netsim.specs import catalog, files
from netsim.specs.base import Strict, read_toml, validate
from netsim.units import bounded

Effect = Literal["down", "degraded", "slow", "congestion"]
#: kind of part -> effects it can suffer
KINDS: dict[str, tuple[str, ...]] = {
    "plane": ("down", "degraded", "congestion"),
    "switch": ("down", "degraded", "congestion"),
    "link": ("down", "degraded", "congestion"),
    "nic": ("down", "degraded", "congestion"),
    "nvlink": ("down", "degraded"),
    "host": ("down", "slow"),
    "gpu": ("down", "slow"),
}
_GRAMMAR = "must be written PART down|degraded to X%|slow X% [at T] [for D] | from T to T, or congestion X% on PART ..."
_TIME = r"\d[\d_.]*(?:e[-+]?\d+)?\s*(?:%|n?s|us|ms|min|h|day)"
_AT = rf"(?:\s+at\s+(?P<at>{_TIME}))?(?:\s+for\s+(?P<duration>{_TIME}))?"
_FROM = rf"\s+from\s+(?P<start>{_TIME})\s+to\s+(?P<until>{_TIME})"
_WHEN = rf"(?:{_FROM}|{_AT})"
_AMOUNT = r"(?P<amount>\d[\d.]*\s*%)"
_SENTENCES = (
    re.compile(rf"^(?P<part>\S.*?)\s+(?P<effect>down){_WHEN}$", re.ASCII),
    re.compile(rf"^(?P<part>\S.*?)\s+(?P<effect>degraded)\s+to\s+{_AMOUNT}{_WHEN}$", re.ASCII),
    re.compile(rf"^(?P<part>\S.*?)\s+(?P<effect>slow)\s+(?:by\s+)?{_AMOUNT}{_WHEN}$", re.ASCII),
    re.compile(rf"^(?P<effect>congestion)\s+(?:of\s+)?{_AMOUNT}\s+on\s+(?P<part>\S.*?){_WHEN}$", re.ASCII),
)


def _percent(value: object) -> float:
    match = (
        re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*%\s*", value, re.ASCII) if isinstance(value, str) else None
    )
    if match is None:
        raise ValueError("must be a percentage such as '50%'")
    part = float(match[1]) / 100
    if not 0 < part < 1:
        raise ValueError("must be above 0% and below 100%: what is all gone is down")
    return part


def _instant(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(
            "must be a time with its unit, such as '2 s', or a percentage of the step, such as '40%'"
        )
    instant_s(value, 1.0)
    return value.strip()


Part = Annotated[float, BeforeValidator(_percent), Field(gt=0.0, lt=1.0)]
Instant = Annotated[str, BeforeValidator(_instant)]


def instant_s(text: str, step_s: float) -> float:
    """Seconds of a time, or of a percentage of a step of `step_s`.

    Raises ValueError when it is neither, or below 0.

    >>> instant_s("40%", 20.0), instant_s("200 ms", 20.0)
    (8.0, 0.2)
    """
    number, percent, _ = text.strip().partition("%")
    if percent:
        try:
            seconds = float(number) / 100 * step_s
        except ValueError:
            raise ValueError(
                "must be a time such as '2 s' or a percentage of the step such as '40%'"
            ) from None
    else:
        seconds = bounded(text, "seconds")
    if not 0 <= seconds < float("inf"):
        raise ValueError("must not lie before the start of the step")
    return seconds


class FaultSpec(Strict):
    """One fault. `amount`: what is left (degraded) or lost (slow, congestion); `until` or `duration`, or for good."""

    part: str
    effect: Effect
    amount: Part | None = None
    at: Instant = "0%"
    until: Instant | None = None
    duration: Instant | None = None

    @model_validator(mode="after")
    def _fits(self) -> FaultSpec:
        kind = self.part.split()[0] if self.part.split() else ""
        if kind not in KINDS:
            raise ValueError(
                f"part = {self.part!r}, must begin with a kind of part: {did_you_mean(kind, KINDS)}"
            )
        if self.effect not in KINDS[kind]:
            raise ValueError(f"effect = {self.effect!r}, a {kind} can be {', '.join(KINDS[kind])}")
        if (self.amount is None) != (self.effect == "down"):
            rule = "has no amount" if self.effect == "down" else "needs an amount, such as '50%'"
            raise ValueError(f"effect = {self.effect!r}, {rule}")
        if self.until is not None and self.duration is not None:
            raise ValueError("until and duration: give one of them")
        return self

    @property
    def changes(self) -> bool:
        """Whether it comes or goes while the step runs."""
        return instant_s(self.at, 1.0) > 0 or self.until is not None or self.duration is not None

    def span_s(self, step_s: float) -> tuple[float, float]:
        """Start and end in seconds (inf: for good), given the time of the fault-free step.

        Raises NetsimError when it ends before it starts.
        """
        start = instant_s(self.at, step_s)
        end = float("inf")
        if self.until is not None:
            end = instant_s(self.until, step_s)
        if self.duration is not None:
            end = start + instant_s(self.duration, step_s)
        if not end > start:
            raise NetsimError(f"fault {self}: ends at {end:g} s, must end after its start at {start:g} s")
        return start, end

    def as_table(self) -> dict[str, str]:
        """The `[[faults]]` table that says the same."""
        table = {key: value for key, value in self.model_dump(exclude_none=True).items() if key != "amount"}
        return table if self.amount is None else table | {"amount": f"{self.amount * 100:.15g}%"}

    def __str__(self) -> str:
        percent = "" if self.amount is None else f"{self.amount * 100:.6g}%"
        words = {
            "down": f"{self.part} down",
            "degraded": f"{self.part} degraded to {percent}",
            "slow": f"{self.part} slow {percent}",
            "congestion": f"congestion {percent} on {self.part}",
        }[self.effect]
        if self.until is not None:
            return f"{words} from {self.at} to {self.until}"
        lasting = f" for {self.duration}" if self.duration else ""
        return f"{words} at {self.at}{lasting}" if lasting or instant_s(self.at, 1.0) else words


def parse_fault(text: str) -> FaultSpec:
    """One line to a fault.

    Raises NetsimError naming the line and the grammar, or the value that breaks a rule.

    >>> str(parse_fault("nic host12.3 degraded to 50% at 1s for 200ms"))
    'nic host12.3 degraded to 50% at 1s for 200ms'
    """
    line = " ".join(text.split())
    found = next((m for s in _SENTENCES if (m := s.match(line))), None)
    if found is None:
        raise NetsimError(f"--fault {line!r}: {_GRAMMAR}{_hint(line)}")
    groups: dict[str, Any] = {k: v for k, v in found.groupdict().items() if v is not None}
    if "start" in groups:
        groups["at"] = groups.pop("start")
    return validate(FaultSpec, groups, f"--fault {line!r}")


def _hint(line: str) -> str:
    """The nearest kind of part or effect when a word of the line is misspelt."""
    kind = line.split()[0] if line else ""
    if kind and kind not in (*KINDS, "congestion"):
        near = did_you_mean(kind, (*KINDS, "congestion"))
        return f"; {kind!r}: {near}"
    return ""


def read_faults(items: list[str]) -> tuple[FaultSpec, ...]:
    """The faults of `--fault` options: each a line, or the path of a TOML with `[[faults]]` tables.

    Raises NetsimError (SpecError) for the first that cannot be read.
    """
    found: list[FaultSpec] = []
    for item in items:
        if not item.strip().endswith(".toml"):
            found.append(parse_fault(item))
            continue
        path = files.expand(item.strip())
        if not path.is_file():
            raise NetsimError(f"--fault {item}: no such file")
        data = read_toml(path)
        tables = data.get("faults")
        place = catalog.display(path)
        if not isinstance(tables, list) or not tables:
            raise NetsimError(f"{place}: holds no [[faults]] table")
        unknown = next((key for key in data if key != "faults"), None)
        if unknown is not None:
            raise SpecError(place, unknown, data[unknown], "unknown key: known: faults")
        for number, table in enumerate(tables, start=1):
            where = f"{place}: fault {number}"
            if not isinstance(table, dict):
                raise NetsimError(f"{where}: must be a table")
            found.append(validate(FaultSpec, table, where))
    return tuple(found)
