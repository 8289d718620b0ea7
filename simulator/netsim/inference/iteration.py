"""What decode and prefill share: the deployment that is asked about, the iteration that answers, and their parts.

An iteration is of one serving unit; every unit and every rank of it is alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from netsim.errors import NetsimError
from netsim.inference.exchange import EVERYTHING, Assumptions, Exchanges, at_line_rate, gather_s
from netsim.inference.stages import GATHER, Stopwatch, Tally
from netsim.inference.timeline import COMMUNICATION, COMPUTE, Layer, Timeline
from netsim.specs import HardwareSpec, TopologySpec, load
from netsim.specs.inference import InferenceSpec, Overlap
from netsim.specs.profile import ProfileSpec
from netsim.specs.protocol import ProtocolSpec
from netsim.specs.workload import ModelSpec, TokenPrecision, WorkloadSpec
from netsim.topologies import Topology
from netsim.workloads.kernels import BF16_BYTES
from netsim.workloads.layers import has_experts
from netsim.workloads.serving import ServingMemory, Unit, serving_memory

#: parts of the breakdown that are no stage of a layer
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
        """Output or input tokens; NetsimError for an iteration that takes no time, as a bound without exchange."""
        if not self.seconds > 0.0:
            raise NetsimError(
                f"--ideal: {self.phase} with EP{self.expert} exchanges nothing: the bound that exchanges set is no time"
            )
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


def add_gathers(
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
    size, library = BF16_BYTES * d.workload.model.hidden * tokens * tensor, d.workload.communication.library
    gather = gather_s(topology, library, tensor, size, d.assume)
    for stage, count in (("attn_0", 1), ("attn_1", 1), ("mlp", 2)):
        if stage in seconds:
            seconds[stage] += count * gather
            watch.tally(part or GATHER).add(count * gather * times, "nvlink", "network")


def stack(model: ModelSpec, layer: Callable[[str, int], dict[str, float]]) -> list[Layer]:
    """The layers of the model, each kind timed once."""
    timed = {kind: layer(kind, count) for kind, count in model.kind_counts.items()}
    return [Layer(f"{kind} {n}", timed[kind]) for n, kind in enumerate(model.kinds)]


def transfers(kind: str, exchanges: Exchanges, tokens: int) -> dict[str, float]:
    if not has_experts(kind):
        return {}
    return {exchange.kind: exchange.seconds(tokens) for exchange in exchanges}


def split(total: int, overlap: Overlap, key: str, words: str) -> list[int]:
    """Two micro-batches, or one without overlap."""
    if overlap == "none":
        return [total]
    if total < 2:
        raise NetsimError(f"{key} = {total}: two micro-batches need 2 {words} at least; or overlap = none")
    return [total - total // 2, total // 2]


def check(d: Deployment, phase: str, tensor: int, drafts: int) -> None:
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


def copies_of(model: ModelSpec, shared_too: bool = False) -> int:
    """Experts that a token is sent to."""
    if model.moe is None:
        return 0
    return model.moe.top_k + (model.moe.shared if shared_too else 0)


def precisions(d: Deployment) -> tuple[TokenPrecision, TokenPrecision]:
    return d.workload.communication.dispatch, d.workload.communication.combine


def memory_of(d: Deployment, unit: Unit, batch: int, context: int) -> ServingMemory:
    spec = d.spec.memory
    precisions = (d.workload.storage.weights, spec.kv_cache)
    return serving_memory(
        d.workload.model, unit, batch, context, precisions, spec.reserve, d.hardware.gpu.hbm
    )
