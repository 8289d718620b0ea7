"""A study in words: what moved, which setting moved it, and what to buy.

The recommendation is the cheapest network whose step is at most 1 % longer than the fastest, of the points that fit
into GPU memory; where prices tie, the quicker one (`analysis.choice`). It is made where the draws
(`studies.support`) make it too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from netsim.analysis.choice import cheapest, fits, fitting, nearly_fastest, rank
from netsim.analysis.uncertainty.draws import in_words
from netsim.studies.axes import axes_of, label, main_effects, values
from netsim.studies.spec import tables
from netsim.studies.support import SUPPORT, support, support_words
from netsim.studies.support import cheapest_near_fastest as near_rule
from netsim.studies.sweep import Outcome

#: how much longer than the fastest a step may be and still count as fast
NEAR = 0.01
_MOVED = (("step_time_s", "step"), ("network_usd", "network cost"))


def findings(outcome: Outcome) -> list[str]:
    """Sentences about the points that have an answer."""
    ok = outcome.ok
    told = [_counts(outcome)]
    if not ok:
        return told
    told += [
        _range(ok, "step_time_s", "step", 1.0, "s"),
        _range(ok, "network_usd", "network", 1e-6, "M$"),
        _range(ok, "power_kw", "network power", 1.0, "kW"),
    ]
    keys = varied_keys(outcome)
    axes = axes_of(ok, keys)
    if len(axes) > 1 and not outcome.spec.zip:
        told += [_strongest(ok, axes, metric, name) for metric, name in _MOVED]
    if "gpus" not in keys:  # of clusters of several sizes the smallest is always the cheapest
        told.append(_cheapest(fitting(ok), keys, outcome.spec.seed))
    misfits = sum(not fits(record) for record in ok)
    if misfits:
        told.append(f"{misfits} of {len(ok)} points do not fit into GPU memory (column fits_memory)")
    return told


def _cheapest(records: list[dict[str, Any]], keys: list[str], seed: int) -> str:
    if not records:
        return "Nothing is recommended: no point fits into GPU memory"
    best = cheapest_near_fastest(records)
    shares = support(records, seed, near_rule(NEAR))
    rule = f"Cheapest within {NEAR:.0%} of the fastest step"
    if shares is None:
        return f"{rule}: {_told(best, keys)}"
    share = float(shares[next(n for n, record in enumerate(records) if record is best)])
    if share >= SUPPORT:
        return f"{rule}: {_told(best, keys)}; {support_words(share)}"
    other = records[int(shares.argmax())]
    return (
        f"{rule}: not decided. {_settings(best, keys)} as computed, which holds in {in_words(share)}; "
        f"{_settings(other, keys)} in {in_words(float(shares.max()))}"
    )


def _told(best: dict[str, Any], keys: list[str]) -> str:
    return (
        f"{_settings(best, keys)}: {best['step_time_s']:.3f} s, {best['network_usd'] / 1e6:.2f} M$, "
        f"{best['power_kw']:.0f} kW"
    )


def _settings(record: dict[str, Any], keys: list[str]) -> str:
    return ", ".join(f"{key} {label(record[key])}" for key in keys if key in record)


def varied_keys(outcome: Outcome) -> list[str]:
    """The settings that the study varies, in their order."""
    return [key for where, table in tables(outcome.spec) if where != "base" for key in table]


def cheapest_near_fastest(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The cheapest record whose step is at most NEAR longer than the fastest; of a tie, the quickest."""
    return min(cheapest(nearly_fastest(records, NEAR)), key=lambda record: rank(record, "network_usd"))


def _counts(outcome: Outcome) -> str:
    parts = [
        f"{outcome.count(status)} {status}" for status in ("ok", "invalid", "failed") if outcome.count(status)
    ]
    return f"{len(outcome.records)} points: {', '.join(parts)}"


def _range(records: list[dict[str, Any]], metric: str, name: str, scale: float, unit: str) -> str:
    found = values(records, metric) * scale
    low, high = float(found.min()), float(found.max())
    if high <= low * (1 + 1e-4):
        return f"The {name} does not move: {low:.4g} {unit}"
    return f"The {name} moves from {low:.4g} to {high:.4g} {unit} ({high / low - 1:+.1%})"


def _strongest(records: list[dict[str, Any]], axes: Any, metric: str, name: str) -> str:
    mean = float(np.nanmean(values(records, metric)))
    spans = {axis.key: main_effects(records, axis, metric, axes) for axis in axes}
    order = sorted(spans, key=lambda key: spans[key][0] - spans[key][1])
    parts = [f"{key} {(spans[key][1] - spans[key][0]) / mean:.1%}" for key in order[:3]]
    return f"What moves the {name} (of its mean, the rest averaged): {', '.join(parts)}"
