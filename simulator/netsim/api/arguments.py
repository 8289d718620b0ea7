"""Arguments of the interface as the floors below take them: names as text, numpy's scalars as Python's numbers."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netsim.errors import NetsimError

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


def count(name: str, value: int) -> int:
    """A whole number, also one of numpy's.

    Raises NetsimError for anything else, and for a negative one.
    """
    try:
        whole = operator.index(value)
    except TypeError:
        raise NetsimError(f"{name} = {value!r}, must be a whole number") from None
    if whole < 0:
        raise NetsimError(f"{name} = {whole}, must be at least 0")
    return whole
