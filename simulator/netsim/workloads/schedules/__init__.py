"""Pipeline schedules: from (ranks, micro-batches) to the order of chunks on every rank."""

from __future__ import annotations

from collections.abc import Callable

from netsim.errors import SpecError, did_you_mean
from netsim.workloads.schedules.dualpipe import dualpipe, dualpipe_v
from netsim.workloads.schedules.one_direction import VIRTUAL_STAGES, interleaved, one_f_one_b, zero_bubble
from netsim.workloads.schedules.order import Chunk, Order, Unit

SCHEDULES: dict[str, Callable[[int, int], Order]] = {
    "1f1b": one_f_one_b,
    "interleaved": interleaved,
    "zb1p": zero_bubble,
    "dualpipe": dualpipe,
    "dualpipe_v": dualpipe_v,
}


#: schedules that overlap a forward with a backward whatever the job says
PAIRED = ("dualpipe", "dualpipe_v")


def schedule(
    name: str, ranks: int, microbatches: int, virtual_stages: int | None = None, paired: bool = False
) -> Order:
    """The chunks of every rank under a named schedule.

    virtual_stages : stages of a rank, which is a choice under `interleaved` only; paired : whether a forward runs
    beside the backward of another micro-batch, as they always do under DualPipe

    Raises SpecError for an unknown name, and where a schedule cannot run these counts.
    """
    if name not in SCHEDULES:
        raise SpecError("schedule", "schedule.name", name, did_you_mean(name, SCHEDULES))
    if virtual_stages is not None:
        if name != "interleaved":
            rule = f"has no effect under {name}, must be null"
            raise SpecError("schedule", "schedule.virtual_stages", virtual_stages, rule)
        return interleaved(ranks, microbatches, virtual_stages, paired)
    if paired and name not in PAIRED:
        return _paired(name, ranks, microbatches)
    return SCHEDULES[name](ranks, microbatches)


def _paired(name: str, ranks: int, microbatches: int) -> Order:
    if name == "interleaved":
        return interleaved(ranks, microbatches, paired=True)
    if name != "1f1b" or ranks > 1:
        rule = f"needs schedule interleaved, or 1f1b without a pipeline: {name} alternates on {ranks} ranks"
        raise SpecError("schedule", "overlap.expert", True, rule)
    return one_f_one_b(ranks, microbatches, paired=True)


__all__ = [
    "PAIRED",
    "SCHEDULES",
    "VIRTUAL_STAGES",
    "Chunk",
    "Order",
    "Unit",
    "dualpipe",
    "dualpipe_v",
    "interleaved",
    "one_f_one_b",
    "schedule",
    "zero_bubble",
]
