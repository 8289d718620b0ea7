"""The comparison as one record: tables over all points, findings in words, a recommendation, and where it came from.

Points are simulated in `jobs` processes; the record is the same whatever their number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import netsim
from netsim.analysis.binding import RESOURCES
from netsim.analysis.comparison.advice import recommendations
from netsim.analysis.comparison.decide import decisions
from netsim.analysis.comparison.money import taper
from netsim.analysis.comparison.point import measure
from netsim.analysis.comparison.question import CompareRequest, Point
from netsim.analysis.comparison.words import why
from netsim.analysis.processes import run_all
from netsim.errors import NetsimError
from netsim.specs.question import Question
from netsim.topologies import build, max_gpus
from netsim.workloads.plan import make_plan

SCHEMA = 1
TABLES = ("comparison", "breakdown", "binding", "collectives", "latency", "bandwidth", "bill",
          "prices", "growth", "tapered")  # fmt: skip


class Part(NamedTuple):
    """A share of a point's simulations that one process does."""

    request: CompareRequest
    point: Point
    resources: tuple[str, ...]
    curves: bool


def compare(
    request: CompareRequest, jobs: int = 1, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Simulate every point and say what differs; `progress` is told (done, all) parts.

    Raises NetsimError for a name, key or value that is wrong, and when no point can be simulated.
    """
    points = request.points()
    refused = [refusal(request, point) for point in points]  # a mistake of the user is no row of the table
    if all(refused):
        raise NetsimError(refused[0] or "")
    parts = [part for point in points for part in parts_of(request, point, jobs)]
    done = list(zip(parts, run_all(measure, parts, jobs, progress), strict=True))
    merged = [merge([found for part, found in done if part.point == point]) for point in points]
    if all(found["error"] for found in merged):
        raise NetsimError(merged[0]["error"])
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    for found in merged:
        if found["error"]:
            tables["comparison"].append(found["key"] | {"error": found["error"]})
            continue
        for name in TABLES:
            tables[name] += found["tables"].get(name, [])
    good = [found for found in merged if not found["error"]]
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "question": {
            "topologies": list(dict.fromkeys(found["key"]["topology"] for found in merged)),
            "workloads": list(dict.fromkeys(found["key"]["workload"] for found in merged)),
            "gpus": list(request.gpus),
            "scaling": request.question.scaling,
            "seed": request.question.seed,
            "overrides": dict(request.question.overrides),
            **good[0]["prices"],
        },
        "recommendations": [],
        "decisions": [],
        "findings": [],
        "tables": tables,
        "designs": [found["design"] for found in good],
        "notes": list(
            dict.fromkeys(_note(request, found, note) for found in good for note in found["notes"])
        ),
        "provenance": {
            "version": netsim.__version__,
            "command": command(request),
            "points": [
                found["key"]
                | {k: found["provenance"][k] for k in ("spec_sha256", "compute_profile", "compute_origin")}
                for found in good
            ],
            "evidence": _evidence(good),
        },
    }
    record["decisions"] = decisions(record)
    record["recommendations"] = recommendations(record)
    taken = {(r["workload"], r["gpus"], r["topology"]) for r in record["recommendations"] if r["topology"]}
    thinner = [
        (request, point) for point, found in zip(points, merged, strict=True)
        if (found["key"]["workload"], found["key"]["gpus"], found["key"]["topology"]) in taken
    ]  # fmt: skip
    if thinner:
        tables["tapered"] += [row for rows in run_all(taper, thinner, jobs, None) for row in rows]
        record["recommendations"] = recommendations(record)
    record["findings"] = why(record)
    return record


def _note(request: CompareRequest, found: dict[str, Any], note: str) -> str:
    """A warning about a point, with as much of its name as tells it from the others."""
    key, words = found["key"], [found["key"]["topology"]]
    words += [key["workload"]] if len(request.workloads) > 1 else []
    words += [f"{key['gpus']:,} GPUs"] if len(request.gpus) > 1 else []
    return f"{', '.join(words)}: {note}"


def refusal(request: CompareRequest, point: Point) -> str | None:
    """Why a point cannot be simulated, where that is seen at once: its size, or how the job divides it.

    Raises NetsimError for a name, key or value that is wrong.
    """
    case = request.case(point)
    try:
        make_plan(case.workload, point.gpus, request.question.scaling)
        if point.gpus > max_gpus(case.topology, case.hardware):
            build(case.topology, case.hardware, point.gpus)
    except NetsimError as error:
        return str(error)
    return None


def command(request: CompareRequest) -> str:
    """The command line that asks the request again."""
    words = ["netsim compare", "--topologies", ",".join(request.topologies)]
    words += ["--workloads", ",".join(request.workloads), "--gpus", ",".join(map(str, request.gpus))]
    asked = request.question
    for option in ("hardware", "profile", "routing", "schedule"):
        if getattr(asked, option) is not None:
            words += [f"--{option}", getattr(asked, option)]
    for option in ("prices", "scaling", "seed"):
        if getattr(asked, option) != getattr(Question, option):
            words += [f"--{option}", str(getattr(asked, option))]
    words += ["--sizes", request.sizes] if request.sizes != CompareRequest.sizes else []
    words += [f'--set "{key}={value}"' for key, value in request.question.overrides.items()]
    return " ".join(words if request.bind else [*words, "--no-bind"])


def parts_of(request: CompareRequest, point: Point, jobs: int) -> list[Part]:
    """A point in one part, or in as many as keep the processes equally busy."""
    resources = tuple(RESOURCES) if request.bind else ()
    pieces = 1 if jobs == 1 or not resources else min(2 if jobs <= 4 else 4, len(resources))
    return [Part(request, point, resources[n::pieces], n == 0) for n in range(pieces)]


def merge(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The parts of one point: the first holds everything, the others more rows of `binding`."""
    first = found[0]
    failed = next((part for part in found if part["error"]), None)
    if failed is not None:
        return failed
    rows = {row["resource"]: row for part in found for row in part["tables"]["binding"]}
    first["tables"]["binding"] = [rows[name] for name in RESOURCES if name in rows]
    return first


def _evidence(good: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Sources of every spec in use, each said once."""
    said: dict[str, dict[str, str]] = {}
    for found in good:
        for spec, sources in found["provenance"]["evidence"].items():
            said.setdefault(spec, {}).update(sources)
    return said
