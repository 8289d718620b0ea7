"""Arguments of the interface as the floors below take them: names as text, numpy's scalars as Python's numbers."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from netsim.errors import NetsimError
from netsim.specs.question import Question, Scaling

#: a preset, or the path of a TOML (or, for a fabric, a CSV of its cables)
Name = str | Path


def names(names: Sequence[Name] | Name) -> tuple[str, ...]:
    """One name, or several."""
    return (str(names),) if isinstance(names, str | Path) else tuple(str(name) for name in names)


def text(name: Name | None) -> str | None:
    """A name or path as specs take it."""
    return None if name is None else str(name)


def plain(overrides: Mapping[str, Any] | None) -> dict[str, Any]:
    """Overrides with numpy scalars as Python numbers, which is what strict specs take."""
    return {
        key: value.item() if hasattr(value, "dtype") and not value.shape else value
        for key, value in (overrides or {}).items()
    }


def count(name: str, value: int, least: int = 0) -> int:
    """A whole number, also one of numpy's.

    Raises NetsimError for anything else, and for one below `least`.
    """
    try:
        whole = operator.index(value)
    except TypeError:
        raise NetsimError(f"{name} = {value!r}, must be a whole number") from None
    if whole < least:
        raise NetsimError(f"{name} = {whole}, must be at least {least}")
    return whole


class Asked(TypedDict, total=False):
    """Fields of a question beside fabric, GPUs and job, by keyword; `netsim.Question` says what each means."""

    hardware: Name | None
    profile: Name | None
    prices: Name
    routing: str | None
    schedule: str | None
    scaling: Scaling
    placement: Name | None
    gpu_hour_usd: float | None
    overrides: Mapping[str, Any] | None
    faults: Sequence[str]
    fault_rate: float | None
    reliability: Name | None
    seed: int
    folded: bool


#: fields that hold a name
_NAMES = ("hardware", "profile", "prices", "placement", "reliability")


def question_of(topology: Name | Question, gpus: int, workload: Name, more: Mapping[str, Any]) -> Question:
    """The question of a call: a whole one with changes, or one of names and values.

    Raises NetsimError for a number that is none, TypeError for a keyword that no question has.
    """
    fields: dict[str, Any] = dict(more)
    for name in fields.keys() & set(_NAMES):
        fields[name] = text(fields[name])
    if "overrides" in fields:
        fields["overrides"] = plain(fields["overrides"])
    if "faults" in fields:
        fields["faults"] = tuple(fields["faults"])
    if "seed" in fields:
        fields["seed"] = count("seed", fields["seed"])
    if isinstance(topology, Question):
        return topology.changed(**fields)
    return Question(topology=str(topology), gpus=count("gpus", gpus), workload=str(workload), **fields)


def question_with(topology: Name | Question, gpus: int, workload: Name, **more: Any) -> Question:
    """The same of a call that spells its fields: what it leaves out stays as a whole question has it."""
    silent = {"seed"} if isinstance(topology, Question) and not more.get("seed") else set()
    said = {key: value for key, value in more.items() if value is not None and key not in silent}
    return question_of(topology, gpus, workload, said)
