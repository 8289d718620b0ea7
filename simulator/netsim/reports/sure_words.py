"""How sure an answer is, in a sentence: what published steps were missed by, and what constants are known to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netsim.analysis.uncertainty.evidence import Kind
from netsim.analysis.uncertainty.interval import ends_words
from netsim.analysis.uncertainty.kinds import words

#: factors that a sentence names
_TOLD = 3


def sure_words(record: Mapping[str, Any]) -> str:
    """The sentences of a `netsim run` record."""
    step, found = record["step"], record["uncertainty"]
    hours = ends_words(*(end / 1e3 for end in step["gpu_hours_per_trillion_tokens_interval"]))
    tokens = ends_words(*(end / 1e9 for end in step["tokens_per_day_interval"]))
    cost = ends_words(*(end / 1e6 for end in step["cost"]["usd_per_trillion_tokens_interval"]))
    told = [
        f"{each['name'].replace('_', ' ')} {100.0 * abs(each['effect']):.1f} %"
        for each in found["factors"][:_TOLD]
    ]
    constants = f"{found['constants_pct']:.1f} %" + (f" ({', '.join(told)})" if told else "")
    return (
        f"At 80 %: {tokens} B tokens/day, {hours} K GPU-hours, {cost} M$ a trillion tokens. {evidence_words(found)}; "
        f"its constants are known to {constants}"
    )


def evidence_words(found: Mapping[str, Any]) -> str:
    """What the structural part rests on."""
    kind = Kind(**found["kind"])
    if found["outside"]:
        return "; ".join(found["outside"]).capitalize()
    number, clusters = found["published_steps"], found["clusters"]
    rows = f"{number} published step{'s' * (number > 1)} of {words(kind)} ({clusters} cluster{'s' * (clusters > 1)})"
    longer = "longer" if found["location_pct"] >= 0.0 else "shorter"
    by = f"{abs(found['location_pct']):.1f} % {longer} than netsim's, spread {found['structure_pct']:.1f} %"
    return f"{rows} set the interval: {by}"
