"""What the draws say of every recommendation: how often it would be made again, and each fabric against the others.

The rule of `analysis.comparison.advice` is applied to every draw. A recommendation that is not made in `SUPPORT` of the
draws is not made at all; fabrics that cost the same and are as quick support each other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netsim.analysis.choice import fitting
from netsim.analysis.comparison.phrases import Row, rows_of, scenarios
from netsim.analysis.uncertainty.draws import COUNT, in_words, prices, steps, versus

Floats = NDArray[np.float64]
#: share of the draws that must make a recommendation
SUPPORT = 0.8
#: fabrics whose steps are so close to the quickest count as equally quick, and prices as equal (`advice`)
QUICK, EQUAL = 0.005, 0.001
#: shares of the draws that are no different
SAME = 0.05


def decisions(record: Row) -> list[Row]:
    """One for each scenario of two fabrics or more: draws, support of each fabric, and pairs with the supported one."""
    found = []
    for scenario in scenarios(record):
        rows = fitting(rows_of(record, "comparison", scenario))
        if len(rows) > 1:
            found.append(_decide(record, scenario, rows))
    return found


def _decide(record: Row, scenario: tuple[str, int], rows: list[Row]) -> Row:
    seed = record["question"]["seed"]
    mine = {d["topology"]: d for d in record["designs"] if (d["workload"], d["gpus"]) == scenario}
    step_s = steps([r["step_time_s"] for r in rows], [mine[r["topology"]] for r in rows], seed)
    usd = prices(rows, seed)
    chosen = choices(step_s, usd)
    support = chosen.mean(axis=1)
    best = _taken(rows, support)
    names = [row["topology"] for row in rows]
    pairs = []
    for other, name in enumerate(names):
        if other != best:
            pair = versus(best, other, step_s, usd)
            same = (
                abs(rows[best]["network_usd"] - rows[other]["network_usd"])
                <= EQUAL * rows[best]["network_usd"]
            )
            pairs.append({"topology": name, **pair, "sentence": _sentence(names[best], name, pair, same)})
    return {
        "workload": scenario[0],
        "gpus": scenario[1],
        "draws": COUNT,
        "supported": names[best] if support[best] >= SUPPORT else None,
        "support": dict(zip(names, support.tolist(), strict=True)),
        "pairs": pairs,
    }


def _taken(rows: list[Row], support: Floats) -> int:
    """The fabric that most draws take; of those that as many take (`SAME`), the one that `advice` prefers."""
    equal = np.flatnonzero(support >= support.max() - SAME).tolist()
    return min(
        equal,
        key=lambda n: (round(rows[n]["power_kw"], 1), -rows[n]["max_gpus"], rows[n]["worst_latency_us"]),
    )


def choices(step_s: Floats, usd: Floats) -> NDArray[np.bool_]:
    """(designs, draws) whether a design may be taken: as quick as the quickest, and the cheapest of those."""
    quick = step_s <= step_s.min(axis=0) * (1.0 + QUICK)
    least = np.where(quick, usd, np.inf).min(axis=0)
    return np.asarray(quick & (usd <= least * (1.0 + EQUAL)))


def _sentence(take: str, other: str, pair: Row, same_price: bool) -> str:
    quick = f"not slower by more than {100.0 * pair['slower_by']:g} % in {in_words(pair['not_slower_share'])}"
    if same_price:
        return f"{take} costs as much as {other}, and is {quick}."
    return f"{take} is cheaper than {other} in {in_words(pair['cheaper_share'])}, and {quick}."
