"""`netsim packets`: congestion packet by packet, where the fluid answer is not enough."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from netsim.cli.options import Gpus, HostName, Json, Quiet, Seed, Sets, TopologyName
from netsim.cli.output import answer

Traffic = Annotated[str, typer.Argument(help="all_to_all, permutation, ring, pair.")]
Transport = Annotated[
    str,
    typer.Option("--transport", "-T", help="spray, eqds, ndp, roce, hpcc, nscc, or a TOML file."),
]
Size = Annotated[str, typer.Option("--size", help="Bytes of a message, such as 1MB.")]
Ranks = Annotated[
    int | None, typer.Option("--ranks", min=2, help="GPUs that take part, the first ones. [default: all]")
]


def packets(
    traffic: Traffic = "all_to_all",
    topology: TopologyName = "ft2",
    gpus: Gpus = 64,
    transport: Transport = "eqds",
    size: Size = "1MB",
    ranks: Ranks = None,
    hardware: HostName = "h800",
    seed: Seed = 0,
    sets: Sets = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Send messages packet by packet over a fabric: completion times, queues, marks, pauses and losses."""
    from netsim import api
    from netsim.collectives.sizes import parse_sizes
    from netsim.errors import NetsimError
    from netsim.specs.case import parse_overrides

    sizes = parse_sizes(size)
    if len(sizes) != 1:
        raise NetsimError(f"--size {size}: must be one size")
    result = api.packets(
        traffic, topology, gpus, transport=transport, size_bytes=sizes[0], ranks=ranks, hardware=hardware,
        overrides=parse_overrides(sets or []), seed=seed, sampled=False,
    )  # fmt: skip
    answer(result.record(), json, quiet, _print)


def _print(record: dict[str, Any]) -> None:
    from netsim.cli.rows import print_rows

    plain = [(name, _text(value)) for name, value in record.items() if name != "groups"]
    print_rows([("what", "value"), *plain])
    for group in record["groups"]:
        print()
        print_rows([("group", group["name"]), *((n, _text(v)) for n, v in group.items() if n != "name")])


def _text(value: Any) -> str:
    return (
        f"{value:,.3f}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else f"{value}"
    )
