"""`netsim collective`: one collective on an idle fabric, over message sizes or expert-parallel widths."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from netsim.cli.options import (
    Force,
    Gpus,
    HostName,
    Json,
    Output,
    Quiet,
    Routing,
    Seed,
    Sets,
    TopologyName,
)
from netsim.cli.output import needs_folder, say_written

_SHOWN = ("kind", "algorithm", "protocol", "ranks", "size_bytes", "time_us", "algbw_GBps", "busbw_GBps",
          "wire_GBps", "logical_GBps", "bottleneck", "utilisation")  # fmt: skip
_SHOWN_MOE = ("kind", "algorithm", "ranks", "tokens", "time_us", "p50_us", "p99_us", "logical_GBps", "wire_GBps",
              "nvlink_GBps", "hosts_per_token", "hottest_over_mean", "bottleneck", "utilisation")  # fmt: skip

_SHOWN_PACKETS = ("packets_time_us", "packets_over_fluid", "measured_least", "measured_most")

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
Packets = Annotated[
    bool,
    typer.Option("--packets", help="Beside each time that of the same flows sent packet by packet, sprayed."),
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
    hardware: HostName = "h800",
    routing: Routing = None,
    packets: Packets = False,
    seed: Seed = 0,
    sets: Sets = None,
    output: Output = None,
    csv: Csv = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Time a collective on an otherwise idle fabric, in the columns of nccl-tests or of DeepEP's tables."""
    from netsim.collectives.request import EXPERT_KINDS, collective_rows, make_setup, refuse_options
    from netsim.errors import NetsimError
    from netsim.reports import collective as report
    from netsim.specs.case import parse_overrides

    if json and csv:
        raise NetsimError("--json --csv: choose one")
    needs_folder(output, force=force)
    experts = kind in EXPERT_KINDS
    library = protocol or ("deepep" if experts else "nccl")
    overrides = parse_overrides(sets or [])
    setup = make_setup(
        topology, gpus, library, kind=kind, algorithm=algorithm, hardware=hardware, routing=routing, seed=seed,
        overrides=overrides,
    )  # fmt: skip
    options: dict[str, Any] = {
        "sizes": sizes, "group_size": group_size, "ep": ep, "tokens": tokens, "gate": gate, "load": load,
        "redundant": redundant, "beside_compute": beside_compute, "workload": workload,
    }  # fmt: skip
    refuse_options(kind, options)
    if output is not None:
        report.prepare(output, force)
    rows = collective_rows(setup, kind, algorithm=algorithm, **options)
    if packets:
        from netsim.congestion.collective_rows import add_packets, warnings

        rows = add_packets(setup, rows, options)
        for line in [] if quiet else warnings(rows):
            print(line, file=sys.stderr)
    if output is not None:
        say_written(output, report.write(output, rows, setup), quiet)
    if json:
        sys.stdout.write(report.to_json(rows))
    elif csv:
        sys.stdout.write(report.to_csv(rows))
    elif not quiet:
        _print(rows, (_SHOWN_MOE if experts else _SHOWN) + (_SHOWN_PACKETS if packets else ()))


def _print(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    """Rows for a person at a terminal."""
    from netsim.reports.terminal.rows import print_rows

    print_rows([columns, *(tuple(_text(name, row[name]) for name in columns) for row in rows)])


def _text(name: str, value: Any) -> str:
    if not isinstance(value, float):
        return "" if value is None else f"{value}"
    return f"{value:.3f}" if name in ("utilisation", *_SHOWN_PACKETS[1:]) else f"{value:.2f}"
