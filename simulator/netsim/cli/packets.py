"""`netsim packets`: congestion packet by packet, where the fluid answer is not enough."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from netsim.cli.options import Force, Gpus, HostName, Json, Output, Quiet, Seed, Sets, TopologyName
from netsim.cli.output import answer, needs_folder, say_written

Traffic = Annotated[
    str,
    typer.Argument(
        help="all_to_all, incast, permutation, ring, pair, tenants, dispatch, combine, or a CSV of messages."
    ),
]
Transport = Annotated[
    str,
    typer.Option("--transport", "-T", help="spray, eqds, ndp, roce, hpcc, nscc, or a TOML file."),
]
Size = Annotated[str | None, typer.Option("--size", help="Bytes of a message, such as 64KiB. [default: 1MB]")]
Ranks = Annotated[
    int | None,
    typer.Option(
        "--ranks", min=2, help="GPUs that take part, the first ones; experts: of a group. [default: all]"
    ),
]
Senders = Annotated[int | None, typer.Option("--senders", min=1, help="Senders of an incast. [default: 7]")]
Workload = Annotated[
    str | None, typer.Option("--workload", "-w", help="Job whose experts are routed. [default: deepseek-v3]")
]
TokenCount = Annotated[
    int | None, typer.Option("--tokens", min=1, max=1 << 20, help="Tokens a rank. [default: 4096]")
]
Load = Annotated[
    str | None,
    typer.Option("--load", help="Expert load: balanced, uniform, zipf:S, lognormal:SIGMA or a file."),
]
Fault = Annotated[
    list[str] | None,
    typer.Option(
        "--fault",
        metavar="FAULT",
        help='"cable 17 down at 50us", "port 3.2 down at 50us for 200us", "cable random down ...". Repeatable.',
    ),
]


def packets(
    traffic: Traffic = "all_to_all",
    topology: TopologyName = "ft2",
    gpus: Gpus = 64,
    transport: Transport = "eqds",
    size: Size = None,
    ranks: Ranks = None,
    senders: Senders = None,
    workload: Workload = None,
    tokens: TokenCount = None,
    load: Load = None,
    hardware: HostName = "h800",
    fault: Fault = None,
    seed: Seed = 0,
    sets: Sets = None,
    output: Output = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Send messages packet by packet over a fabric: completion times, queues, marks, pauses and losses."""
    from netsim import api
    from netsim.collectives.sizes import parse_sizes
    from netsim.errors import NetsimError
    from netsim.reports import packets as report
    from netsim.specs.case import parse_overrides

    needs_folder(output, force=force)
    sizes = parse_sizes(size) if size is not None else [None]
    if len(sizes) != 1:
        raise NetsimError(f"--size {size}: must be one size")
    if output is not None:
        report.prepare(output, force)
    result = api.packets(
        traffic, topology, gpus, transport=transport, size_bytes=sizes[0], ranks=ranks, senders=senders,
        workload=workload, tokens=tokens, load=load, hardware=hardware, faults=fault or (),
        overrides=parse_overrides(sets or []), seed=seed, sampled=output is not None,
    )  # fmt: skip
    if output is not None:
        say_written(output, report.write(output, result), quiet)
    answer(report.answer(result), json, quiet, _print)


def _print(record: dict[str, Any]) -> None:
    from netsim.reports.terminal.rows import print_rows

    plain = [
        (name, _text(value))
        for name, value in record.items()
        if name not in ("groups", "provenance", "schema")
    ]
    print_rows([("what", "value"), *plain], left=1)
    print()
    names = list(record["groups"][0])
    print_rows(
        [("group", *names[1:]), *(tuple(_text(g.get(n)) for n in names) for g in record["groups"])], left=1
    )


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}"
    return f"{value:,}" if isinstance(value, int) else "" if value is None else f"{value}"
