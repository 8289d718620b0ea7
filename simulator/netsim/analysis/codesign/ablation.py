"""What each choice is worth: the training step and the decode step as they are, and with one choice turned off.

A row is a job: `base`, or one with the conventional counterpart of a choice (`netsim.analysis.codesign.choices`).
What a choice is worth is without over with, quantity by quantity. A step or a decode that cannot be laid out or
simulated is a row that says why; one that does not fit into memory is simulated and said.

Decoding is at the deployment's batch, or at the largest that fits where that is
smaller. Rows are simulated in `jobs` processes; the record is the same whatever their number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import netsim
from netsim.analysis.codesign.choices import CHOICES, AblationRequest, Job
from netsim.analysis.codesign.words import sentences
from netsim.analysis.processes import run_all
from netsim.errors import NetsimError, did_you_mean
from netsim.inference import Deployment, decode, decode_memory
from netsim.inference.service import at_batch
from netsim.specs import catalog, load
from netsim.specs.inference import InferenceSpec
from netsim.specs.protocol import ProtocolSpec
from netsim.specs.workload import ModelSpec
from netsim.training.result import nic_bytes
from netsim.training.simulate import Step, simulate
from netsim.training.step_record import contract
from netsim.workloads.attention import kv_cache_bytes
from netsim.workloads.model import (
    active_parameters,
    flops_per_token,
    last_kind,
    layer_flops,
    mtp_parameters,
    total_parameters,
)

SCHEMA = 1
BASE = "base"
#: quantities whose ratio, without over with, says what a choice is worth
QUANTITIES = (
    "step_time_s", "memory_gb", "nic_bytes_per_gpu", "network_usd", "tokens_per_usd", "kv_cache_bytes_per_token",
    "decode_tpot_ms", "decode_tokens_per_s_per_gpu", "parameters", "gflop_per_token",
)  # fmt: skip
#: relative differences below it are rounding
_EQUAL = 1e-9


def ablate(
    question: AblationRequest, jobs: int = 1, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Simulate the job and every counterpart; `progress` is told (done, all) rows.

    Raises NetsimError for a name, key, value or choice that is wrong, and when the job itself cannot be simulated.
    """
    if not question.choices:
        raise NetsimError("--ablate: must name one choice at least")
    for n, name in enumerate(question.choices):
        if name not in CHOICES:
            raise NetsimError(f"--ablate {name}: {did_you_mean(name, CHOICES)}")
        if name in question.choices[:n]:
            raise NetsimError(f"--ablate {name}: given twice")
    base_job(question)  # a mistake of the user is no row of the table
    names = (BASE, *question.choices)
    rows = run_all(measure, [(question, name) for name in names], jobs, progress)
    base = rows[0]
    if base["error"]:
        raise NetsimError(base["error"])
    case = question.checked_case()
    rent = case.prices.gpu_hour
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "question": {
            "choices": list(question.choices),
            "topology": case.topology.name,
            "workload": case.workload.name,
            "model": case.workload.model.name,
            "gpus": question.gpus,
            "scaling": question.scaling,
            "seed": question.seed,
            "overrides": dict(question.overrides),
            "gpu_hour_usd": rent.price,
            "gpu_hour_source": rent.source,
            "price_book": case.prices.name,
        },
        "tables": {"ablation": rows, "worth": [worth(base, row) for row in rows[1:]]},
        "findings": [],
        "provenance": {
            "version": netsim.__version__,
            "command": command(question),
            "spec_sha256": {row["choice"]: row.pop("spec_sha256", None) for row in rows},
            "compute_origin": {row["choice"]: row.pop("compute_origin", None) for row in rows},
        },
    }
    record["findings"] = sentences(record)
    return record


def command(question: AblationRequest) -> str:
    """The command line that asks the question again."""
    words = ["netsim compare --ablate", ",".join(question.choices), "--topologies", question.topology]
    words += ["--workloads", question.workload, "--gpus", str(question.gpus)]
    for option in ("hardware", "profile", "routing", "schedule", "gpu_hour_usd"):
        if getattr(question, option) is not None:
            words += [f"--{option.replace('_', '-')}", str(getattr(question, option))]
    for option in ("prices", "scaling", "seed"):
        if getattr(question, option) != getattr(AblationRequest, option):
            words += [f"--{option}", str(getattr(question, option))]
    return " ".join([*words, *(f'--set "{key}={value}"' for key, value in question.overrides.items())])


def base_job(question: AblationRequest) -> Job:
    """The job as it is, with the deployment of its name if there is one.

    Raises NetsimError for a name, key or value that is wrong.
    """
    case = question.checked_case()
    served = case.workload.name in catalog.names("inference")
    return Job(case, load(InferenceSpec, "inference", case.workload.name) if served else None)


def job_without(question: AblationRequest, name: str) -> Job:
    """The job with the counterpart of a choice, or as it is (`base`).

    Raises NetsimError where there is nothing to turn off.
    """
    job = base_job(question)
    return job if name == BASE else CHOICES[name].apply(question, job)


def measure(question: AblationRequest, name: str) -> dict[str, Any]:
    """The row of a choice, or of the job as it is."""
    about = CHOICES.get(name)
    row: dict[str, Any] = {
        "choice": name,
        "name": about.name if about else "as it is",
        "instead": about.instead if about else "",
    }
    try:
        job = job_without(question, name)
    except NetsimError as error:
        return row | {"error": str(error), "decode_error": str(error)}
    return row | sizes(job) | training(question, job) | decoding(job, question)


def sizes(job: Job) -> dict[str, Any]:
    """What is counted from the model alone, its MTP module included."""
    model = job.case.workload.model
    cache = job.serving.memory.kv_cache if job.serving else "bf16"
    length = job.case.workload.batch.sequence_length
    flops = flops_per_token(model, length) + 3.0 * mtp_forward_flops(model, length) / length
    return {
        "parameters": total_parameters(model) + mtp_parameters(model),
        "active_parameters": active_parameters(model),
        "gflop_per_token": flops / 1e9,
        "kv_cache_bytes_per_token": kv_cache_bytes(model, cache),
    }


def mtp_forward_flops(model: ModelSpec, length: int) -> float:
    """Forward operations of all MTP modules for one sequence: projection, a layer, and the shared head once more."""
    kinds = ("mtp_in", last_kind(model), "head")
    return model.mtp_depth * sum(layer_flops(model, kind, length, length) for kind in kinds)


def training(question: AblationRequest, job: Job) -> dict[str, Any]:
    """The step, or why there is none."""
    try:
        step = simulate(job.case, question.gpus, scaling=question.scaling, seed=question.seed)
    except NetsimError as error:
        return {"error": str(error)}
    return step_row(step)


def step_row(step: Step) -> dict[str, Any]:
    """What a step says of the quantities."""
    record = contract(step)
    found, memory, cost = record["step"], record["memory"], record["cost"]
    usd = found["cost"]["usd_per_step"]
    return {
        "error": None,
        "plan": record["workload"]["parallelism"],
        "schedule": record["workload"]["schedule"],
        "tokens_per_step": step.plan.tokens_per_step,
        "step_time_s": found["time_s"],
        "exposed_comm_s": found["exposed_comm_s"],
        "bubble_s": found["phases_s"]["bubble"],
        "mfu_causal": found["mfu_causal"],
        "memory_gb": memory["total_gb"],
        "capacity_gb": memory["capacity_gb"],
        "fits": memory["fits"],
        "nic_bytes_per_gpu": nic_bytes(step) / step.plan.gpus,
        "switches": record["topology"]["switches"],
        "network_usd": cost["network_usd"],
        "tokens_per_usd": step.plan.tokens_per_step / usd if usd else None,
        "spec_sha256": record["provenance"]["spec_sha256"],
        "compute_origin": record["provenance"]["compute_origin"],
    }


def decoding(job: Job, question: AblationRequest) -> dict[str, Any]:
    """The decode step at the deployment's batch, or the largest that fits if that is smaller; or why there is none."""
    if job.serving is None:
        return {"decode_error": f"no deployment preset is named {job.case.workload.name}"}
    deployment = Deployment(
        job.case.topology, job.case.workload, job.case.hardware, job.serving,
        load(ProtocolSpec, "protocol", job.serving.library), question.profile, question.seed,
    )  # fmt: skip
    try:
        memory = decode_memory(deployment)
        served = (
            at_batch(deployment, memory.limit) if 0 < memory.limit < job.serving.decode.batch else deployment
        )
        step = decode(served, max(job.serving.decode.expert, job.case.hardware.gpus_per_host))
    except NetsimError as error:
        return {"decode_error": str(error)}
    found = {"decode_weights_gb": memory.weights / 1e9, "decode_largest_batch": memory.limit}
    if not memory.limit:
        least = (memory.weights + memory.reserve) / 1e9
        return found | {
            "decode_error": f"weights and reserve need {least:.0f} GB of the {memory.capacity / 1e9:.0f} GB of a GPU"
        }
    gain = step.tokens / step.batch
    return found | {
        "decode_error": None,
        "decode_batch": step.batch,
        "decode_tpot_ms": step.seconds / gain * 1e3,
        "decode_tokens_per_s_per_gpu": step.tokens_per_s_per_gpu,
        "decode_bottleneck": step.bottleneck,
    }


def worth(base: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """Each quantity without the choice over the same with it; exactly 1 where it does not change, None where either is
    missing."""
    found: dict[str, Any] = {"choice": row["choice"]}
    for key in QUANTITIES:
        with_, without = base.get(key), row.get(key)
        ratio = without / with_ if with_ and without is not None else None
        found[key] = 1.0 if ratio is not None and abs(ratio - 1.0) < _EQUAL else ratio
    return found
