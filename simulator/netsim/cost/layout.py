"""Where things stand in the hall, and so how long each cable is.

Racks of 32 GPUs (or one host, where it is larger) stand in rows of 16, 0.6 m apart, rows 3 m apart. A switch with
hosts stands in the middle of them, one without stands in the middle of the switches below it. A cable within a
rack is 2 m; any other runs along the rows (Manhattan distance) with 4 m to climb to the trays and come down.

An assumption of a simple hall, not a floor plan: power per rack, cable bundles, hall edges and aisles between
blocks are left out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netsim.topologies import LinkKind, Topology

Floats = NDArray[np.float64]

RACK_GPUS, ROW_RACKS = 32, 16
RACK_PITCH_M, ROW_PITCH_M = 0.6, 3.0
IN_RACK_M, RISE_M = 2.0, 4.0


def cable_lengths_m(topology: Topology) -> tuple[Floats, Floats]:
    """Metres of every cable from NIC to switch, (endpoints,), and between switches, (switch_links,)."""
    host = np.arange(topology.endpoints) // (topology.endpoints // topology.hosts)
    endpoint = _hosts_xy(topology)[host]
    switch = _switches_xy(topology, endpoint)
    ups = topology.links(LinkKind.UP)
    lower = topology.link_src[ups.start : ups.stop] - topology.first_switch
    upper = topology.link_dst[ups.start : ups.stop] - topology.first_switch
    return _length(endpoint, switch[topology.endpoint_switch]), _length(switch[lower], switch[upper])


def _hosts_xy(topology: Topology) -> Floats:
    """Metres along the row and across rows, (hosts, 2)."""
    rack = np.arange(topology.hosts) // max(1, RACK_GPUS // topology.gpus_per_host)
    row, place = np.divmod(rack, ROW_RACKS)
    return np.column_stack([place * RACK_PITCH_M, row * ROW_PITCH_M])


def _switches_xy(topology: Topology, endpoint: Floats) -> Floats:
    """Each switch at the mean of what hangs below it, tier by tier, (switches, 2)."""
    tier = topology.node_tier[topology.first_switch :]
    ups = topology.links(LinkKind.UP)
    lower = topology.link_src[ups.start : ups.stop] - topology.first_switch
    upper = topology.link_dst[ups.start : ups.stop] - topology.first_switch
    total, count = np.zeros((topology.switches, 2)), np.zeros(topology.switches)
    np.add.at(total, topology.endpoint_switch, endpoint)
    np.add.at(count, topology.endpoint_switch, 1.0)
    place = np.where(count[:, None] > 0, total / np.maximum(count, 1.0)[:, None], endpoint.mean(axis=0))
    for above in range(2, topology.tiers + 1):
        mine = tier[upper] == above
        total, count = np.zeros_like(total), np.zeros_like(count)
        np.add.at(total, upper[mine], place[lower[mine]])
        np.add.at(count, upper[mine], 1.0)
        place = np.where(count[:, None] > 0, total / np.maximum(count, 1.0)[:, None], place)
    return place


def _length(here: Floats, there: Floats) -> Floats:
    apart = np.abs(here - there).sum(axis=1)
    return np.where(apart < RACK_PITCH_M, IN_RACK_M, apart + RISE_M)
