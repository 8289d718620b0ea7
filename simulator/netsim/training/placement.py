"""Ranks to devices.

Ranks are numbered as `workloads.plan` says: rank r = p * (gpus / pipeline) + position in pipeline rank p, tensor
parallelism fastest, so that a stage group is a run of ranks. Policies:

    contiguous   rank r on GPU r: a stage group fills as few hosts, and so leaves, as it can
    spread       the hosts of a stage group as far apart as they go: the i-th hosts of all groups side by side
    random       whole hosts dealt out at random (seeded), as a cluster does that has run for a while; a host keeps its
                 ranks in their order, since schedulers give out whole hosts
    file         a CSV of rank,host,gpu, one line a rank

Tensor parallelism, and a stage group up to the size of a host, must lie within one host whatever the policy; larger
groups take whole hosts.

Source: Megatron-LM's rank order, Narayanan et al., SC 2021, arXiv 2104.04473.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netsim.errors import NetsimError, SpecError
from netsim.specs import files
from netsim.specs.workload import PlacementSpec
from netsim.units import whole
from netsim.workloads.plan import Plan

Gpus = NDArray[np.int64]
_COLUMNS = ["rank", "host", "gpu"]


def place(plan: Plan, gpus_per_host: int, spec: PlacementSpec, seed: int = 0) -> Gpus:
    """GPU of each rank, (pipeline, groups, group).

    Raises SpecError when a stage group would straddle part of a host, when the policy has nothing to move, NetsimError
    for a file that does not place every rank once.
    """
    _check_host(plan, gpus_per_host)
    if spec.policy == "file":
        assert spec.file is not None
        gpus = _from_file(Path(spec.file), plan.gpus, gpus_per_host)
        _check_blocks(gpus, min(plan.group, gpus_per_host), gpus_per_host, spec.file)
    else:
        hosts = _hosts(plan, gpus_per_host, spec.policy, seed)
        within = np.arange(gpus_per_host, dtype=np.int64)
        gpus = (hosts[:, None] * gpus_per_host + within).ravel()[: plan.gpus]
    return gpus.reshape(plan.pipeline, plan.groups, plan.group)


def _check_host(plan: Plan, gpus_per_host: int) -> None:
    if gpus_per_host % plan.tensor:
        rule = f"must divide the {gpus_per_host} GPUs of a host: tensor parallelism stays within one"
        raise SpecError("placement", "parallelism.tensor", plan.tensor, rule)
    if plan.group % gpus_per_host and gpus_per_host % plan.group:
        inner = "parallelism.expert" if plan.group == plan.expert else "tensor x context"
        rule = f"must divide, or be a multiple of, the {gpus_per_host} GPUs of a host"
        raise SpecError("placement", inner, plan.group, rule)


def _hosts(plan: Plan, gpus_per_host: int, policy: str, seed: int) -> Gpus:
    """The host that each host's worth of ranks goes to, (hosts,)."""
    hosts = np.arange(-(-plan.gpus // gpus_per_host), dtype=np.int64)
    if policy == "random":
        if plan.gpus % gpus_per_host:
            rule = f"whole hosts are dealt out, and {plan.gpus} GPUs do not fill hosts of {gpus_per_host}"
            raise SpecError("placement", "placement.policy", policy, rule)
        return np.random.default_rng([seed, 0x91ACE]).permutation(hosts)
    if policy == "spread":
        each = plan.group // gpus_per_host
        if each < 2 or hosts.size == each:
            rule = (
                "no stage group has several hosts to spread"
                if each < 2
                else "one stage group fills the cluster"
            )
            raise SpecError("placement", "placement.policy", policy, rule)
        return hosts.reshape(each, -1).T.ravel()
    return hosts


def _from_file(path: Path, gpus: int, gpus_per_host: int) -> Gpus:
    """GPU of each rank by a CSV of rank,host,gpu."""
    try:
        lines = files.read_text(path).splitlines()
        rows = list(csv.reader(line for line in lines if line.strip() and not line.startswith("#")))
    except OSError as error:
        raise NetsimError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise NetsimError(f"{path}: not UTF-8 text") from None
    except csv.Error as error:
        raise NetsimError(f"{path}: not a CSV: {error}") from None
    if not rows or [name.strip() for name in rows[0]] != _COLUMNS:
        raise NetsimError(f"{path}: the first line must be rank,host,gpu")
    limits = (gpus, gpus // gpus_per_host, gpus_per_host)
    found = np.full(gpus, -1, dtype=np.int64)
    taken = np.full(gpus, -1, dtype=np.int64)
    for row in rows[1:]:
        rank, host, gpu = _numbers(path, row, limits)
        where = host * gpus_per_host + gpu
        if found[rank] >= 0:
            raise NetsimError(f"{path}: rank {rank} is placed twice")
        if taken[where] >= 0:
            raise NetsimError(f"{path}: host {host} gpu {gpu} holds rank {taken[where]} and rank {rank}")
        found[rank], taken[where] = where, rank
    if (found < 0).any():
        missing = int(np.flatnonzero(found < 0)[0])
        raise NetsimError(f"{path}: rank {missing} is missing; {gpus} ranks must be placed, 0 to {gpus - 1}")
    return found


def _numbers(path: Path, row: list[str], limits: tuple[int, int, int]) -> tuple[int, int, int]:
    line = ",".join(row)
    values = [number for value in row if (number := whole(value)) is not None]
    if not len(values) == len(row) == len(_COLUMNS):
        raise NetsimError(f"{path}: {line[:80]!r}: must be three whole numbers rank,host,gpu")
    for name, value, limit in zip(_COLUMNS, values, limits, strict=True):
        if value >= limit:
            raise NetsimError(f"{path}: {line!r}: {name} = {value}, must be less than {limit}")
    return values[0], values[1], values[2]


def _check_blocks(gpus: Gpus, block: int, gpus_per_host: int, path: str) -> None:
    """What has to share a host: each stage group, or each host's worth of a larger one."""
    hosts = gpus.reshape(-1, block) // gpus_per_host
    split = np.flatnonzero((hosts != hosts[:, :1]).any(axis=1))
    if split.size:
        first = int(split[0]) * block
        raise NetsimError(
            f"{path}: ranks {first} to {first + block - 1} must be on one host: they form a stage group"
        )
