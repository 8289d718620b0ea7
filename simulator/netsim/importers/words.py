"""Names and numbers as people write them in files: sizes, ranges of nodes, natural order, rates; and TOML back."""

from __future__ import annotations

import re
from typing import Any

import tomli_w

#: most names that a list of ranges may stand for
MAX_NODES = 1_000_000
_DIGITS = re.compile(r"(\d+)")
#: Gb/s of one lane by InfiniBand's name of its speed, as it is sold: 4xNDR is 400 Gb/s
LANE_GBPS = {"SDR": 2.5, "DDR": 5.0, "QDR": 10.0, "FDR10": 10.0, "FDR": 14.0, "EDR": 25.0, "HDR": 50.0, "NDR": 100.0,
             "XDR": 200.0, "GDR": 400.0}  # fmt: skip
#: signalling rate of a lane, Gb/s, as `iblinkinfo` prints it -> name
SIGNAL_GBPS = {2.5: "SDR", 5.0: "DDR", 10.0: "QDR", 14.0625: "FDR", 25.78125: "EDR", 53.125: "HDR",
               106.25: "NDR", 212.5: "XDR"}  # fmt: skip


def human_size(size_bytes: float) -> str:
    """A size in a few characters.

    >>> human_size(52_428_800), human_size(900)
    ('52.4 MB', '900 B')
    """
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "KB")):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.3g} {unit}"
    return f"{size_bytes:.0f} B"


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts node10 behind node9.

    >>> sorted(["n10", "n9"], key=natural)
    ['n9', 'n10']
    """
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in _DIGITS.split(name) if part]


def rate_text(bytes_per_s: float) -> str:
    """A rate of a link for a cable list.

    >>> rate_text(50e9)
    '400 Gb/s'
    """
    return f"{bytes_per_s * 8 / 1e9:.15g} Gb/s"


def lane_rate(width: str, speed: str) -> float | None:
    """Bytes/s of a link by its width and the name (or the signalling rate) of its lanes; None where unknown.

    >>> lane_rate("4x", "NDR"), lane_rate("4X", "106.25")
    (50000000000.0, 50000000000.0)
    """
    lanes = int(width.strip().lower().rstrip("x") or 0)
    name = speed.strip().upper()
    if name not in LANE_GBPS:
        try:
            name = SIGNAL_GBPS[float(name)]
        except (ValueError, KeyError):
            return None
    return lanes * LANE_GBPS[name] * 1e9 / 8


def expand(text: str) -> list[str]:
    """The names that a list of ranges stands for, in its order (Slurm's and ClusterShell's way of writing).

    Raises ValueError for brackets that do not close and for ranges that run backwards or are too many.

    >>> expand("n[08-10,12],login,r[0-1]c[1-2]")
    ['n08', 'n09', 'n10', 'n12', 'login', 'r0c1', 'r0c2', 'r1c1', 'r1c2']
    """
    found: list[str] = []
    for word in _split(text):
        names = [""]
        for part in re.split(r"(\[[^\[\]]*\])", word):
            choices = _range(part[1:-1]) if part.startswith("[") else [part]
            if any(mark in choice for choice in choices for mark in "[]"):
                raise ValueError(f"{word!r}: brackets do not match")
            if len(names) * len(choices) + len(found) > MAX_NODES:
                raise ValueError(f"{word!r}: stands for more than {MAX_NODES:,} names")
            names = [name + choice for name in names for choice in choices]
        found += names
    return found


def _split(text: str) -> list[str]:
    """At commas outside brackets."""
    words, depth = [""], 0
    for mark in text.strip():
        depth += (mark == "[") - (mark == "]")
        if mark in ", \n\t" and not depth:
            words.append("")
        else:
            words[-1] += mark
    if depth:
        raise ValueError(f"{text[:40]!r}: brackets do not match")
    return [word for word in words if word]


def _range(text: str) -> list[str]:
    found: list[str] = []
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        if not low.isdigit() or (dash and not high.isdigit()):
            raise ValueError(f"[{text}]: must be numbers and ranges such as 0-7,9")
        first, last = int(low), int(high or low)
        if last < first or last - first > MAX_NODES:
            raise ValueError(f"[{text}]: {part} runs backwards or is too long")
        found += [str(n).zfill(len(low)) for n in range(first, last + 1)]
    return found


def toml(table: dict[str, Any]) -> str:
    """A table as TOML; keys without a value are left out."""
    return tomli_w.dumps(_without_none(table))


def _without_none(table: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value is not None
    }
