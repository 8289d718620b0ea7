"""What a part of the page says of the scenario (job and size) it is about: columns, captions, ids, findings."""

from __future__ import annotations

from typing import Any

from netsim.analysis.comparison.phrases import scenarios
from netsim.reports.page import Column, Listing

Row = dict[str, Any]
_SUBJECTS = {"hidden": "step", "step": "step", "cost": "cost", "latency": "latency", "binding": "what binds",
             "error": "left out"}  # fmt: skip


def key_columns(record: Row) -> list[Column]:
    """Columns that say which row it is: only what varies."""
    question = record["question"]
    columns = [Column("topology", "fabric", left=True)]
    if len(question["workloads"]) > 1:
        columns.append(Column("workload", "job", left=True))
    if len(question["gpus"]) > 1:
        columns.append(Column("gpus", "GPUs"))
    return columns


def heading(record: Row, scenario: tuple[str, int]) -> str:
    """What a scenario is called where there are several, else nothing."""
    return f"{scenario[0]}, {scenario[1]:,} GPUs" if len(scenarios(record)) > 1 else ""


def tail(record: Row, scenario: tuple[str, int]) -> str:
    """What a caption ends with: the scenario, where there are several."""
    head = heading(record, scenario)
    return f"; {head}" if head else ""


def slug(record: Row, scenario: tuple[str, int]) -> str:
    """What an id ends with: the number of the scenario, where there are several."""
    several = scenarios(record)
    return f"-{several.index(scenario)}" if len(several) > 1 else ""


def said(record: Row, scenario: tuple[str, int], subjects: tuple[str, ...]) -> Listing:
    """Findings on some subjects."""
    return Listing(
        [
            (_SUBJECTS[f["subject"]], f["text"])
            for f in record["findings"]
            if (f["workload"], f["gpus"]) == scenario and f["subject"] in subjects
        ]
    )
