"""What direct networks share: every switch holds endpoints, and switches have no tiers above one another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netsim.errors import SpecError
from netsim.specs import TopologySpec
from netsim.topologies.fabric import Fabric, Structure

Ints = NDArray[np.int64]


def check_flat(spec: TopologySpec) -> None:
    """Raises SpecError for widths that only trees have."""
    for key, value, fits in (
        ("tiers", spec.tiers, 1),
        ("planes", spec.planes, 1),
        ("oversubscription", list(spec.oversubscription), []),
    ):
        if value != fits:
            raise SpecError(spec.name, key, value, f"family {spec.family} has {fits}")


def deal_out(endpoints: int, switches: int) -> Ints:
    """Switch of each endpoint: in order, and equally many on each, or one less on the later.

    >>> deal_out(5, 3).tolist()
    [0, 0, 1, 1, 2]
    """
    size = np.full(switches, endpoints // switches)
    size[: endpoints % switches] += 1
    return np.repeat(np.arange(switches), size)


def flat_fabric(
    endpoint_switch: Ints,
    switches: int,
    lower: Ints,
    upper: Ints,
    structure: Structure,
    hops: tuple[int, ...],
    group: Ints | None = None,
) -> Fabric:
    """One plane of switches of one tier; `group` becomes their pod."""
    return Fabric(
        endpoint_plane=np.zeros_like(endpoint_switch),
        endpoint_switch=endpoint_switch,
        switch_tier=np.ones(switches, dtype=np.int64),
        switch_plane=np.zeros(switches, dtype=np.int64),
        switch_pod=np.full(switches, -1) if group is None else group,
        cable_lower=lower,
        cable_upper=upper,
        tiers=1,
        structure=structure,
        switch_hops=hops,
    )
