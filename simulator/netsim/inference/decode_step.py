"""One decode step on a serving unit: every GPU owns `batch` requests.

    operators of each stage -> seconds         `netsim.workloads.decode`, `netsim.inference.stages`
    dispatch and combine on the fabric         `netsim.inference.exchange`
    layers x micro-batches on two queues       `netsim.inference.timeline`

A step is the main model over the sure and drafted tokens of all requests, then the MTP module once for each token to
draft. Low-latency kernels leave the SMs to the compute.

Every rank is equally loaded. Left out: load imbalance between experts and between ranks, the power limit (decoding
waits for memory and network, and draws less than training), sampling, scheduling on the host.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from netsim.compute import ComputeModel
from netsim.inference.exchange import Exchanges, unit_exchanges
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
from netsim.inference.speculative import tokens_per_step
from netsim.inference.stages import Stopwatch
from netsim.inference.timeline import Layer, run
from netsim.topologies import Topology, build
from netsim.workloads import decode as decoding
from netsim.workloads.kernels import Operator
from netsim.workloads.model import last_kind
from netsim.workloads.moe import value_bytes
from netsim.workloads.serving import ServingMemory, Unit, local_experts


def decode(deployment: Deployment, gpus: int) -> Iteration:
    """Simulate one decode step on `gpus` GPUs, every unit alike.

    Raises NetsimError (SpecError) when units, experts, heads or micro-batches do not divide.
    """
    d, spec = deployment, deployment.spec.decode
    model, drafts = d.workload.model, d.spec.speculative.draft_tokens
    check(d, "decode", spec.tensor, drafts)
    topology = build(d.topology, d.host, gpus)
    local = local_experts(model, _decode_unit(d))
    copies = copies_of(model, spec.shared_as_expert)
    exchanges = unit_exchanges(
        topology, d.library, model, spec.expert, spec.kernel, precisions(d),
        copies=copies, seed=d.seed, assume=d.assume,
    )  # fmt: skip
    profile = d.profile_of(spec.profile)
    everything = profile.model_copy(update={"gemm_sms": profile.sms})
    watch = Stopwatch(ComputeModel(everything, d.hardware), d.spec.attention, False, not d.assume.compute)
    parts = split(spec.batch, spec.overlap, "batch", "requests a GPU")
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
    return memory_of(deployment, _decode_unit(deployment), spec.batch, spec.context)


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
        layers = stack(model, lambda kind, times: self._layer(kind, load, "", times))
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
        add_gathers(d, self.topology, self.watch, seconds, (load.tokens, load.tensor), part, times)
        return seconds | transfers(kind, self.exchanges, load.tokens)


def _cache_value_bytes(d: Deployment) -> float:
    return float(value_bytes(d.spec.memory.kv_cache))
