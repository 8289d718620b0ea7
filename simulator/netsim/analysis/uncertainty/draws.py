"""Decisions under uncertainty: the same draws for every design, so that what designs share cancels.

    ln(true step of design d) = ln(step) + location + structure x z(group) + sum over factors effect(d, f) x z(f) + z(d)

z(group) and z(f) are the same for all designs of a draw: two fabrics under one job are off by the same compute, and
differ by what each is worth to a constant. z(d) is a design's own: what netsim's ratio of two fabrics was off where
both were measured (`fabrics` of the evidence). Prices are drawn between the book's low and high offers, one draw a
price book, so that what all networks buy cancels too; a book without offers has no spread.

Structure is widened to the level by the conformal quantile. The draws of a name depend on the seed and the name alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from netsim.analysis.uncertainty.evidence import evidence
from netsim.analysis.uncertainty.interval import Sure

Floats = NDArray[np.float64]
COUNT = 1000
#: standard deviations of a normal to each side that hold 80 %
_NORMAL_80 = 1.2816


def design(sure: Sure, name: str) -> dict[str, Any]:
    """What draws need to know of a design: plain values, for tables and worker processes."""
    group = sure.kind
    return {
        "name": name,
        "group": f"{group.framework} {group.generation} {group.model}",
        "location": sure.prediction.location,
        "structure": sure.prediction.structure,
        "widened": sure.quantile / _NORMAL_80,
        "effects": {factor.name: factor.effect for factor in sure.factors},
    }


def normals(seed: int, name: str, count: int = COUNT) -> Floats:
    """(count,) standard normal draws of a name."""
    return np.random.Generator(np.random.PCG64([seed, crc32(name.encode())])).standard_normal(count)


def steps(seconds: Sequence[float], designs: Sequence[Mapping[str, Any]], seed: int) -> Floats:
    """(designs, COUNT) seconds of every design in every draw."""
    own = evidence().constants.get("fabrics")
    rows = []
    for step_s, each in zip(seconds, designs, strict=True):
        off = each["structure"] * normals(seed, each["group"])
        for name, effect in each["effects"].items():
            off = off + effect * normals(seed, name)
        if own is not None:
            off = off + own.spread / each["widened"] * normals(seed, f"design {each['name']}")
        rows.append(step_s * np.exp(each["location"] + each["widened"] * off))
    return np.array(rows)


def prices(costs: Sequence[Mapping[str, Any]], seed: int) -> Floats:
    """(designs, COUNT) price of every network: between the lowest and highest offers of the book."""
    share = np.random.Generator(np.random.PCG64([seed, crc32(b"prices")])).uniform(size=COUNT)
    rows = []
    for cost in costs:
        low = cost.get("network_usd_low") or cost["network_usd"]
        high = cost.get("network_usd_high") or cost["network_usd"]
        below = cost["network_usd"] - (cost["network_usd"] - low) * (1.0 - 2.0 * share)
        above = cost["network_usd"] + (high - cost["network_usd"]) * (2.0 * share - 1.0)
        rows.append(np.where(share < 0.5, below, above))
    return np.array(rows)


def versus(take: int, other: int, step_s: Floats, usd: Floats, slower: float = 0.001) -> dict[str, float]:
    """One design against another: shares of the draws in which it is cheaper, and not slower by more than a share."""
    return {
        "cheaper_share": float((usd[take] < usd[other]).mean()),
        "not_slower_share": float((step_s[take] <= step_s[other] * (1.0 + slower)).mean()),
        "slower_by": slower,
    }


def in_words(share: float) -> str:
    """A share of the draws.

    >>> in_words(1.0), in_words(0.98), in_words(0.0)
    ('all draws', '98 % of the draws', 'no draw')
    """
    if share >= 1.0:
        return "all draws"
    return f"{100.0 * share:.0f} % of the draws" if share > 0.0 else "no draw"
