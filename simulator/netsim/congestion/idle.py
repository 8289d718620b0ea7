"""Closed forms of an idle fabric: a packet over a path, a round trip, and a message alone.

    packet     sum over links of size / rate + delay (cut-through: size once, the header's time at every other switch)
    message    the packet over the path, then the rest at the rate of the slowest link: k packets over links of one
               rate r take (k + links - 1) packets / r and the pipes

Left out: a short last packet arrives sooner by up to a packet's time on every link but one; the closed form has it
exactly for messages of one packet, and takes all others as full.
"""

from __future__ import annotations

import numpy as np

from netsim.congestion.network import Network
from netsim.congestion.state import PS, Floats, Ints, Records
from netsim.errors import NetsimError
from netsim.specs.packets import PacketsSpec


def idle_round_trip_s(network: Network, flows: Records, spec: PacketsSpec) -> Floats:
    """(n_flows,) a full packet out and a control packet back on an idle path, seconds."""
    out = one_way_s(network, flows, spec, int(spec.packet.payload + spec.packet.header))
    return out + one_way_s(network, flows, spec, int(spec.packet.control))


def one_way_s(network: Network, flows: Records, spec: PacketsSpec, size: int) -> Floats:
    """(n_flows,) seconds for one packet of `size` bytes over the idle path of each flow."""
    ports = network.ports
    total = np.zeros(flows.size)
    cut = spec.switch.cut_through and size > spec.packet.header
    small = int(spec.packet.header) if cut else size

    def add(links: Ints, to: Ints, times: Ints | int = 1) -> None:
        link = ports[np.maximum(links, 0)]
        on = (links >= 0) * np.asarray(times)
        into_switch = to >= 0
        bits = np.where(into_switch, small, size) * link["ps_per_byte"]
        total[:] += on * (np.round(bits) + link["delay"]) / PS

    nic = network.nic
    add(flows["origin"], np.full(flows.size, -1))
    add(flows["inside"], np.full(flows.size, -1))
    remote = flows["target_nic"] >= 0
    out = np.where(remote, nic[0] + flows["source_nic"] * nic[2], -1)
    into = np.where(remote, nic[1] + flows["target_nic"] * nic[2], -1)
    add(out, ports["target"][np.maximum(out, 0)])
    add(into, np.full(flows.size, -1))
    here, there = ports["target"][np.maximum(out, 0)], ports["source"][np.maximum(into, 0)]
    between = np.where(remote, network.away[here, there], 0)
    if (between < 0).any():
        raise NetsimError("the fabric does not connect all GPUs that exchange messages")
    cable = np.flatnonzero((ports["source"] >= 0) & (ports["target"] >= 0))
    if cable.size:
        add(np.full(flows.size, cable[0]), np.zeros(flows.size, np.int64), between)
    return total


def ideal_s(network: Network, flows: Records, spec: PacketsSpec) -> Floats:
    """(n_flows,) seconds of each message alone on an idle fabric."""
    f, ports = flows, network.ports
    remote = f["target_nic"] >= 0
    first = np.where(remote, network.nic[0] + f["source_nic"] * network.nic[2], f["origin"])
    slowest = ports["ps_per_byte"][first] / np.where(remote, network.nic[2], 1)
    if spec.spread.by in ("ecmp", "flowlet"):
        slowest = ports["ps_per_byte"][first]
    payload, header = int(spec.packet.payload), int(spec.packet.header)
    wire = f["size"] + f["packets"].astype(np.int64) * header
    full = np.minimum(f["size"], payload) + header
    alone = f["size"] <= payload
    away = np.zeros(f.size)
    for size in np.unique(full):
        at = full == size
        away[at] = one_way_s(network, f[at], spec, int(size))
    return np.asarray(np.where(alone, away, away + (wire - full) * slowest / PS), np.float64)
