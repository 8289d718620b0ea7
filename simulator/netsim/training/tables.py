"""Tidy tables of a step: tasks, collectives and links, one observation a row, units in the column names."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from netsim.topologies.graph import RESOURCES
from netsim.training.result import Columns, step_time_s, transfer_columns
from netsim.training.simulate import Step
from netsim.workloads.tasks import QUEUES


def tasks_table(step: Step) -> pd.DataFrame:
    """Every task that ran, in queue order of each actor class; `stage_groups` is how many groups a row stands for."""
    graph, columns = step.graph, Columns(step)
    task = step.instances.task
    duration = columns.end_s - columns.start_s
    wire, bottleneck = transfer_columns(step)
    rate = np.divide(wire, duration * 1e9, out=np.full_like(wire, np.nan), where=duration > 0)
    chunk_phase = np.array([c.phase if c.forward or c.backward or c.weight else "opt" for c in graph.chunks])

    def of_work(attribute: str) -> pd.Categorical:
        return pd.Categorical(np.array([getattr(work, attribute) for work in graph.works])[columns.work])

    return pd.DataFrame(
        {
            "rank": np.array(graph.rank)[task],
            "group_class": columns.actor,
            "stage_groups": columns.groups_in[columns.actor],
            "queue": pd.Categorical(np.array(QUEUES)[columns.queue]),
            "name": of_work("name"),
            "block": of_work("block"),
            "pass": of_work("phase"),
            "overlapped": of_work("overlapped").astype(bool),
            "chunk": columns.chunk,
            "chunk_phase": pd.Categorical(chunk_phase[columns.chunk]),
            "stage": np.array(graph.stage)[task],
            "layer": np.array(graph.layer)[task],
            "microbatch": np.array(graph.microbatch)[task],
            "start_ms": columns.start_s * 1e3,
            "end_ms": columns.end_s * 1e3,
            "duration_ms": duration * 1e3,
            "wire_bytes_per_gpu": wire,
            "wire_GBps": rate,
            "bottleneck": pd.Categorical(bottleneck),
        }
    )


def collectives_table(step: Step) -> pd.DataFrame:
    """The rows of `tasks_table` that moved data."""
    tasks = tasks_table(step)
    return tasks[tasks["wire_bytes_per_gpu"].notna()].drop(columns=["block"]).reset_index(drop=True)


def links_table(step: Step) -> pd.DataFrame:
    """Every link (or class of links that carry the same) that some flow may cross: capacity, bytes, time busy.

    With faults, every link in each state of the fabric, numbered from 0.
    """
    traffic = step.traffic
    if traffic.layers is None:
        return _links_of(step, traffic.link_class)
    n_links = traffic.link_class.size
    rows = []
    for number, (link_class, table) in enumerate(
        zip(traffic.layers.link_class, traffic.layers.states.paths, strict=True)
    ):
        crossed = np.bincount(table.link_ids, minlength=n_links) > 0
        state = _links_of(step, np.where(crossed, link_class[:n_links], -1))
        state.insert(0, "state", number)
        rows.append(state)
    return pd.concat(rows, ignore_index=True)


def _links_of(step: Step, link_class: NDArray[np.int64]) -> pd.DataFrame:
    traffic, total = step.traffic, step_time_s(step)
    used = np.flatnonzero(link_class >= 0)
    classes, first, count = np.unique(link_class[used], return_index=True, return_counts=True)
    kind = traffic.link_kind[used[first]]
    carried = np.asarray(step.fluid.link_bytes)[classes]
    busy = np.asarray(step.fluid.link_busy_s)[classes]
    capacity = traffic.capacity[classes]
    could = capacity * total
    return pd.DataFrame(
        {
            "link_class": classes,
            "links": count,
            "example_link": used[first],
            "kind": kind,
            "resource": [RESOURCES.get(k, "fabric") for k in kind.tolist()],
            "capacity_GBps": capacity / 1e9,
            "carried_bytes": carried,
            "busy_ms": busy * 1e3,
            "utilisation": busy / total,
            "mean_load": np.divide(carried, could, out=np.zeros_like(carried), where=could > 0),
        }
    )
