"""One point to one row: the record of `netsim run` as flat columns with units, or the reason why there is none.

Dollars per trillion tokens are those of `netsim.cost.owning`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netsim.cost.owning import network_usd_per_hour, usd_per_hour
from netsim.errors import NetsimError
from netsim.specs import catalog, files
from netsim.studies.question import StudyPoint

#: key of a row for the digests of the files that it read
FILES = "files_read"
#: columns of a headline that a study has as settings
_SETTINGS = ("topology", "gpus", "workload", "schedule")


def evaluate(
    values: Mapping[str, Any], expected_id: str, gpu_usd_per_hour: float, years: float
) -> dict[str, Any]:
    """The row of one question, with the digests of the files that it read under `FILES`.

    Never raises: a mistake makes an invalid row, a crash a failed one.

    `values` : a StudyPoint as plain values; `expected_id` : its fingerprint where it was asked.
    """
    question = StudyPoint(**values)
    if question.id != expected_id:
        return _without("failed", "the worker has another version of netsim")
    with files.noted() as read:
        row = _row(question, gpu_usd_per_hour, years)
    return {**row, FILES: {portable(name): digest for name, digest in sorted(read.items())}}


def _row(question: StudyPoint, gpu_usd_per_hour: float, years: float) -> dict[str, Any]:
    try:
        return {"status": "ok", "reason": "", **simulate_row(question, gpu_usd_per_hour, years)}
    except NetsimError as error:
        return _without("invalid", str(error))
    except Exception as error:
        return _without("failed", f"{type(error).__name__}: {error}")


def portable(name: str) -> str:
    """A file by a name that holds wherever netsim is installed: `@/...` below the presets, else as it was opened."""
    path, root = Path(name), catalog.root()
    return f"@/{path.relative_to(root).as_posix()}" if path.is_relative_to(root) else name


def changed_file(read: Mapping[str, str]) -> str | None:
    """The first of the files that a row read which holds something else by now; None when the row still stands."""
    root = catalog.root()
    here = {str(root / name[2:]) if name.startswith("@/") else name: digest for name, digest in read.items()}
    return files.changed(here)


def _without(status: str, reason: str) -> dict[str, Any]:
    return {"status": status, "reason": " ".join(reason.split())}


def simulate_row(question: StudyPoint, gpu_usd_per_hour: float, years: float) -> dict[str, Any]:
    """Simulate a question.

    Raises NetsimError when it makes no sense.
    """
    from netsim.analysis.uncertainty.draws import design
    from netsim.analysis.uncertainty.interval import add_intervals, how_sure
    from netsim.specs.case import sort_overrides
    from netsim.specs.idle import RUNNING, STUDY, refuse_idle, refuse_unread
    from netsim.training.simulate import simulate
    from netsim.training.step_record import contract

    refuse_idle(question.overrides, question.scaling, [RUNNING])
    refuse_unread(sort_overrides(question.spec_overrides), STUDY, "a study: its gpu_usd_per_hour says it")
    case = question.case()
    step = simulate(case, question.gpus, scaling=question.scaling, seed=question.seed)
    record, sure = contract(step), how_sure(step)
    add_intervals(record, sure)
    drawn = {"uncertainty": json.dumps(design(sure, case.topology.model_dump_json()), sort_keys=True)}
    return flat(record) | drawn | tokens_cost(record, case, gpu_usd_per_hour, years)


def tokens_cost(
    record: Mapping[str, Any], case: Any, gpu_usd_per_hour: float, years: float
) -> dict[str, float]:
    """What a trillion tokens cost, and the network's part of it."""
    gpus, hours = record["topology"]["gpus"], record["step"]["days_per_trillion_tokens"] * 24.0
    network = network_usd_per_hour(record["cost"], case.prices, years)
    return {
        "usd_per_trillion_tokens": hours * usd_per_hour(gpus, gpu_usd_per_hour, network),
        "network_usd_per_trillion_tokens": hours * network,
    }


def flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a record: the headline, then phases, parts, latency, and each kind of collective."""
    from netsim.training.headline import headline

    row = {key: value for key, value in headline(dict(record)).items() if key not in _SETTINGS}
    cost, fabric = record["cost"], record["topology"]
    row |= {f"phase_{name}_s": seconds for name, seconds in record["step"]["phases_s"].items()}
    row |= {f"{key}_usd": cost[f"{key}_usd"] for key in ("switch", "cable", "nic")}
    row |= {key: cost[key] for key in ("network_usd_low", "network_usd_high", "usd_per_endpoint")}
    row |= {key: fabric[key] for key in ("endpoints", "planes", "tiers")}
    for each in record["collectives"]:
        kind = each["kind"].replace(" ", "_")
        row |= {f"{kind}_ms": each["mean_ms"], f"{kind}_wire_GBps": each["wire_GBps"]}
        row[f"{kind}_bound_by"] = each["bottleneck"]
    origin = record["provenance"]["compute_origin"]
    row |= {"compute_extrapolated": origin["extrapolated"], "warnings": "; ".join(record["warnings"])}
    return row | {"spec_sha256": record["provenance"]["spec_sha256"]}
