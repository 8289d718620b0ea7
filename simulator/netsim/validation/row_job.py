"""From a published training row to a question that netsim can answer: job, host, fabric and GPU count.

The plan is taken as published. What no source says is assumed here, once for all rows, and listed with the answer
(`assumed`); what is published and netsim does not model is listed too (`ignored`), and a row that cannot be asked at
all raises NetsimError with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from netsim.errors import NetsimError
from netsim.specs import HardwareSpec, TopologySpec, WorkloadSpec, catalog, load
from netsim.specs.base import validate
from netsim.specs.case import Case
from netsim.specs.prices import PriceBook
from netsim.specs.profile import ProfileSpec
from netsim.topologies import max_gpus
from netsim.validation.row_framework import dispatcher, framework_tables, gradient_format
from netsim.validation.row_model import is_adapter, model_tables
from netsim.validation.row_plan import completed, microbatches, stage_layers
from netsim.validation.row_precision import compute_tables
from netsim.validation.row_recompute import recompute_tables
from netsim.validation.training_row import TrainingRow

#: facts of a machine that a source gives and no preset holds, by how its GPU is written: hardware keys
VARIANTS = {
    "H100 (96 GB HBM2e 2.4 TB/s, 500 W)": {
        "gpu.hbm": "96 GB", "gpu.hbm_rate": "2.4 TB/s", "gpu.power": "500 W",
    },
}  # fmt: skip
#: adapters on the projections of attention in MLPerf's LoRA benchmark, the only one published here; NVIDIA's v4.0
#: submission, megatron_gpt_peft_tuning_config.yaml: adapter_dim, adapter_dropout, disable_parameter_transpose_cache
LORA = {"rank": 16, "dropout": 0.1, "transposed": "made"}
_FABRICS = ("mrft", "mrft3")


@dataclass
class RowJob:
    """A question, and what stands between it and the published run."""

    case: Case
    gpus: int
    assumed: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def row_job(row: TrainingRow) -> RowJob:
    """The job of a row.

    Raises NetsimError with the reason when netsim cannot express the model, the machine or the plan.
    """
    if row.unpublished:
        raise NetsimError(f"not published: {row.unpublished}")
    assumed: list[str] = []
    ignored: list[str] = []
    row = completed(row, assumed)
    model = model_tables(row.model)
    hardware = _hardware(row, assumed)
    job = validate(WorkloadSpec, _tables(row, model, hardware, assumed, ignored), row.id)
    return RowJob(
        case=Case(
            topology=_fabric(row, hardware),
            workload=job,
            hardware=hardware,
            profile=load(ProfileSpec, "profile", job.profile),
            prices=load(PriceBook, "prices", "published"),
        ),
        gpus=row.gpus,
        assumed=assumed,
        ignored=ignored,
    )


def _preset(row: TrainingRow) -> str:
    """The hardware preset of the row's GPU."""
    plain = row.gpu.split(" ")[0].lower()
    names = catalog.names("hardware")
    for name in (plain, f"{plain}_nvl72", f"{plain}-nvl72"):
        if name in names:
            return name
    raise NetsimError(f"GPU {row.gpu}: netsim has no such machine")


def _hardware(row: TrainingRow, assumed: list[str]) -> HardwareSpec:
    given: dict[str, Any] = dict(VARIANTS.get(row.gpu, {}))
    base = load(HardwareSpec, "hardware", _preset(row))
    host = _domain(base, row.gpus) if base.gpus_per_tray else min(row.gpus_per_host or 8, row.gpus)
    if host != base.gpus_per_host:
        given["gpus_per_host"] = host
        given["nics_per_host"] = host if base.gpus_per_tray else min(row.nics_per_host or host, host)
    elif row.nics_per_host and not base.gpus_per_tray and row.nics_per_host != base.nics_per_host:
        given["nics_per_host"] = row.nics_per_host
    if row.nic_gbps:
        given["nic.line_rate"] = f"{row.nic_gbps:g} Gb/s"
    elif row.gpus > host:
        assumed.append("NICs as the preset has them")
    return load(HardwareSpec, "hardware", base.name, given)


def _domain(base: HardwareSpec, gpus: int) -> int:
    """GPUs that a job uses of each scale-up domain, where a source counts those of a tray."""
    sizes = (base.gpus_per_host, base.scale_up.size or base.gpus_per_host)
    return next((size for size in sizes if gpus % size == 0), min(base.gpus_per_host, gpus))


def _fabric(row: TrainingRow, hardware: HardwareSpec) -> TopologySpec:
    """A rail-optimised fat-tree without oversubscription, of as few layers as hold the job."""
    rate = {"switch.port_rate": f"{row.nic_gbps:g} Gb/s"} if row.nic_gbps else {}
    for name in _FABRICS:
        fabric = load(TopologySpec, "topology", name, rate)
        if row.gpus <= max_gpus(fabric, hardware):
            return fabric
    raise NetsimError(f"{row.gpus} GPUs: more than {_FABRICS[-1]} connects")


def _tables(
    row: TrainingRow, model: dict[str, Any], hardware: HardwareSpec, assumed: list[str], ignored: list[str]
) -> dict[str, Any]:
    pp, vp, cp, tp = row.pp or 1, row.vp or 1, row.cp or 1, row.tp or 1
    experts = bool(model.get("moe"))
    plan: dict[str, Any] = {"pipeline": pp, "expert": row.ep or 1, "tensor": tp, "context": cp}
    # beside a pipeline FSDP2 keeps what it gathered and reduces once: torchtitan, pipeline_llama
    plan["zero"] = 3 if (row.fsdp or 1) > 1 and pp == 1 else 1
    layers = stage_layers(row, model["layers"])
    if layers is None:
        assumed.append("layers spread by netsim's own rule")
    else:
        plan["stage_layers"] = layers
    _refuse_or_ignore(row, ignored)
    schedule: dict[str, Any] = (
        {"name": "interleaved", "virtual_stages": vp} if vp > 1 and pp > 1 else {"name": "1f1b"}
    )
    return {
        "name": "published",
        "description": f"{row.model} as published",
        "hardware": hardware.name,
        "profile": hardware.name.removesuffix("_nvl72"),
        "model": model,
        "parallelism": plan,
        "schedule": schedule,
        "batch": {
            "sequences": row.global_batch,
            "sequence_length": row.sequence_length,
            "microbatches": microbatches(row),
            "microbatch_sequences": row.micro_batch,
        },
        **framework_tables(row),
        "compute": compute_tables(row),
        "communication": {
            "sms": 20 if experts else 0,
            "dispatch": "bf16",
            "combine": "bf16",
            "dispatcher": dispatcher(row),
            "pipeline": "bf16",
            "gradient": gradient_format(row),
            "parameter": "bf16",
        },
        "storage": {
            "weights": "bf16",
            "master": "fp32",
            "moments": "fp32",
            "stash": _stash(row, assumed),
            "attention_bits": 16,
            "buffers": "2 GB",
            **recompute_tables(row),
        },
        **({"adapter": LORA} if is_adapter(row.model) else {}),
    }


def _stash(row: TrainingRow, assumed: list[str]) -> str:
    """NVIDIA's LoRA on H200 with fewer than four tensor ranks keeps the inputs of SwiGLU in FP8 (FP8_ACTIVATION=True in
    config_DGXH200_1x8x2xtp2pp1cp1.sh of v4.0 and config_C885A_H200_1x8x2xtp1pp1cp2.sh of v5.1)."""
    if is_adapter(row.model) and row.gpu.startswith("H200") and (row.tp or 1) < 4:
        assumed.append("inputs of SwiGLU kept in FP8")
        return "fp8"
    return "bf16"


def _refuse_or_ignore(row: TrainingRow, ignored: list[str]) -> None:
    word = (row.dispatcher or "").lower()
    said = {
        "CUDA graphs": row.cuda_graph,
        "dispatcher": None if dispatcher(row) == "alltoall" or "deepep" in word else row.dispatcher,
    }
    ignored += [
        f"{name}: {value}" if isinstance(value, str) else name for name, value in said.items() if value
    ]
