"""`netsim topology`: the parts of a fabric, its latency and its price, without running anything."""

from __future__ import annotations

import json as jsonlib
from typing import Annotated

import typer

from netsim.cli.options import Gpus, Json, Sets


def topology(
    name: Annotated[str, typer.Argument(help="A preset, a TOML file, or `list`.")],
    gpus: Gpus = 2048,
    sets: Sets = None,
    json: Json = False,
) -> None:
    """Count, check and price a fabric."""
    from netsim import catalog

    if name == "list":
        print(jsonlib.dumps(catalog.names("topology")) if json else "\n".join(catalog.names("topology")))
        return
    from netsim.reports.cost import network_cost
    from netsim.specs.case import make_case, parse_overrides
    from netsim.topologies import build, latency_us, summary

    case = make_case(name, overrides=parse_overrides(sets or []))
    fabric = build(case.topology, case.hardware, gpus)
    record = {
        "topology": summary(fabric),
        "latency_us": latency_us(fabric),
        "cost": network_cost(fabric, case.prices),
    }
    if json:
        print(jsonlib.dumps(record, indent=1))
        return
    from netsim.cli.summary import print_record

    print_record(record)
