"""One question about a collective, from names and values to rows; what has no effect on it is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from netsim.collectives.catalogue import AUTOMATIC, latency_table
from netsim.collectives.exchange import KINDS, Tokens, exchange
from netsim.collectives.sizes import parse_counts, parse_sizes
from netsim.collectives.sweep import Setup, groups_of, sweep
from netsim.errors import NetsimError, did_you_mean
from netsim.specs import HardwareSpec, TopologySpec, WorkloadSpec, load
from netsim.specs.base import has_key
from netsim.specs.case import sort_overrides, with_option
from netsim.specs.idle import COLLECTIVE, covers, refuse_unread
from netsim.specs.profile import ProfileSpec
from netsim.specs.protocol import ProtocolSpec
from netsim.specs.question import Question
from netsim.specs.requests import CollectiveRequest
from netsim.topologies import build

#: most copies of experts beside the first of each
MOST_REPLICAS = 1 << 16
#: most tokens that a rank exchanges at once
MOST_TOKENS = 1 << 20
#: kinds that move the tokens of experts instead of a message size
EXPERT_KINDS = ("dispatch", "combine", "deepep")


def make_setup(
    topology: str,
    gpus: int,
    protocol: str,
    *,
    kind: str,
    algorithm: str = "auto",
    hardware: str = "h800",
    routing: str | None = None,
    seed: int = 0,
    overrides: Mapping[str, Any] | None = None,
) -> Setup:
    """The fabric and the library that the names stand for; keys `protocol....` of the overrides are the library's.

    `kind` and `algorithm` are those of `collective_rows`, for keys that they do not read.

    Raises NetsimError for an unknown name, key or value, and for a key that has no effect on a collective.
    """
    rest, of_library = dict(overrides or {}), {}
    for key in list(rest):
        if key.startswith("protocol."):
            of_library[key.partition(".")[2]] = rest.pop(key)
    given = sort_overrides(with_option(rest, "topology.routing", routing))
    of_job = ", which takes the job as its file has it (--workload)" if kind in EXPERT_KINDS else ""
    refuse_unread(given, COLLECTIVE, f"a collective{of_job if given['workload'] else ''}")
    _refuse_of_library(of_library, kind, algorithm)
    if "scale_up.multicast" in given["hardware"] and "nvls" not in _chosen(kind, algorithm):
        raise NetsimError(f"--set hardware.scale_up.multicast: has no effect on {_named(kind, algorithm)}")
    spec = load(TopologySpec, "topology", topology, given["topology"])
    host = load(HardwareSpec, "hardware", hardware, given["hardware"])
    library = load(ProtocolSpec, "protocol", protocol, of_library)
    return Setup(build(spec, host, gpus), library, spec.routing, seed)


def setup_of(question: Question, request: CollectiveRequest) -> Setup:
    """The fabric and the library of a question and its request.

    Raises NetsimError as `make_setup` does, and for an option that has no effect on the kind.
    """
    kind = request.kind
    setup = make_setup(
        question.topology, question.gpus, request.protocol or ("deepep" if kind in EXPERT_KINDS else "nccl"),
        kind=kind, algorithm=request.algorithm, hardware=question.hardware or "h800", routing=question.routing,
        seed=question.seed, overrides=question.overrides,
    )  # fmt: skip
    refuse_options(kind, options_of(request))
    return setup


def options_of(request: CollectiveRequest) -> dict[str, Any]:
    """What `collective_rows` takes beside the kind and the algorithm."""
    return {
        name: value
        for name, value in vars(request).items()
        if name not in ("kind", "algorithm", "protocol", "packets")
    }


#: whose latencies -> the keys of a library that are read
_READ = {
    "message": (
        "ring.base.low_latency",
        "ring.base.simple",
        "message.",
        "efficiency.low_latency",
        "efficiency.simple",
    ),
    "ring": ("ring.", "efficiency.", "copy_rate", "reference."),
    "tree": ("tree.", "efficiency.", "reference."),
    "nvls": ("reference.local", "nvls.base.simple", "nvls.local_step.simple", "nvls.fill.", "in_switch"),
}


def _refuse_of_library(keys: Iterable[str], kind: str, algorithm: str) -> None:
    """Keys of a library that the kind of collective, or its algorithm, does not read."""
    chosen = _chosen(kind, algorithm)
    read = {prefix for each in chosen for prefix in _READ[latency_table(kind, each)]}
    if kind in EXPERT_KINDS:
        read = {"exchange.low_latency" if algorithm.startswith("low_latency") else "exchange.normal"}
    for key in keys:
        told = "." in key or key in ("in_switch", "copy_rate")
        if read and told and has_key(ProtocolSpec, key) and not covers(read, key):
            raise NetsimError(f"--set protocol.{key}: has no effect on {_named(kind, algorithm)}")


def _chosen(kind: str, algorithm: str) -> tuple[str, ...]:
    return AUTOMATIC.get(kind, ()) if algorithm == "auto" else (algorithm,)


def _named(kind: str, algorithm: str) -> str:
    return kind if algorithm == "auto" else f"{kind} by {algorithm}"


def refuse_options(kind: str, options: Mapping[str, Any]) -> None:
    """Raises NetsimError for an option of `collective_rows` that has no effect on the kind."""
    for name, value in options.items():
        of_sizes = name in ("sizes", "group_size")
        if value is not None and value is not False and of_sizes == (kind in EXPERT_KINDS):
            raise NetsimError(f"--{name.replace('_', '-')}: has no effect on {kind}")


def collective_rows(
    setup: Setup,
    kind: str,
    *,
    sizes: str | Sequence[int] | None = None,
    algorithm: str = "auto",
    group_size: int | None = None,
    ep: str | None = None,
    tokens: int | None = None,
    gate: str | None = None,
    load: str | None = None,
    redundant: int | None = None,
    beside_compute: bool = False,
    workload: str | None = None,
) -> list[dict[str, Any]]:
    """Rows over message sizes, or over expert-parallel widths for `EXPERT_KINDS`.

    Raises NetsimError for an option that has no effect on the kind, and for one that is wrong.
    """
    experts = {"ep": ep, "tokens": tokens, "gate": gate, "load": load, "workload": workload, "redundant": redundant,
               "beside_compute": beside_compute}  # fmt: skip
    refuse_options(kind, {"sizes": sizes, "group_size": group_size, **experts})
    if kind not in EXPERT_KINDS:
        gpus = setup.topology.gpus
        if sizes is not None and not isinstance(sizes, str):
            sizes = ",".join(str(size) for size in sizes)
        found = sweep(
            setup, kind, groups_of(gpus, group_size or gpus), parse_sizes(sizes or "64B:16GiB"), algorithm
        )
        return [row.record() for row in found]
    mode = "normal" if algorithm == "auto" else algorithm
    what = _tokens(mode, tokens, gate, load, redundant, beside_compute, workload or "deepseek-v3")
    widths = parse_counts(ep, "--ep") if ep else [setup.topology.gpus]
    return [
        exchange(setup, each, width, what, mode).record()
        for width in widths
        for each in KINDS
        if kind in (each, "deepep")
    ]


def _tokens(
    mode: str,
    tokens: int | None,
    gate: str | None,
    expert_load: str | None,
    redundant: int | None,
    beside_compute: bool,
    workload: str,
) -> Tokens:
    """What is exchanged, from the options."""
    if gate not in (None, "deepep", "model"):
        raise NetsimError(f"no gate {gate!r}: {did_you_mean(str(gate), ['deepep', 'model'])}")
    if redundant is not None and expert_load in (None, "balanced"):
        raise NetsimError(f"--redundant {redundant}: has no effect on balanced experts; add --load")
    if redundant is not None and not 0 <= redundant <= MOST_REPLICAS:
        raise NetsimError(f"--redundant {redundant}: must be from 0 to {MOST_REPLICAS:,}")
    if beside_compute and mode != "normal":
        raise NetsimError("--beside-compute: low-latency kernels have no measured rate")
    if tokens is not None and (isinstance(tokens, bool) or not 1 <= tokens <= MOST_TOKENS):
        raise NetsimError(f"--tokens {tokens}: must be from 1 to {MOST_TOKENS:,}")
    job = load(WorkloadSpec, "workload", workload)
    return Tokens(
        moe=job.model.experts,
        hidden=job.model.hidden,
        tokens=tokens or (4096 if mode == "normal" else 128),
        gate="model" if gate == "model" else "deepep",
        load=None if expert_load == "balanced" else expert_load,
        redundant=redundant,
        kernel_bytes_per_s=_kernel_rates(job.profile) if beside_compute else None,
        dispatch=job.communication.dispatch,
        combine=job.communication.combine,
    )


def _kernel_rates(profile: str) -> dict[str, float]:
    transfers = load(ProfileSpec, "profile", profile).transfers
    return {kind: kernel.beside_compute for kind, kernel in transfers.items()}
