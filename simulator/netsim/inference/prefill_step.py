"""One prefill iteration on a serving unit: every GPU computes `tokens` of prompts.

Normal kernels move tokens over NIC and NVLink; they hold SMs, and products run on the others. The head runs for the
last token of each prompt, an MTP module over all tokens, for its cache.

Every rank is equally loaded, and computes as fast as its profile was measured. Left out: the power limit (training
steps have it; under full load prefill takes up to as much longer), load imbalance, scheduling on the host, transfer of
the KV cache to decode (see `netsim.inference.requests`).
"""

from __future__ import annotations

import math

from netsim.compute import ComputeModel
from netsim.inference.exchange import KINDS, Exchanges, unit_exchanges
from netsim.inference.iteration import (
    ENDS,
    MTP,
    Deployment,
    Iteration,
    add_gathers,
    check,
    copies_of,
    memory_of,
    precisions,
    split,
    stack,
    transfers,
)
from netsim.inference.stages import Stopwatch
from netsim.inference.timeline import Layer, run
from netsim.topologies import Topology, build
from netsim.workloads import decode as decoding
from netsim.workloads.model import last_kind
from netsim.workloads.prefill import PrefillLoad, prefill_layer
from netsim.workloads.serving import Unit, local_experts


def prefill(deployment: Deployment, gpus: int) -> Iteration:
    """Simulate one prefill iteration on `gpus` GPUs, every unit alike.

    Raises NetsimError (SpecError) when units, experts or micro-batches do not divide.
    """
    d, spec = deployment, deployment.spec.prefill
    model, mtp = d.workload.model, d.spec.speculative.draft_tokens > 0
    check(d, "prefill", spec.tensor, d.spec.speculative.draft_tokens)
    topology = build(d.topology, d.host, gpus)
    unit = Unit(spec.expert, spec.redundant, spec.tensor, mtp=mtp)
    local = local_experts(model, unit)
    profile = d.profile_of(spec.profile)
    compute, beside = ComputeModel(profile, d.hardware), spec.overlap != "none"
    takes_sms = spec.kernel == "normal"
    exchanges = unit_exchanges(
        topology, d.library, model, spec.expert, spec.kernel, precisions(d),
        copies=copies_of(model), seed=d.seed, assume=d.assume,
        kernel_rates={k: compute.transfer_rate(k, beside) for k in KINDS} if takes_sms else None,
        setup_s={k: compute.transfer_setup_s(k, beside) for k in KINDS} if takes_sms else None,
    )  # fmt: skip
    watch = Stopwatch(compute, d.spec.attention, beside and takes_sms, not d.assume.compute)
    parts = split(spec.tokens, spec.overlap, "tokens", "tokens a GPU")
    loads = [
        PrefillLoad(part, spec.prompt, spec.cached_share, part * copies_of(model), local, spec.tensor)
        for part in parts
    ]
    timeline = run(
        [_prefill_layers(d, topology, exchanges, watch, load, mtp) for load in loads], spec.overlap
    )
    prompts = spec.tokens / loads[0].computed
    return Iteration(
        "prefill", gpus, spec.expert, local, spec.tokens, spec.prompt,
        spec.tokens / (1.0 - spec.cached_share), tuple(parts), timeline, exchanges, watch.tallies,
        memory_of(d, unit, max(1, math.ceil(prompts)), spec.prompt), topology, profile.name,
    )  # fmt: skip


def _prefill_layers(
    d: Deployment, topology: Topology, exchanges: Exchanges, watch: Stopwatch, load: PrefillLoad, mtp: bool
) -> list[Layer]:
    """One micro-batch: the model, the head for the last token of each prompt, and an MTP module for its cache."""
    model = d.workload.model

    def layer(kind: str, times: int, part: str = "") -> dict[str, float]:
        seconds = watch.stages(prefill_layer(model, kind, load, d.workload.compute.products), part, times)
        add_gathers(d, topology, watch, seconds, (load.tokens, load.tensor), part, times)
        return seconds | transfers(kind, exchanges, load.tokens)

    ends = max(1, round(load.tokens / load.computed))
    layers = [
        Layer("embedding", watch.stages({"attn_0": decoding.embedding(model, load.tokens)}, ENDS)),
        *stack(model, layer),
        Layer("head", watch.stages({"mlp": decoding.head(model, ends, load.tensor)}, ENDS)),
    ]
    if not mtp:
        return layers
    before = (*decoding.embedding(model, load.tokens), *decoding.mtp_input(model, load.tokens))
    return [
        *layers,
        Layer("mtp input", watch.stages({"attn_0": before}, MTP)),
        Layer("mtp", layer(last_kind(model), 1, MTP)),
        Layer("mtp head", watch.stages({"mlp": decoding.head(model, ends, load.tensor)}, MTP)),
    ]
