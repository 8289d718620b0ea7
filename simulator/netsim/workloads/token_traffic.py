"""Bytes that the GPUs of a job send for one trained token, by kind of exchange, counted from its task graph.

    dispatch, combine   on the wire of NICs: bytes of a token x hosts other than its own, forward and backward
    pipeline            hidden values to the next stage and gradients back
    tensor, context     what ranks that share a micro-batch gather and scatter: (n - 1)/n of a buffer each
    data                gradients reduced and parameters gathered in rings, spread over the tokens of a step

All but dispatch and combine count where they are sent, over NVLink or a NIC. Left out: copies inside a host after a
dispatch arrives (NVLink), the gradient norm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from netsim.specs.framework import OverlapSpec
from netsim.specs.workload import WorkloadSpec
from netsim.workloads.adapter import trained
from netsim.workloads.exchanges import context_bytes, tensor_bytes
from netsim.workloads.graph import (
    CONTEXT_TRANSFERS,
    EXPERT_TRANSFERS,
    REDUCTIONS,
    SENDS,
    TENSOR_TRANSFERS,
    Division,
    Work,
)
from netsim.workloads.holding import StageParameters
from netsim.workloads.model import layer_parameters
from netsim.workloads.moe import RoutingStatistics, token_bytes, value_bytes
from netsim.workloads.plan import Plan
from netsim.workloads.schedules import Order
from netsim.workloads.stages import Stage
from netsim.workloads.tasks import build_tasks


def token_traffic(
    job: WorkloadSpec, plan: Plan, order: Order, stages: Sequence[Stage], routing: RoutingStatistics
) -> dict[str, float]:
    """Bytes sent a token by kind, zero where the plan has no such exchange."""
    quiet = job.model_copy(update={"overlap": OverlapSpec()})
    graph = build_tasks(order, stages, Division.of(plan, quiet))
    found = dict.fromkeys(("dispatch", "combine", "pipeline", "tensor", "context", "data"), 0.0)
    once: set[Work] = set()
    for number, count in Counter(graph.work).items():
        work = graph.works[number]
        if work.name == "send_embedding":  # of every part of every replica, once a step
            size = layer_parameters(job.model, "embedding").total * value_bytes(job.communication.gradient)
            found["data"] += count * size * plan.data * plan.context / plan.tokens_per_step
            continue
        kind = _kind(work.name)
        if kind == "data" and work not in once:
            once.add(work)  # its holders reduce together
            moved = _ring_bytes(
                job, plan, work.name, _held(job, plan, stages, work), len(graph.holders[work.stage])
            )
            found[kind] += moved / plan.tokens_per_step
        elif kind not in ("", "data"):
            found[kind] += count / plan.microbatches * _bytes(job, plan, routing, work)
    return found


def _kind(name: str) -> str:
    if name in EXPERT_TRANSFERS:
        return "dispatch" if "dispatch" in name else "combine"
    if name in SENDS:
        return "pipeline"
    if name in TENSOR_TRANSFERS:
        return "tensor"
    if name in CONTEXT_TRANSFERS:
        return "context"
    return "data" if name in (*REDUCTIONS, "all_gather", "parameter_gather") else ""


def _bytes(job: WorkloadSpec, plan: Plan, routing: RoutingStatistics, work: Work) -> float:
    """Bytes of one exchange, over all that share the micro-batch, for each of its tokens."""
    model, spec, tokens = job.model, job.communication, plan.microbatch_tokens
    if work.name in EXPERT_TRANSFERS:
        precision = spec.dispatch if "dispatch" in work.name else spec.combine
        one = token_bytes(work.name, model.hidden, model.experts.top_k, precision)
        return one * routing.remote_hosts
    if work.name in SENDS:
        return float(model.hidden * value_bytes(spec.pipeline))
    if work.name in TENSOR_TRANSFERS:
        size = tensor_bytes(model, plan, work.name, work.block, work.phase)
        return plan.context * (plan.tensor - 1) * size / tokens
    return plan.tensor * (plan.context - 1) * context_bytes(model, plan) / tokens


def _held(job: WorkloadSpec, plan: Plan, stages: Sequence[Stage], work: Work) -> StageParameters:
    """Parameters that a reduction or a gather is about: of a stage, or of one layer of it."""
    if work.block:
        return trained(job.model, job.adapter, (work.block,), plan)
    return trained(job.model, job.adapter, stages[work.stage], plan)


def _ring_bytes(job: WorkloadSpec, plan: Plan, name: str, held: StageParameters, holders: int) -> float:
    """Bytes that all ranks of a stage send: in a ring of n, each part of the buffer goes n - 1 times."""
    ranks = holders * plan.groups * plan.group
    values = held.dense * (ranks - 1)
    values += held.divided * plan.tensor * (ranks // plan.tensor - 1)
    values += held.expert * plan.expert * (ranks // plan.expert - 1)
    spec = job.communication
    size = value_bytes(spec.gradient if name in REDUCTIONS else spec.parameter)
    return values * size * (2 if name == "all_reduce" else 1)
