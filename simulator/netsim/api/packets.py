"""Congestion packet by packet: `netsim packets` as a function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netsim.api.arguments import Name, count, question_with, text
from netsim.congestion.result import PacketResult
from netsim.specs.question import Question
from netsim.specs.requests import PacketsRequest


def packets(
    traffic: str = "all_to_all",
    topology: Name | Question = "ft2",
    gpus: int = 64,
    *,
    transport: Name = "eqds",
    size_bytes: int | None = None,
    ranks: int | None = None,
    senders: int | None = None,
    workload: Name | None = None,
    tokens: int | None = None,
    load: str | None = None,
    hardware: Name | None = None,
    faults: Sequence[str] = (),
    overrides: Mapping[str, Any] | None = None,
    seed: int = 0,
    sampled: bool = True,
) -> PacketResult:
    """Send messages packet by packet, as `netsim packets` does.

    traffic : a name of `netsim.congestion.workloads`, dispatch or combine, or a CSV of messages; transport : a preset
    or a TOML file; ranks : GPUs that take part, the first ones (experts: the width of a group); senders : of an incast;
    workload, tokens, load : of dispatch and combine; faults : such as "cable 3 down at 50us for 200us"; overrides :
    keys as of `--set` (`transport.` for those of the transport); sampled : whether queues are looked at over time

    Raises NetsimError for a name, key or value that is wrong or has no effect.
    """
    from netsim.congestion.request import answer

    request = PacketsRequest(
        traffic=traffic, transport=str(transport),
        size=None if size_bytes is None else str(count("size_bytes", size_bytes)),
        ranks=None if ranks is None else count("ranks", ranks), senders=senders, workload=text(workload),
        tokens=None if tokens is None else count("tokens", tokens, 1), load=load, fault=tuple(faults),
    )  # fmt: skip
    question = question_with(topology, gpus, "", hardware=hardware, overrides=overrides, seed=seed)
    return answer(question, request, sampled=sampled)
