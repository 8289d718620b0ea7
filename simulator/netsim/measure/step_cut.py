"""A small cut of a workload that a few GPUs can run: real widths, a few layers, the plan cut to the GPUs.

A *way* says how the GPUs share the work:

    one       a single GPU
    dp        replicas, gradients all-reduced by bucket (DistributedDataParallel)
    fsdp      parameters, gradients and optimizer divided, a layer a unit (fully_shard)
    tp        columns and rows of products divided, results all-reduced
    tp_sp     the same with the tokens between products divided (sequence parallelism)
    ep        experts divided, tokens exchanged all to all; the rest replicated
    pp        layers divided, micro-batches in 1F1B order

A cut becomes a workload again (`as_workload`), so that the simulator is asked exactly what the GPUs ran. Left out:
latent attention (MLA), sliding windows, multi-token prediction, context parallelism; experts all take the same
number of rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from netsim.errors import NetsimError, did_you_mean
from netsim.specs import WorkloadSpec
from netsim.specs.model import ModelSpec

Way = Literal["one", "dp", "fsdp", "tp", "tp_sp", "ep", "pp"]
WAYS: tuple[str, ...] = get_args(Way)


@dataclass(frozen=True)
class Cut:
    """What runs; sizes as a model spec names them.

    sequences : of a micro-batch, on every data-parallel rank; heads_qk : width of a head
    """

    workload: str
    way: Way
    gpus: int
    products: str
    layers: int
    dense_layers: int
    hidden: int
    vocabulary: int
    heads: int
    kv_heads: int
    head_dim: int
    dense_width: int
    experts: int
    shared: int
    expert_width: int
    top_k: int
    sequence_length: int
    sequences: int
    microbatches: int
    compiled: bool = True

    @property
    def name(self) -> str:
        """Short, and unique among the cuts of a table."""
        eager = "" if self.compiled else "_eager"
        return (
            f"{self.workload}_l{self.layers}_s{self.sequence_length}x{self.sequences}x{self.microbatches}"
            f"_{self.products}_{self.way}{self.gpus}{eager}"
        )

    @property
    def tensor(self) -> int:
        """Ranks that divide products."""
        return self.gpus if self.way in ("tp", "tp_sp") else 1

    @property
    def expert(self) -> int:
        """Ranks that divide the experts."""
        return self.gpus if self.way == "ep" else 1

    @property
    def pipeline(self) -> int:
        """Ranks that divide the layers."""
        return self.gpus if self.way == "pp" else 1

    @property
    def tokens(self) -> int:
        """Of a micro-batch on one data-parallel rank."""
        return self.sequences * self.sequence_length


def cut_of(
    spec: WorkloadSpec,
    way: str,
    gpus: int,
    layers: int,
    *,
    sequences: int | None = None,
    sequence_length: int | None = None,
    microbatches: int = 1,
    compiled: bool = True,
) -> Cut:
    """A cut of a workload: `layers` of its kind (experts where it has them), everything else as it is.

    Raises NetsimError for a model or a division that the cut cannot run.
    """
    if way not in WAYS:
        raise NetsimError(f"--way {way}: {did_you_mean(way, WAYS)}")
    model, moe = spec.model, spec.model.moe
    if model.attention.kind == "recurrent":
        raise NetsimError(f"measure --step: workload {spec.name} has layers with {model.attention.rule}")
    if model.attention.kind == "mla":
        raise NetsimError(f"measure --step: workload {spec.name} has latent attention, which no cut runs")
    products = {"bf16": "bf16", "fp8": "fp8", "fp8_tensor": "fp8"}.get(spec.compute.products)
    if products is None:
        raise NetsimError(
            f"measure --step: products in {spec.compute.products}: a cut runs bf16 and fp8_tensor"
        )
    made = Cut(
        workload=spec.name, way=way, gpus=gpus, products=products,  # type: ignore[arg-type]
        layers=layers, dense_layers=0 if moe else layers, hidden=model.hidden, vocabulary=model.vocabulary,
        heads=model.attention.heads, kv_heads=model.attention.key_value_heads, head_dim=model.attention.head_dim,
        dense_width=model.dense_width, experts=moe.experts if moe else 0, shared=moe.shared if moe else 0,
        expert_width=moe.width if moe else 0, top_k=moe.top_k if moe else 0,
        sequence_length=sequence_length or spec.batch.sequence_length,
        sequences=sequences or spec.batch.microbatch_sequences, microbatches=microbatches, compiled=compiled,
    )  # fmt: skip
    return checked(made)


def checked(cut: Cut) -> Cut:
    """The cut itself.

    Raises NetsimError where its GPUs cannot divide it.
    """
    rules = [
        (cut.layers >= 1, "--layers must be at least 1"),
        ((cut.gpus == 1) == (cut.way == "one"), f"--way {cut.way} does not go with --gpus {cut.gpus}"),
        (cut.heads % cut.tensor == 0 and cut.kv_heads % cut.tensor == 0, "heads do not divide by --gpus"),
        (cut.dense_width % cut.tensor == 0, "dense_width does not divide by --gpus"),
        (cut.tensor == 1 or not cut.experts, "tensor parallelism of experts is not run"),
        (cut.expert == 1 or cut.experts > 0, "--way ep: the model has no experts"),
        (not cut.experts or cut.experts % cut.expert == 0, "experts do not divide by --gpus"),
        (not cut.experts or cut.tokens * cut.top_k % (cut.experts * cut.expert) == 0, "tokens do not spread evenly"),
        (cut.layers % cut.pipeline == 0, "--layers must divide by --gpus"),
        (cut.way != "pp" or cut.microbatches >= cut.gpus, "--microbatches must be at least --gpus"),
    ]  # fmt: skip
    for holds, rule in rules:
        if not holds:
            raise NetsimError(f"measure --step: {cut.name}: {rule}")
    return cut


def as_workload(cut: Cut, spec: WorkloadSpec) -> WorkloadSpec:
    """The workload that the simulator is asked: the cut's model, plan and batch, BF16 states as the cut keeps them.

    spec : any workload, for what a cut does not say
    """
    attention = {
        "kind": "mha" if cut.kv_heads == cut.heads else "gqa", "heads": cut.heads, "kv_heads": cut.kv_heads,
        "head_dim": cut.head_dim,
    }  # fmt: skip
    sizes: dict[str, Any] = {
        "name": cut.name, "layers": cut.layers, "dense_layers": cut.dense_layers, "hidden": cut.hidden,
        "vocabulary": cut.vocabulary, "dense_width": cut.dense_width, "attention": attention,
    }  # fmt: skip
    if cut.experts:
        sizes["moe"] = {
            "experts": cut.experts, "shared": cut.shared, "width": cut.expert_width, "top_k": cut.top_k,
        }  # fmt: skip
    model = ModelSpec.model_validate(sizes)
    zero = {"fsdp": 3, "dp": 0, "ep": 0}.get(cut.way, 0)
    parallelism = spec.parallelism.model_copy(
        update={
            "pipeline": cut.pipeline, "tensor": cut.tensor, "expert": cut.expert, "context": 1, "zero": zero,
            "stage_layers": None,
        }
    )  # fmt: skip
    schedule = spec.schedule.model_copy(update={"name": "1f1b", "virtual_stages": None})
    data = cut.gpus // (cut.pipeline * cut.tensor)
    batch = spec.batch.model_copy(
        update={
            "sequences": data * cut.sequences * cut.microbatches, "sequence_length": cut.sequence_length,
            "microbatches": cut.microbatches, "microbatch_sequences": cut.sequences,
        }
    )  # fmt: skip
    moved = spec.communication.model_copy(
        update={
            "sms": 20 if cut.experts else 0,
            "dispatch": "bf16",
            "combine": "bf16",
            "gradient": "bf16",
            "parameter": "bf16",
        }
    )
    kept = spec.storage.model_copy(
        update={
            "weights": "bf16", "master": "bf16", "moments": "bf16", "stash": "bf16", "attention_bits": 16,
            "recompute": (),
        }
    )  # fmt: skip
    products = "fp8_tensor" if cut.products == "fp8" else cut.products
    compute = spec.compute.model_copy(
        update={"products": products, "kernels": "torch", "clock": None, "sustained": None}
    )
    return spec.model_copy(
        update={
            "model": model, "parallelism": parallelism, "schedule": schedule, "batch": batch, "compute": compute,
            "communication": moved, "storage": kept,
        }
    )  # fmt: skip


def from_cells(cells: dict[str, str]) -> Cut:
    """A cut from the cells of a table's row, by the names of its fields.

    Raises NetsimError for cells that are missing or no numbers.
    """
    made: dict[str, Any] = {}
    for field in fields(Cut):
        try:
            text = cells[field.name]
            made[field.name] = (
                text if field.type in ("str", "Way") else text == "yes" if field.type == "bool" else int(text)
            )
        except (KeyError, ValueError) as error:
            raise NetsimError(f"a row of measured steps: {field.name}: {error}") from error
    return Cut(**made)


def cells_of(cut: Cut) -> dict[str, str]:
    """The inverse of `from_cells`."""
    values = {field.name: getattr(cut, field.name) for field in fields(Cut)}
    return {k: ("yes" if v else "no") if isinstance(v, bool) else str(v) for k, v in values.items()}


def tiny(cut: Cut) -> Cut:
    """The same cut at widths that a CPU runs in a moment: for trying the plumbing."""
    shrink = math.gcd(cut.heads, cut.kv_heads)
    kv = max(cut.kv_heads // shrink, cut.tensor)
    return replace(
        cut, hidden=64, vocabulary=256, heads=kv * (cut.heads // cut.kv_heads), kv_heads=kv, head_dim=16,
        dense_width=64 * bool(cut.dense_width), expert_width=32 * bool(cut.experts), sequence_length=64,
        experts=min(cut.experts, 4 * cut.expert), top_k=min(cut.top_k, 2), shared=min(cut.shared, 1),
    )  # fmt: skip
