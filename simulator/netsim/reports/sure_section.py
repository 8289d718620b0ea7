"""The part of a run's page that says how sure the step is: its interval as a picture, and what it is made of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from netsim.reports.page import Beside, Column, Figure, Part, Table, Text
from netsim.reports.page.parts import number
from netsim.reports.plots import MUTED, SECOND, SIMULATED, canvas, svg
from netsim.reports.sure_words import sure_words

Row = Mapping[str, Any]
#: constants that are drawn
_DRAWN = 6


def sure_parts(record: Row) -> list[Part]:
    """Words, a picture and a table; nothing for a record without an interval."""
    if "uncertainty" not in record:
        return []
    found, step = record["uncertainty"], record["step"]
    rows = [
        {
            "name": each["name"],
            "spread": 100.0 * each["spread"],
            "effect": 100.0 * each["effect"],
            "source": each["source"],
        }
        for each in found["factors"]
    ]
    columns = [
        Column("name", "constant", lambda name: name.replace("_", " "), left=True),
        Column("spread", "known to, %", number(1)),
        Column("effect", "moves the step by, %", number(2)),
        Column("source", "evidence", left=True),
    ]
    picture = Figure("how-sure", "The step with its interval at 80 %, and what each part of it makes of it.",
                     _picture(step, found))  # fmt: skip
    table = Table(
        "constants", "Constants behind the step, and how well each is known", columns, rows, folded=True
    )
    return [Beside([Text(f"{sure_words(record)}.")], picture), table]


def _picture(step: Row, found: Row) -> str:
    """One line a part: the whole interval, published steps alone, constants alone, and each constant."""
    reach, seconds = found["quantile"], step["time_s"]
    centre = seconds * (1.0 + found["location_pct"] / 100.0)
    lines = [("interval", *step["interval_s"], SIMULATED)]
    lines.append(("published steps", *_around(centre, reach * found["structure_pct"] / 100.0), SECOND))
    lines.append(("all constants", *_around(seconds, reach * found["constants_pct"] / 100.0), SECOND))
    for each in found["factors"][:_DRAWN]:
        name = each["name"].replace("_", " ")
        lines.append((name, *_around(seconds, reach * abs(each["effect"])), MUTED))
    fig, ax = canvas(width=5.0, height=0.9 + 0.24 * len(lines))
    for at, (_, low, high, colour) in enumerate(lines):
        ax.errorbar([(low + high) / 2.0], [at], xerr=[[(high - low) / 2.0]], color=colour, capsize=3, lw=1.6)
    ax.axvline(seconds, color="#1c2127", lw=1.0, ls="--")
    ax.set_yticks(range(len(lines)), [line[0] for line in lines])
    ax.invert_yaxis()
    ax.set_xlabel("step, s; dashed: as computed")
    ax.grid(axis="y", visible=False)
    return svg(fig)


def _around(seconds: float, reach: float) -> tuple[float, float]:
    return seconds * math.exp(-reach), seconds * math.exp(reach)
