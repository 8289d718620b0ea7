"""`netsim collective`: one collective on an idle fabric, over message sizes or expert-parallel widths."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netsim.cli.options import Force, Gpus, Json, Output, Quiet, Routing, Seed, Sets, TopologyName

if TYPE_CHECKING:
    from netsim.bench import Setup
    from netsim.bench.exchange import Tokens

_MOE = ("dispatch", "combine", "deepep")
_SHOWN = ("kind", "algorithm", "protocol", "ranks", "size_bytes", "time_us", "algbw_GBps", "busbw_GBps",
          "wire_GBps", "logical_GBps", "bottleneck", "utilisation")  # fmt: skip
_SHOWN_MOE = ("kind", "algorithm", "ranks", "tokens", "time_us", "p50_us", "p99_us", "logical_GBps", "wire_GBps",
              "nvlink_GBps", "hosts_per_token", "hottest_over_mean", "bottleneck", "utilisation")  # fmt: skip

Kind = Annotated[
    str,
    typer.Argument(
        help="all_to_all, all_reduce, reduce_scatter, all_gather, broadcast, send_recv; dispatch, combine, or deepep "
        "for both."
    ),
]
Sizes = Annotated[
    str | None,
    typer.Option("--sizes", help="low:high doubling, low:high:factor, or a list. [default: 64B:16GiB]"),
]
Algorithm = Annotated[
    str,
    typer.Option(
        "--algorithm", "-a", help="auto, or one of the collective's: ring, tree, pxn, low_latency, ..."
    ),
]
Library = Annotated[
    str | None,
    typer.Option("--protocol", help="Library: a preset or a TOML file. [default: nccl; deepep for experts]"),
]
GroupSize = Annotated[
    int | None, typer.Option("--group-size", help="Split the GPUs into groups of so many ranks, all at once.")
]
Width = Annotated[
    str | None,
    typer.Option("--ep", help="Expert-parallel widths, 8:256 doubling or a list. [default: all the GPUs]"),
]
TokenCount = Annotated[
    int | None,
    typer.Option("--tokens", min=1, max=1 << 20, help="Tokens a rank. [default: 4096; low latency: 128]"),
]
GateName = Annotated[
    str | None,
    typer.Option("--gate", help="deepep: that of DeepEP's tests; model: the workload's. [default: deepep]"),
]
Load = Annotated[
    str | None,
    typer.Option("--load", help="Expert load: balanced, uniform, zipf:S, lognormal:SIGMA or a file."),
]
Packed = Annotated[
    int | None,
    typer.Option(
        "--redundant", min=0, help="Pack experts by load, with so many replicas. [default: side by side]"
    ),
]
Beside = Annotated[
    bool,
    typer.Option("--beside-compute", help="At the rate that kernels on 20 SMs reach while the GPU computes."),
]
Workload = Annotated[
    str | None, typer.Option("--workload", "-w", help="Job whose experts are routed. [default: deepseek-v3]")
]
Csv = Annotated[bool, typer.Option("--csv", help="Print the rows as CSV.")]


def collective(
    kind: Kind,
    topology: TopologyName = "mpft",
    gpus: Gpus = 64,
    sizes: Sizes = None,
    algorithm: Algorithm = "auto",
    protocol: Library = None,
    group_size: GroupSize = None,
    ep: Width = None,
    tokens: TokenCount = None,
    gate: GateName = None,
    load: Load = None,
    redundant: Packed = None,
    beside_compute: Beside = False,
    workload: Workload = None,
    routing: Routing = None,
    seed: Seed = 0,
    sets: Sets = None,
    output: Output = None,
    csv: Csv = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Time a collective on an otherwise idle fabric, in the columns of nccl-tests or of DeepEP's tables."""
    from netsim.errors import NetsimError
    from netsim.reports import collective as report

    if json and csv:
        raise NetsimError("--json --csv: choose one")
    for_experts = {"--ep": ep, "--tokens": tokens, "--gate": gate, "--load": load, "--workload": workload,
                   "--redundant": redundant, "--beside-compute": beside_compute or None}  # fmt: skip
    for_sizes = {"--sizes": sizes, "--group-size": group_size}
    _refuse(kind, for_sizes if kind in _MOE else for_experts)
    if output is not None:
        report.prepare(output, force)
    setup = _setup(topology, gpus, protocol or ("deepep" if kind in _MOE else "nccl"), routing, seed, sets)
    if kind in _MOE:
        mode = "normal" if algorithm == "auto" else algorithm
        what = _tokens(mode, tokens, gate, load, redundant, beside_compute, workload or "deepseek-v3")
        rows = _exchange_rows(setup, kind, mode, ep, what)
    else:
        rows = _rows(setup, kind, sizes or "64B:16GiB", algorithm, group_size)
    if output is not None:
        files = report.write(output, rows, setup)
        if not quiet:
            print(f"wrote {', '.join(f.name for f in files)} to {output}", file=sys.stderr)
    if json:
        sys.stdout.write(report.to_json(rows))
    elif csv:
        sys.stdout.write(report.to_csv(rows))
    elif not quiet:
        _print(rows, _SHOWN_MOE if kind in _MOE else _SHOWN)


def _refuse(kind: str, without_effect: dict[str, Any]) -> None:
    from netsim.errors import NetsimError

    for option, value in without_effect.items():
        if value is not None:
            raise NetsimError(f"{option}: has no effect on {kind}")


def _setup(
    topology: str, gpus: int, protocol: str, routing: str | None, seed: int, sets: list[str] | None
) -> Setup:
    """The fabric and the library that the options name."""
    from netsim.bench import Setup
    from netsim.errors import NetsimError
    from netsim.specs import HardwareSpec, TopologySpec, load
    from netsim.specs.case import parse_overrides, sort_overrides
    from netsim.specs.protocol import ProtocolSpec
    from netsim.topologies import build

    overrides = parse_overrides(sets or [])
    of_library = {
        key.partition(".")[2]: overrides.pop(key) for key in list(overrides) if key.startswith("protocol.")
    }
    given = sort_overrides(overrides)
    for section, values in given.items():
        if values and section not in ("topology", "hardware"):
            raise NetsimError(f"--set {section}.{next(iter(values))}: has no effect on a collective")
    if routing is not None:
        if "routing" in given["topology"]:
            raise NetsimError(f"--routing {routing}: also given by --set routing")
        given["topology"]["routing"] = routing
    spec = load(TopologySpec, "topology", topology, given["topology"])
    hardware = load(HardwareSpec, "hardware", "h800", given["hardware"])
    library = load(ProtocolSpec, "protocol", protocol, of_library)
    return Setup(build(spec, hardware, gpus), library, spec.routing, seed)


def _rows(
    setup: Setup, kind: str, sizes: str, algorithm: str, group_size: int | None
) -> list[dict[str, Any]]:
    from netsim.bench.sizes import parse_sizes
    from netsim.bench.sweep import groups_of, sweep

    gpus = setup.topology.gpus
    groups = groups_of(gpus, group_size or gpus)
    return [row.record() for row in sweep(setup, kind, groups, parse_sizes(sizes), algorithm)]


def _tokens(
    mode: str,
    tokens: int | None,
    gate: str | None,
    load: str | None,
    redundant: int | None,
    beside_compute: bool,
    workload: str,
) -> Tokens:
    """What is exchanged, from the options."""
    from netsim.bench.exchange import Tokens
    from netsim.errors import NetsimError, did_you_mean
    from netsim.specs import WorkloadSpec
    from netsim.specs import load as load_spec

    if gate not in (None, "deepep", "model"):
        raise NetsimError(f"no gate {gate!r}: {did_you_mean(str(gate), ['deepep', 'model'])}")
    if redundant is not None and load in (None, "balanced"):
        raise NetsimError(f"--redundant {redundant}: has no effect on balanced experts; add --load")
    if beside_compute and mode != "normal":
        raise NetsimError("--beside-compute: low-latency kernels have no measured rate")
    job = load_spec(WorkloadSpec, "workload", workload)
    return Tokens(
        moe=job.model.moe,
        hidden=job.model.hidden,
        tokens=tokens or (4096 if mode == "normal" else 128),
        gate="model" if gate == "model" else "deepep",
        load=None if load == "balanced" else load,
        redundant=redundant,
        kernel_bytes_per_s=_kernel_rates(job.profile) if beside_compute else None,
        dispatch=job.communication.dispatch,
        combine=job.communication.combine,
    )


def _exchange_rows(setup: Setup, kind: str, mode: str, ep: str | None, what: Tokens) -> list[dict[str, Any]]:
    from netsim.bench.exchange import KINDS, exchange
    from netsim.bench.sizes import parse_counts

    widths = parse_counts(ep, "--ep") if ep else [setup.topology.gpus]
    return [
        exchange(setup, k, width, what, mode).record()
        for width in widths
        for k in KINDS
        if kind in (k, "deepep")
    ]


def _kernel_rates(profile: str) -> dict[str, float]:
    from netsim.specs import load
    from netsim.specs.profile import ProfileSpec

    transfers = load(ProfileSpec, "profile", profile).transfers
    return {kind: kernel.beside_compute for kind, kernel in transfers.items()}


def _print(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    """Rows for a person at a terminal."""
    from netsim.cli.rows import print_rows

    print_rows([columns, *(tuple(_text(name, row[name]) for name in columns) for row in rows)])


def _text(name: str, value: Any) -> str:
    if not isinstance(value, float):
        return f"{value}"
    return f"{value:.3f}" if name == "utilisation" else f"{value:.2f}"
