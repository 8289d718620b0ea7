"""Keys that somebody sets and nobody reads: refused where one question is asked, said where many are.

Three kinds: keys that a command never reads (`refuse_unread`), keys that a training step reads only under the scaling
or the faults in use (`refuse_idle`), and keys that say nothing about the job or fabric at hand (`idle_in`), such as
the precision of dispatch of a model without experts. Only what is set by hand counts; a preset may hold what it likes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from netsim.errors import NetsimError
from netsim.specs.formats import FORMATS
from netsim.specs.overlaps import idle_host, idle_overlaps
from netsim.specs.prices import PriceBook
from netsim.specs.topology import TopologySpec
from netsim.specs.workload import WorkloadSpec

#: keys of a host that nothing reads
_DOCUMENTS = ("gpus_per_tray", "scale_up.size", "scale_up.c2c_rate")
_OF_HOST = tuple(f"hardware.{name}" for name in _DOCUMENTS)
#: keys of a host that a training step and the bill of its network do not read
_UNREAD = (
    "gpu.name",
    "gpu.power",
    "gpu.boost_clock",
    "scale_up.rate",
    "pcie.rate",
    "gpus_per_tray",
    "scale_up.size",
    "scale_up.c2c_rate",
)
#: how a fabric reacts to faults while a step runs
FAILOVER = ("failover.detection", "failover.recompute", "failover.forwarding")
#: what a network costs to run: its years of ownership read it, a step does not
RUNNING = "prices.running."

#: question -> keys that it never reads; a dot at the end: all below
FABRIC = (
    "workload.", "profile.", "topology.failover.", "topology.routing", "topology.queue_pairs", "hardware.gpu.",
    "hardware.scale_up.rate", "hardware.scale_up.achieved_rate", "hardware.pcie.", "hardware.nic.goodput_fraction",
    "hardware.scale_up.multicast", "prices.gpu_hour.", *_OF_HOST,
)  # fmt: skip
COUNTS = (
    "topology.", "profile.", "prices.", "workload.profile", "workload.compute.clock", "workload.compute.sustained",
    "workload.framework", "workload.overlap.",
    "workload.communication.sms", "workload.communication.slowdown", "workload.placement.", "workload.variation.",
    "hardware.nics_per_host",
    "hardware.gpu.name", "hardware.gpu.sms", "hardware.gpu.boost_clock", "hardware.gpu.power", "hardware.scale_up.",
    "hardware.pcie.", "hardware.nic.", *_OF_HOST,
)  # fmt: skip
#: of many steps; what a GPU-hour costs there is the study's own `gpu_usd_per_hour`
STUDY = ("prices.gpu_hour.",)
COLLECTIVE = (
    "workload.", "profile.", "prices.", "topology.failover.", "hardware.gpu.", "hardware.scale_up.rate",
    "hardware.pcie.rate", "hardware.nic.power", *_OF_HOST,
)  # fmt: skip
PACKETS = (
    "workload.", "profile.", "prices.", "topology.failover.", "topology.routing", "topology.queue_pairs",
    "hardware.gpu.", "hardware.scale_up.achieved_rate", "hardware.pcie.achieved_rate", "hardware.nic.power",
    "hardware.nic.goodput_fraction",
)  # fmt: skip
INFERENCE = (
    "profile.", "prices.", "topology.failover.", "workload.model.tied_embeddings", "hardware.gpu.name",
    "hardware.gpu.power", "hardware.gpu.boost_clock", "hardware.scale_up.multicast", "hardware.nic.power", *_OF_HOST,
)  # fmt: skip


def covers(names: Iterable[str], name: str) -> bool:
    """Whether names, of which some end with a dot and stand for all below, hold one.

    >>> covers(["gpu.", "nic.power"], "gpu.sms"), covers(["gpu.", "nic.power"], "nic.power_w")
    (True, False)
    """
    return any(name.startswith(each) if each.endswith(".") else name == each for each in names)


def refuse_unread(given: Mapping[str, Mapping[str, Any]], unread: Sequence[str], question: str) -> None:
    """Overrides by spec (`netsim.specs.case.sort_overrides`) that a question never reads.

    Raises NetsimError naming the first.
    """
    for section, keys in given.items():
        for key in keys:
            name = f"{section}.{key}"
            if covers(unread, name):
                raise NetsimError(f"--set {name}: has no effect on {question}")


def refuse_idle(keys: Iterable[str], scaling: str, reads: Iterable[str] = ()) -> None:
    """Overrides that a run does not read: of the batch under the scaling in use, of the host, of running costs, and of
    `FAILOVER`; but for those of `reads`.

    Raises NetsimError naming the first.
    """
    idle = "batch.sequences" if scaling == "weak" else "batch.microbatches"
    for key in keys:
        if key.removeprefix("workload.") == idle:
            raise NetsimError(f"--set {idle}: has no effect under {scaling} scaling")
        if key.removeprefix("hardware.") in _UNREAD or (key.startswith(RUNNING) and RUNNING not in reads):
            raise NetsimError(f"--set {key}: has no effect on a run")
        unread = key.removeprefix("topology.")
        if unread in FAILOVER and unread not in reads:
            raise NetsimError(f"--set {key}: has no effect without faults while the step runs")


def idle_in(
    given: Mapping[str, Mapping[str, Any]], topology: TopologySpec, workload: WorkloadSpec
) -> tuple[str, ...]:
    """A line for each override (by spec) that says nothing about this job or fabric."""
    model, plan = workload.model, workload.parallelism
    dense, one_stage = model.moe is None, workload.parallelism.pipeline == 1
    why = {
        "workload.communication.dispatch": f"{model.name} has no experts" if dense else "",
        "workload.communication.combine": f"{model.name} has no experts" if dense else "",
        "workload.communication.dispatcher": f"{model.name} has no experts" if dense else "",
        "workload.communication.pipeline": "the pipeline has one stage" if one_stage else "",
        "workload.communication.send_recv": "the pipeline has one stage" if one_stage else "",
        "hardware.scale_up.multicast": ""
        if plan.zero == 0
        else "gradients are not all-reduced under parallelism.zero",
        "workload.model.dense_width": "" if model.dense_count else f"no layer of {model.name} is dense",
        "hardware.gpu.fp8_peak": _no_product_at(workload, "fp8"),
        "hardware.gpu.fp4_peak": _no_product_at(workload, "fp4"),
    }
    why |= idle_overlaps(workload) | idle_host(workload)
    speed = workload.compute
    if speed.clock is not None or speed.sustained is False:
        why["profile.sustained.factor"] = "compute.clock or compute.sustained says how fast layers are"
    lines = [f"--set {name}: has no effect: {why[name]}" for name in _names(given) if why.get(name)]
    if dense:
        idle = [name for name in _names(given) if name.startswith("profile.transfers.")]
        lines += [f"--set {name}: has no effect: {model.name} has no experts" for name in idle]
    if "storage.recompute" in given["workload"]:
        lines += [f"--set workload.storage.recompute: {rule}" for rule in _idle_words(workload)]
    return (*lines, *idle_on(given, topology))


def _idle_words(workload: WorkloadSpec) -> list[str]:
    """Words of `recompute` for what the model has not."""
    model = workload.model
    kinds = dict.fromkeys(a.kind for a in (model.attention, model.alternate) if a)
    mla = "" if "mla" in kinds else f"attention of {model.name} is {', '.join(kinds)}"
    none = "" if model.moe else f"{model.name} has no experts"
    shared = none or ("" if model.experts.shared else f"{model.name} has no shared experts")
    dense = "" if model.dense_count else f"no layer of {model.name} is dense"
    why = {"mla_up": mla, "moe": none, "shared_experts": shared, "mlp": dense}
    return [f"{word} has no effect: {why[word]}" for word in workload.storage.recompute if why.get(word)]


def _no_product_at(workload: WorkloadSpec, peak: str) -> str:
    """Why a peak has no effect; nothing where some product runs at it."""
    asked = workload.compute
    words = (asked.products, asked.head, asked.attention)
    if any(FORMATS[word].peak == peak for word in words):
        return ""
    return "matrix products run in BF16" if peak == "fp8" else "no matrix product runs in FP4"


def idle_on(given: Mapping[str, Mapping[str, Any]], topology: TopologySpec) -> tuple[str, ...]:
    """A line for each override that says nothing about this fabric."""
    lines = []
    for name in _names(given):
        if name.startswith("prices.group_link.") and topology.family != "dragonfly":
            lines.append(f"--set {name}: has no effect: only a dragonfly has links inside groups")
        if name in ("topology.torus.dimensions", "topology.torus.longest") and topology.torus.sides:
            lines.append(f"--set {name}: has no effect beside torus.sides")
    return tuple(lines)


def idle_prices(given: Mapping[str, Mapping[str, Any]], prices: PriceBook) -> tuple[str, ...]:
    """A line for an override of a price book that changes no bill; a saved book may say it all the same."""
    if "nic.rate" in given["prices"] and prices.nic.price == 0.0:
        return (f"--set prices.nic.rate: has no effect: the book {prices.name} prices NICs at nothing",)
    return ()


def refuse(lines: Iterable[str]) -> None:
    """Raises NetsimError with the first line, where there is one."""
    for line in lines:
        raise NetsimError(line)


def _names(given: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [f"{section}.{key}" for section, keys in given.items() for key in keys]
