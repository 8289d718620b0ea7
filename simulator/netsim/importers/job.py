"""A training job in Megatron's words, whatever file they come from, to a workload TOML.

Every reader of a job ends here with a table of Megatron-LM's arguments (`num_layers`, `seq_length`, ...). What is not
said is Megatron's default; a job given with --workload lends a model that the file does not describe. The
keys that were read, and those that would change the step but are not modelled, are in the notes.

Source: NVIDIA/Megatron-LM, megatron/training/arguments.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netsim.errors import NetsimError
from netsim.importers.job_model import model_table
from netsim.importers.report import Imported, Notes, Wanted
from netsim.importers.source import Source
from netsim.importers.words import toml
from netsim.specs import HardwareSpec, WorkloadSpec, catalog, load
from netsim.specs.base import read_toml, validate

#: host preset -> compute profile of its GPU
PROFILES = {"gb200_nvl72": "gb200", "gb300_nvl72": "gb300", "nvl72": "gb200"}
DEFAULT_HOST = "h100"
#: arguments that change a step and that netsim does not model, unless they have one of these values
_IDLE: dict[str, tuple[Any, ...]] = {
    "expert_tensor_parallel_size": (None, 1), "hierarchical_context_parallel_sizes": (None,),
    "use_torch_fsdp2": (None, False),
    "fine_grained_activation_offloading": (None, False), "optimizer_cpu_offload": (None, False),
    "moe_expert_capacity_factor": (None,), "optimizer": (None, "adam"), "cpu_offloading": (None, False),
}  # fmt: skip


def make_job(
    kind: str, source: Source, given: Mapping[str, Any], notes: Notes, wanted: Wanted, *,
    framework: str = "megatron-26.04", host: str | None = None, step_s: float | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Imported:  # fmt: skip
    """The answer of a reader of jobs. `extra` : more facts for the record; `step_s` : the step as measured

    Raises NetsimError for what is missing, and for a batch that does not divide.
    """
    hardware = wanted.hardware or host or DEFAULT_HOST
    if not (wanted.hardware or host):
        notes.assumed.append(
            f"hosts are those of {hardware}: the file does not say (--hardware names others)"
        )
    table = _base(wanted)
    ask = _Ask(source, given, table)
    gpus = wanted.gpus or ask.count("world_size")
    if not gpus:
        raise source.fail("does not say how many GPUs ran: give --gpus")
    plan = _plan(ask, gpus, notes)
    name = "{name}"
    table |= {
        "name": name, "description": f"Read from a file of {kind}", "hardware": hardware,
        "profile": wanted.profile or PROFILES.get(hardware, hardware), "framework": framework,
        "sources": {"job": "{file}"}, **plan,
    }  # fmt: skip
    if model := model_table(given, notes, bool(wanted.workload)):
        table["model"] = model
    if "model" not in table:
        raise source.fail("does not describe the model: name a job that does with --workload")
    _numbers(table, given)
    table.setdefault("overlap", {}).update(_overlap(given))
    _check(source, table)
    notes.many("settings that netsim does not model", [
        f"{key} = {given[key]}" for key, fine in _IDLE.items() if key in given and given[key] not in fine
    ])  # fmt: skip
    fabric = wanted.topology or ("mrft" if gpus <= 2048 else "mrft3")
    if wanted.topology is None:
        notes.assumed.append(
            f"the fabric is {fabric}, which limits little: the file does not say (--topology)"
        )
    record = {
        "model": table["model"].get("name", ""), "gpus": gpus, "hardware": hardware, "parallelism": plan["parallelism"],
        "batch": plan["batch"], "schedule": plan["schedule"], "measured_step_s": step_s, **(extra or {}),
    }  # fmt: skip
    said = {"GPUs": gpus, **plan["parallelism"], **plan["batch"]}
    notes.read.insert(0, ", ".join(f"{key} {value}" for key, value in said.items() if key != "layout"))
    question = {"workload": ".toml", "gpus": gpus, "topology": fabric}
    then = (f"netsim run --workload {{stem}}.toml --gpus {gpus} --topology {fabric} --explain",)
    return Imported(kind, source.place, record, notes, {".toml": toml(table)}, question, step_s, then)


def _base(wanted: Wanted) -> dict[str, Any]:
    """The tables of the job that lends, or none."""
    return read_toml(catalog.find("workload", wanted.workload)) if wanted.workload else {}


class _Ask:
    """Arguments by name, with complaints that name the file."""

    def __init__(self, source: Source, given: Mapping[str, Any], base: Mapping[str, Any]) -> None:
        self.source, self.given, self.base = source, given, base

    def count(self, name: str, default: int | None = None) -> int:
        value = self.given.get(name)
        if value is None:
            return default if default is not None else 0
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 40:
            raise self.source.fail(f"{name} = {value!r}, must be a whole number")
        return value

    def needed(self, name: str, lent: tuple[str, str]) -> int:
        """A number that must be in the file or in the job that lends."""
        found = self.count(name) or int(self.base.get(lent[0], {}).get(lent[1], 0))
        if not found:
            raise self.source.fail(f"{name} is missing: name a job that has it with --workload")
        return found


def _plan(ask: _Ask, gpus: int, notes: Notes) -> dict[str, Any]:
    """Tables of parallelism, schedule and batch."""
    lent = ask.base.get("parallelism", {})
    tp = ask.count("tensor_model_parallel_size", lent.get("tensor", 1)) or 1
    pp = ask.count("pipeline_model_parallel_size", lent.get("pipeline", 1)) or 1
    cp = ask.count("context_parallel_size", lent.get("context", 1)) or 1
    ep = ask.count("expert_model_parallel_size", lent.get("expert", 1)) or 1
    data, rest = divmod(gpus, tp * pp * cp)
    if rest or not data:
        raise ask.source.fail(f"{gpus} GPUs are no multiple of tensor {tp} x pipeline {pp} x context {cp}")
    seq = ask.needed("seq_length", ("batch", "sequence_length"))
    micro = ask.count("micro_batch_size") or int(ask.base.get("batch", {}).get("microbatch_sequences", 1))
    whole = ask.needed("global_batch_size", ("batch", "sequences"))
    steps, rest = divmod(whole, micro * data)
    if rest or not steps:
        rule = f"no multiple of micro-batches of {micro} on {data} data-parallel replicas"
        raise ask.source.fail(f"global_batch_size = {whole}, {rule}")
    layout = ask.given.get("pipeline_model_parallel_layout")
    virtual = _virtual(ask, pp, layout)
    parallelism: dict[str, Any] = {
        "pipeline": pp,
        "expert": ep,
        "tensor": tp,
        "context": cp,
        "zero": _zero(ask.given),
    }
    if isinstance(layout, str) and layout:
        parallelism["layout"] = layout
    schedule: dict[str, Any] = (
        {"name": "interleaved", "virtual_stages": virtual} if virtual > 1 else {"name": "1f1b"}
    )
    if virtual > 1 and pp == 1:
        schedule = {"name": "1f1b"}
        notes.not_understood.append("virtual stages without a pipeline")
    batch = {"sequences": whole, "sequence_length": seq, "microbatches": steps, "microbatch_sequences": micro}
    return {"parallelism": parallelism, "schedule": schedule, "batch": batch}


def _virtual(ask: _Ask, pp: int, layout: object) -> int:
    """Virtual stages of a rank: said, by layers of one, or by the cuts of a layout."""
    if virtual := ask.count("virtual_pipeline_model_parallel_size"):
        return virtual
    each, layers = ask.count("num_layers_per_virtual_pipeline_stage"), ask.count("num_layers")
    if each and layers:
        return max(1, layers // pp // each)
    if isinstance(layout, str) and layout:
        from netsim.workloads.layout import expand

        return max(1, len(expand(layout)) // pp)
    return 1


def _zero(given: Mapping[str, Any]) -> int:
    sharding = given.get("data_parallel_sharding_strategy")
    if given.get("zero_stage") is not None:
        return int(given["zero_stage"])
    if given.get("use_megatron_fsdp") or given.get("use_torch_fsdp2"):
        return {"optim_grads_params": 3, "optim_grads": 2, "optim": 1}.get(str(sharding), 3)
    return 1 if given.get("use_distributed_optimizer", False) else 0


def precision(given: Mapping[str, Any]) -> str:
    """Products of layers, by the arguments."""
    if given.get("fp4"):
        return "nvfp4"
    if not given.get("fp8"):
        return "bf16"
    recipe = str(given.get("fp8_recipe") or "delayed").lower()
    return {"blockwise": "fp8", "mxfp8": "mxfp8"}.get(recipe, "fp8_tensor")


def _numbers(table: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Precision of compute, communication and storage; what is recomputed."""
    moe = bool(table["model"].get("moe"))
    gradient = (
        "bf16" if given.get("grad_reduce_in_bf16") or given.get("main_grads_dtype") == "bf16" else "fp32"
    )
    parameter = "fp8" if given.get("fp8_param_gather") else "bf16"
    lent = table.get("communication", {})
    table["compute"] = {**table.get("compute", {}), "products": precision(given)}
    for name in ("kernels", "attention_kernel", "clock"):
        table["compute"].pop(name, None)
    table["communication"] = {
        "sms": lent.get("sms", 20 if moe else 0), "dispatch": "bf16", "combine": "bf16", "pipeline": "bf16", **{
            key: value for key, value in lent.items() if key in ("dispatch", "combine", "pipeline", "library")},
        "gradient": gradient, "parameter": parameter,
    }  # fmt: skip
    moments = "bf16" if "bf16" in str(given.get("exp_avg_dtype", "")) else "fp32"
    recompute, layers = _recompute(given)
    table["storage"] = {
        "weights": parameter, "master": "fp32", "moments": moments, "stash": "bf16", "attention_bits": 16,
        "recompute": recompute, "recompute_layers": layers, "buffers": "2 GB",
    }  # fmt: skip


def _recompute(given: Mapping[str, Any]) -> tuple[list[str], int | None]:
    granularity = given.get("recompute_granularity")
    if granularity == "full":
        some = given.get("recompute_method") == "block" and given.get("recompute_num_layers")
        return ["layer"], int(some) if some else None
    modules = given.get("recompute_modules") if granularity == "selective" else []
    if isinstance(modules, str):
        modules = [word.strip(" '\"") for word in modules.strip("[]").replace(",", " ").split()]
    return list(modules or (["core_attn"] if granularity == "selective" else [])), None


def _overlap(given: Mapping[str, Any]) -> dict[str, Any]:
    """Overlaps that are said; the framework has the others."""
    words = {
        "gradient": "overlap_grad_reduce", "parameter": "overlap_param_gather", "tensor": "tp_comm_overlap",
        "expert": "overlap_moe_expert_parallel_comm",
    }  # fmt: skip
    found: dict[str, Any] = {
        ours: given[theirs] for ours, theirs in words.items() if isinstance(given.get(theirs), bool)
    }
    if _zero(given) == 0:
        found.pop("parameter", None)
    if given.get("delay_wgrad_compute"):
        found["weight_delayed"] = "always"
    return found


def _check(source: Source, table: Mapping[str, Any]) -> None:
    """The spec's own rules, as a complaint about the file."""
    try:
        validate(WorkloadSpec, _without_none(table), source.place)
        load(HardwareSpec, "hardware", table["hardware"])
    except NetsimError as error:
        raise NetsimError(str(error)) from None


def _without_none(table: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, Mapping) else value
        for key, value in table.items() if value is not None
    }  # fmt: skip
