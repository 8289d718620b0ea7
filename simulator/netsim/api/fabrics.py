"""A fabric without a job, and a collective on it while it is idle: `netsim topology` and `netsim collective`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from netsim.api.arguments import Name, count, plain, question_with, text
from netsim.api.frames import bill_frame, latency_frame
from netsim.specs.question import Question
from netsim.specs.requests import CollectiveRequest

if TYPE_CHECKING:
    from netsim.topologies import Topology


@dataclass(frozen=True, eq=False)
class Fabric:
    """A fabric without a run: `record` as `netsim topology --json` prints it, and the built `topology`."""

    record: dict[str, Any]
    topology: Topology

    @cached_property
    def bill(self) -> pd.DataFrame:
        """The bill of materials, a row a part."""
        return bill_frame(self.record)

    @cached_property
    def latency(self) -> pd.DataFrame:
        """Idle latency of a 64 B message by where the two GPUs are."""
        return latency_frame(self.record)

    @cached_property
    def faults(self) -> pd.DataFrame:
        """What one failed part takes."""
        return pd.DataFrame(self.record["properties"]["faults"])


def topology(
    name: Name = "mpft",
    gpus: int = 2048,
    *,
    hardware: Name = "h800",
    prices: Name = "published",
    overrides: Mapping[str, Any] | None = None,
    years: float = 4.0,
    run_days: float = 54.0,
) -> Fabric:
    """Count, check and price a fabric, as `netsim topology` does.

    Raises NetsimError for a name, key or value that is wrong, and for a size that cannot be built.
    """
    from netsim.analysis.fabrics import describe
    from netsim.specs import HardwareSpec, TopologySpec, load
    from netsim.specs.case import sort_overrides
    from netsim.specs.idle import FABRIC, idle_on, idle_prices, refuse, refuse_unread
    from netsim.specs.prices import PriceBook

    given = sort_overrides(plain(overrides))
    refuse_unread(given, FABRIC, "a fabric")
    spec = load(TopologySpec, "topology", str(name), given["topology"])
    book = load(PriceBook, "prices", str(prices), given["prices"])
    refuse((*idle_on(given, spec), *idle_prices(given, book)))
    built, record = describe(
        spec,
        load(HardwareSpec, "hardware", str(hardware), given["hardware"]),
        book,
        count("gpus", gpus), years, run_days,
    )  # fmt: skip
    return Fabric(record, built)


@dataclass(frozen=True, eq=False)
class Collective:
    """A collective on an idle fabric: `record` holds the rows of `netsim collective --json`, `table` the same."""

    record: list[dict[str, Any]]
    topology: Topology

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row a message size, or an expert-parallel width."""
        return pd.DataFrame(self.record)


def collective(
    kind: str,
    topology: Name | Question = "mpft",
    gpus: int = 64,
    *,
    sizes: str | Sequence[int] | None = None,
    algorithm: str = "auto",
    protocol: Name | None = None,
    group_size: int | None = None,
    hardware: Name | None = None,
    routing: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    packets: bool = False,
    seed: int = 0,
    **experts: Any,
) -> Collective:
    """Time a collective on an idle fabric, as `netsim collective` does.

    topology : a fabric, or a whole `Question`; sizes : bytes, or text such as "128MiB:16GiB"; packets : beside each
    time that of the same flows sent packet by packet; experts : ep, tokens, gate, load, redundant, beside_compute and
    workload, for dispatch, combine and deepep

    Raises NetsimError for a name, key or value that is wrong or has no effect on the kind.
    """
    from netsim.analysis.collective import rows_of
    from netsim.collectives.request import setup_of

    if sizes is not None and not isinstance(sizes, str):
        sizes = ",".join(str(size) for size in sizes)
    request = CollectiveRequest(
        kind, sizes, algorithm, text(protocol), group_size, packets=packets, **experts
    )  # fmt: skip
    question = question_with(
        topology, gpus, "", hardware=hardware, routing=routing, overrides=overrides, seed=seed
    )
    setup = setup_of(question, request)
    return Collective(rows_of(setup, request), setup.topology)
