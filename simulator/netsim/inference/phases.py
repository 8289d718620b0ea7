"""One iteration of decode or prefill on a serving unit, from a deployment to seconds and tokens.

    operators of each stage -> seconds         `netsim.workloads.decode`, `.prefill`, `netsim.inference.stages`
    dispatch and combine on the fabric         `netsim.inference.exchange`
    layers x micro-batches on two queues       `netsim.inference.timeline`
    weights, cache and batch against HBM       `netsim.workloads.serving`

Decode: every GPU owns `batch` requests; a step is the main model over their sure and drafted tokens, then the MTP
module once for each token to draft. Low-latency kernels leave the SMs to the compute. Prefill: every GPU computes
`tokens` of prompts; its normal kernels hold SMs, and products run on the others.

Every rank is equally loaded. Left out: load imbalance between experts and between ranks, sampling, scheduling on the
host, transfer of the KV cache from prefill to decode.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from netsim.compute import ComputeModel
from netsim.errors import NetsimError
from netsim.inference.exchange import (
    EVERYTHING,
    KINDS,
    Assumptions,
    Exchanges,
    at_line_rate,
    gather_s,
    unit_exchanges,
)
from netsim.inference.speculative import tokens_per_step
from netsim.inference.stages import GATHER, Stopwatch, Tally
from netsim.inference.timeline import COMMUNICATION, COMPUTE, Layer, Timeline, run
from netsim.specs import HardwareSpec, TopologySpec, load
from netsim.specs.inference import InferenceSpec, Overlap
from netsim.specs.profile import ProfileSpec
from netsim.specs.protocol import ProtocolSpec
from netsim.specs.workload import ModelSpec, TokenPrecision, WorkloadSpec
from netsim.topologies import Topology, build
from netsim.workloads import decode as decoding
from netsim.workloads.kernels import BF16_BYTES, Operator
from netsim.workloads.model import last_kind
from netsim.workloads.moe import value_bytes
from netsim.workloads.prefill import PrefillLoad, prefill_layer
from netsim.workloads.serving import ServingMemory, Unit, local_experts, serving_memory

MTP = "MTP module"
ENDS = "embedding and head"


@dataclass(frozen=True)
class Deployment:
    """The checked specs of one question. `profile` in place of those of the phases."""

    topology: TopologySpec
    workload: WorkloadSpec
    hardware: HardwareSpec
    spec: InferenceSpec
    library: ProtocolSpec
    profile: str | None = None
    seed: int = 0
    assume: Assumptions = EVERYTHING

    @property
    def host(self) -> HardwareSpec:
        """The host, at line rate where overheads do not count."""
        return self.hardware if self.assume.overheads else at_line_rate(self.hardware)

    def profile_of(self, named: str | None) -> ProfileSpec:
        """The compute profile of a phase."""
        return load(ProfileSpec, "profile", self.profile or named or self.workload.profile)


@dataclass(frozen=True)
class Iteration:
    """One iteration of a phase on one unit, and what a GPU makes of it.

    batch : requests (decode) or computed tokens (prefill) a GPU; tokens : that a GPU yields an iteration (decode:
    output tokens; prefill: input tokens, cached ones included); microbatch_tokens : tokens of each that exchange
    """

    phase: str
    gpus: int
    expert: int
    local_experts: int
    batch: int
    context: int
    tokens: float
    microbatch_tokens: tuple[int, ...]
    timeline: Timeline
    exchanges: Exchanges
    tallies: dict[str, Tally]
    memory: ServingMemory
    topology: Topology
    profile: str

    @property
    def seconds(self) -> float:
        """Of the iteration."""
        return self.timeline.seconds

    @property
    def tokens_per_s_per_gpu(self) -> float:
        """Output or input tokens."""
        return self.tokens / self.seconds

    @cached_property
    def bottleneck(self) -> str:
        """What the busier of the two queues is bound by most: compute, hbm, launch; nic, nvlink, ...; latency."""
        if self.timeline.busy_s(COMMUNICATION) > self.timeline.busy_s(COMPUTE):
            moved = [(x, n) for x in self.exchanges for n in self.microbatch_tokens]
            moving, fixed = sum(x.moving_s(n) for x, n in moved), sum(x.fixed_s for x, _ in moved)
            return "latency" if fixed > moving else self.exchanges.dispatch.bottleneck
        total = Tally()
        for tally in self.tallies.values():
            for bound, seconds in tally.by_bound.items():
                total.add(seconds, bound, "")
        return {"memory": "hbm"}.get(total.bound, total.bound)


def decode(deployment: Deployment, gpus: int) -> Iteration:
    """Simulate one decode step on `gpus` GPUs, every unit alike.

    Raises NetsimError (SpecError) when units, experts, heads or micro-batches do not divide.
    """
    d, spec = deployment, deployment.spec.decode
    model, drafts = d.workload.model, d.spec.speculative.draft_tokens
    _check(d, "decode", spec.tensor, drafts)
    topology = build(d.topology, d.host, gpus)
    local = local_experts(model, _decode_unit(d))
    copies = _copies(model, spec.shared_as_expert)
    exchanges = unit_exchanges(
        topology, d.library, model, spec.expert, spec.kernel, _precisions(d),
        copies=copies, seed=d.seed, assume=d.assume,
    )  # fmt: skip
    profile = d.profile_of(spec.profile)
    everything = profile.model_copy(update={"gemm_sms": profile.sms})
    watch = Stopwatch(ComputeModel(everything, d.hardware), d.spec.attention, False, not d.assume.compute)
    parts = _split(spec.batch, spec.overlap, "batch", "requests a GPU")
    loads = [
        decoding.DecodeLoad(
            part, drafts + 1, spec.context, spec.tensor, part * (drafts + 1) * copies, local,
            _cache_value_bytes(d),
        )
        for part in parts
    ]  # fmt: skip
    makers = [_Decode(d, topology, exchanges, watch, load) for load in loads]
    timeline = run([maker.layers() for maker in makers], spec.overlap)
    return Iteration(
        "decode", gpus, spec.expert, local, spec.batch, spec.context,
        spec.batch * tokens_per_step(d.spec.speculative.acceptance, drafts),
        tuple(load.tokens for load in loads), timeline, exchanges, watch.tallies,
        decode_memory(d), topology, profile.name,
    )  # fmt: skip


def decode_memory(deployment: Deployment) -> ServingMemory:
    """Memory of a decode GPU, without a simulation."""
    spec = deployment.spec.decode
    return _memory(deployment, _decode_unit(deployment), spec.batch, spec.context)


def _decode_unit(d: Deployment) -> Unit:
    spec, drafts = d.spec.decode, d.spec.speculative.draft_tokens
    return Unit(spec.expert, spec.redundant, spec.tensor, spec.shared_as_expert, drafts > 0)


@dataclass(frozen=True)
class _Decode:
    """Builds the layers of one micro-batch of a decode step."""

    deployment: Deployment
    topology: Topology
    exchanges: Exchanges
    watch: Stopwatch
    load: decoding.DecodeLoad

    def layers(self) -> list[Layer]:
        model, load = self.deployment.workload.model, self.load
        layers = _stack(model, lambda kind, times: self._layer(kind, load, "", times))
        begin = self._extra("embedding", {"attn_0": decoding.embedding(model, load.tokens)}, ENDS)
        end = self._extra("head", {"mlp": decoding.head(model, load.tokens, load.tensor)}, ENDS)
        return [begin, *layers, end, *self._drafts()]

    def _drafts(self) -> list[Layer]:
        """The MTP module: over all tokens of the step for the first draft, over one a request for each further."""
        model, found = self.deployment.workload.model, []
        for n in range(self.load.queries - 1):
            load = self.load
            if n:
                load = replace(load, queries=1, expert_rows=load.expert_rows // load.queries)
            before = (*decoding.embedding(model, load.tokens), *decoding.mtp_input(model, load.tokens))
            found += [
                self._extra(f"mtp {n} input", {"attn_0": before}, MTP),
                Layer(f"mtp {n}", self._layer(last_kind(model), load, MTP)),
                self._extra(f"mtp {n} head", {"mlp": decoding.head(model, load.sequences, load.tensor)}, MTP),
            ]
        return found

    def _extra(self, name: str, stages: dict[str, tuple[Operator, ...]], part: str) -> Layer:
        return Layer(name, self.watch.stages(stages, part))

    def _layer(
        self, kind: str, load: decoding.DecodeLoad, part: str = "", times: int = 1
    ) -> dict[str, float]:
        d = self.deployment
        apart, products = not d.spec.decode.shared_as_expert, d.workload.compute.products
        operators = decoding.decode_layer(d.workload.model, kind, load, apart, products)
        seconds = self.watch.stages(operators, part, times)
        _add_gathers(d, self.topology, self.watch, seconds, (load.tokens, load.tensor), part, times)
        return seconds | _transfers(kind, self.exchanges, load.tokens)


def _add_gathers(
    d: Deployment,
    topology: Topology,
    watch: Stopwatch,
    seconds: dict[str, float],
    group: tuple[int, int],
    part: str,
    times: int,
) -> None:
    """The all-gather before and the reduce-scatter behind what (tokens a GPU, GPUs) divide: attention, a dense FFN."""
    tokens, tensor = group
    if tensor == 1:
        return
    gather = gather_s(topology, tensor, BF16_BYTES * d.workload.model.hidden * tokens * tensor, d.assume)
    for stage, count in (("attn_0", 1), ("attn_1", 1), ("mlp", 2)):
        if stage in seconds:
            seconds[stage] += count * gather
            watch.tally(part or GATHER).add(count * gather * times, "nvlink", "network")


def prefill(deployment: Deployment, gpus: int) -> Iteration:
    """Simulate one prefill iteration on `gpus` GPUs, every unit alike.

    Raises NetsimError (SpecError) when units, experts or micro-batches do not divide.
    """
    d, spec = deployment, deployment.spec.prefill
    model, mtp = d.workload.model, d.spec.speculative.draft_tokens > 0
    _check(d, "prefill", spec.tensor, d.spec.speculative.draft_tokens)
    topology = build(d.topology, d.host, gpus)
    unit = Unit(spec.expert, spec.redundant, spec.tensor, mtp=mtp)
    local = local_experts(model, unit)
    profile = d.profile_of(spec.profile)
    compute, beside = ComputeModel(profile, d.hardware), spec.overlap != "none"
    takes_sms = spec.kernel == "normal"
    exchanges = unit_exchanges(
        topology, d.library, model, spec.expert, spec.kernel, _precisions(d),
        copies=_copies(model), seed=d.seed, assume=d.assume,
        kernel_rates={k: compute.transfer_rate(k, beside) for k in KINDS} if takes_sms else None,
        setup_s={k: compute.transfer_setup_s(k, beside) for k in KINDS} if takes_sms else None,
    )  # fmt: skip
    watch = Stopwatch(compute, d.spec.attention, beside and takes_sms, not d.assume.compute)
    parts = _split(spec.tokens, spec.overlap, "tokens", "tokens a GPU")
    loads = [
        PrefillLoad(part, spec.prompt, spec.cached_share, part * _copies(model), local, spec.tensor)
        for part in parts
    ]
    timeline = run(
        [_prefill_layers(d, topology, exchanges, watch, load, mtp) for load in loads], spec.overlap
    )
    prompts = spec.tokens / loads[0].computed
    return Iteration(
        "prefill", gpus, spec.expert, local, spec.tokens, spec.prompt,
        spec.tokens / (1.0 - spec.cached_share), tuple(parts), timeline, exchanges, watch.tallies,
        _memory(d, unit, max(1, math.ceil(prompts)), spec.prompt), topology, profile.name,
    )  # fmt: skip


def _prefill_layers(
    d: Deployment, topology: Topology, exchanges: Exchanges, watch: Stopwatch, load: PrefillLoad, mtp: bool
) -> list[Layer]:
    """One micro-batch: the model, the head for the last token of each prompt, and an MTP module for its cache."""
    model = d.workload.model

    def layer(kind: str, times: int, part: str = "") -> dict[str, float]:
        seconds = watch.stages(prefill_layer(model, kind, load, d.workload.compute.products), part, times)
        _add_gathers(d, topology, watch, seconds, (load.tokens, load.tensor), part, times)
        return seconds | _transfers(kind, exchanges, load.tokens)

    ends = max(1, round(load.tokens / load.computed))
    layers = [
        Layer("embedding", watch.stages({"attn_0": decoding.embedding(model, load.tokens)}, ENDS)),
        *_stack(model, layer),
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


def _stack(model: ModelSpec, layer: Callable[[str, int], dict[str, float]]) -> list[Layer]:
    """The layers of the model, each kind timed once."""
    counts = {"dense": model.dense_layers, "moe": model.moe_layers}
    timed = {kind: layer(kind, count) for kind, count in counts.items() if count}
    kinds = ["dense"] * counts["dense"] + ["moe"] * counts["moe"]
    return [Layer(f"{kind} {n}", timed[kind]) for n, kind in enumerate(kinds)]


def _transfers(kind: str, exchanges: Exchanges, tokens: int) -> dict[str, float]:
    if kind != "moe":
        return {}
    return {exchange.kind: exchange.seconds(tokens) for exchange in exchanges}


def _split(total: int, overlap: Overlap, key: str, words: str) -> list[int]:
    """Two micro-batches, or one without overlap."""
    if overlap == "none":
        return [total]
    if total < 2:
        raise NetsimError(f"{key} = {total}: two micro-batches need 2 {words} at least; or overlap = none")
    return [total - total // 2, total // 2]


def _check(d: Deployment, phase: str, tensor: int, drafts: int) -> None:
    model = d.workload.model
    if drafts and not model.mtp_depth:
        raise NetsimError(
            f"speculative.draft_tokens = {drafts}: {model.name} has no MTP module (mtp_depth = 0); must be 0"
        )
    widths = {
        "heads": model.attention.heads,
        "vocabulary": model.vocabulary,
        "dense width": model.dense_width,
    }
    for words, width in widths.items():
        if width % tensor:
            raise NetsimError(f"{phase}.tensor = {tensor}: must divide the {words} of {width}")


def _copies(model: ModelSpec, shared_too: bool = False) -> int:
    """Experts that a token is sent to."""
    if model.moe is None:
        return 0
    return model.moe.top_k + (model.moe.shared if shared_too else 0)


def _precisions(d: Deployment) -> tuple[TokenPrecision, TokenPrecision]:
    return d.workload.communication.dispatch, d.workload.communication.combine


def _cache_value_bytes(d: Deployment) -> float:
    return float(value_bytes(d.spec.memory.kv_cache))


def _memory(d: Deployment, unit: Unit, batch: int, context: int) -> ServingMemory:
    spec = d.spec.memory
    precisions = (d.workload.storage.weights, spec.kv_cache)
    return serving_memory(
        d.workload.model, unit, batch, context, precisions, spec.reserve, d.hardware.gpu.hbm
    )
