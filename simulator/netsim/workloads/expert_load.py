"""Uneven expert load: how popular experts are, on which device they sit, and what each rank then sends and receives.

Loads: `uniform` (popular alike, but sampled: ranks still differ), `zipf:S` (the n-th most popular in proportion to
n^-S), `lognormal:SIGMA`, or a file with one positive number an expert. Placement: `contiguous`, or `packed` with
replicas of the most loaded experts, hosts keeping their own (hierarchical balancing as in DeepSeek's EPLB: heaviest
first onto the lightest device with a free slot). A token's choice of a replicated expert is spread over the replicas.

Left out: load that drifts from step to step, and correlation between the tokens of a sequence.

Source: arXiv 2412.19437, sections 3.2 and 3.4 (redundant experts); github.com/deepseek-ai/EPLB for the hierarchy.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netsim.errors import NetsimError
from netsim.specs import files
from netsim.specs.workload import MoeSpec
from netsim.workloads.moe import Gate, by_host, choose_experts

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def parse_load(text: str, experts: int, rng: np.random.Generator, asked: str = "--load") -> Floats:
    """Relative popularity of each expert, (experts,), mean 1, shuffled; `asked` names the option in complaints.

    Raises NetsimError when the text is no known load or the file does not fit.
    """
    name, _, number = text.partition(":")
    if text == "uniform":
        return np.ones(experts)
    if name in ("zipf", "lognormal"):
        try:
            width = float(number)
        except ValueError:
            width = -1.0
        if not 0.0 <= width <= 10.0:
            raise NetsimError(
                f"{asked} {text}: must be {name}:NUMBER with a number from 0 to 10, such as {name}:0.5"
            )
        rank = np.arange(1, experts + 1)
        load = rank**-width if name == "zipf" else np.exp(width * rng.standard_normal(experts))
        load = rng.permutation(load)
        return np.asarray(load / load.mean(), dtype=np.float64)
    return _read_load(text, experts, asked)


def _read_load(text: str, experts: int, asked: str) -> Floats:
    path = Path(text)
    if not path.is_file():
        raise NetsimError(f"{asked} {text}: must be uniform, zipf:S, lognormal:SIGMA or a file")
    try:
        load = np.array([float(word) for word in files.read_text(path).replace(",", " ").split()])
    except (ValueError, UnicodeDecodeError, OSError):
        raise NetsimError(f"{asked} {text}: must hold one positive number an expert") from None
    if load.size != experts or not ((load >= 1e-30) & (load <= 1e30)).all():
        raise NetsimError(
            f"{asked} {text}: holds {load.size} numbers, must be {experts}, each from 1e-30 to 1e30"
        )
    return np.asarray(load / load.mean(), dtype=np.float64)


@dataclass(frozen=True)
class Placement:
    """Where experts are. replicas : (experts,) copies of each; device : (experts, most copies), -1 for none."""

    replicas: Ints
    device: Ints


def contiguous(experts: int, devices: int) -> Placement:
    """Expert e on device e / (experts a device), one copy each."""
    return Placement(np.ones(experts, dtype=np.int64), (np.arange(experts) * devices // experts)[:, None])


def packed(load: Floats, devices: int, gpus_per_host: int, redundant: int) -> Placement:
    """Experts of each host on its devices, heaviest first, with `redundant` replicas in all.

    Raises NetsimError when replicas or experts cannot be spread evenly over hosts and devices.
    """
    experts, width = load.size, min(gpus_per_host, devices)
    hosts = devices // width
    if experts % hosts or redundant % devices or (experts + redundant) % devices:
        raise NetsimError(f"{redundant} redundant experts, must be a multiple of the {devices} devices")
    copies: list[list[int]] = [[] for _ in range(experts)]
    for host, members in enumerate(np.arange(experts).reshape(hosts, -1)):
        replicas = _replicas(load[members], redundant // hosts)
        _pack(load[members] / replicas, replicas, members, host * width, width, copies)
    device = np.full((experts, max(len(c) for c in copies)), -1, dtype=np.int64)
    for expert, on in enumerate(copies):
        device[expert, : len(on)] = on
    return Placement(np.array([len(c) for c in copies], dtype=np.int64), device)


def _replicas(load: Floats, redundant: int) -> Ints:
    """One more copy, again and again, of the expert whose copies are loaded most."""
    count = np.ones(load.size, dtype=np.int64)
    for _ in range(redundant):
        count[(load / count).argmax()] += 1
    return count


def _pack(
    each: Floats, replicas: Ints, members: Ints, first: int, width: int, copies: list[list[int]]
) -> None:
    slots = np.full(width, int(replicas.sum()) // width)
    carried = np.zeros(width)
    for local in np.argsort(-each, kind="stable").tolist():
        for _ in range(int(replicas[local])):
            device = int(np.where(slots > 0, carried, np.inf).argmin())
            slots[device] -= 1
            carried[device] += each[local]
            copies[int(members[local])].append(first + device)


@dataclass(frozen=True)
class Routed:
    """What one expert-parallel group moves, in tokens.

    to_host : (ranks, hosts) tokens of each rank that visit each host; inside : (hosts, width, width) copies that the
    GPU of an arriving index passes to each GPU of the host; to_device : (ranks, ranks) choices of each rank for each
    device, without merging (what low-latency kernels send); tokens : of a rank.
    """

    to_host: Ints
    inside: Ints
    to_device: Ints
    tokens: int

    @property
    def received(self) -> Ints:
        """(ranks,) expert inputs that each device computes."""
        return np.asarray(self.to_device.sum(axis=0), dtype=np.int64)


def route_tokens(
    moe: MoeSpec,
    placement: Placement,
    ranks: int,
    gpus_per_host: int,
    tokens: int,
    load: Floats,
    gate: Gate,
    rng: np.random.Generator,
) -> Routed:
    """Sample every token of every rank and count where it goes."""
    width = min(gpus_per_host, ranks)
    hosts = ranks // width
    gated = moe if gate == "model" else by_host(moe, hosts)
    to_host = np.zeros((ranks, hosts), dtype=np.int64)
    inside = np.zeros((hosts, width, width), dtype=np.int64)
    to_device = np.zeros((ranks, ranks), dtype=np.int64)
    uniform = bool((load == 1.0).all())
    for rank in range(ranks):
        chosen = choose_experts(gated, rng, tokens, gate, None if uniform else load)
        device = _replica_of(placement, chosen, rank)
        to_device[rank] = np.bincount(device.ravel(), minlength=ranks)
        visited = np.zeros((tokens, ranks), dtype=bool)
        np.put_along_axis(visited, device, True, axis=1)
        by_place = visited.reshape(tokens, hosts, width)
        to_host[rank] = by_place.any(axis=2).sum(axis=0)
        inside[:, rank % width] += by_place.sum(axis=0)
    return Routed(to_host, inside, to_device, tokens)


def _replica_of(placement: Placement, chosen: Ints, rank: int) -> Ints:
    """Device of each chosen expert; tokens take the replicas in turn."""
    turn = (np.arange(len(chosen))[:, None] + rank) % placement.replicas[chosen]
    return np.asarray(placement.device[chosen, turn], dtype=np.int64)
