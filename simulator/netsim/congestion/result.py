"""What a packet simulation saw: per message, per link, and over time.

Slowdown is the time of a message over that of the same message alone on an idle fabric, by the closed form of
`netsim.congestion.idle`. Fairness is Jain's index of the rates of messages of one size that end at one receiver.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from netsim.congestion.messages import Messages
from netsim.congestion.state import Floats, Ints, State
from netsim.specs.packets import PacketsSpec
from netsim.topologies import LINK_KINDS, Topology


@dataclass(frozen=True, eq=False)
class PacketResult:
    """A run that has ended.

    finish_s, ideal_s : (n,) arrival of the last byte, nan when it never came; time alone on an idle fabric
    queue_times_s : (m,); queue_bytes : (m, n_links) what waited then; delivered_packets : (m,) that had come
    """

    topology: Topology
    spec: PacketsSpec
    messages: Messages
    state: State
    finish_s: Floats
    ideal_s: Floats
    queue_times_s: Floats
    queue_bytes: NDArray[np.float32]
    delivered_packets: NDArray[np.float32]
    wall_s: float

    @property
    def seconds(self) -> float:
        """Until the last message has come; nan when one never did."""
        return float(self.finish_s.max() - self.messages.start_s.min())

    @cached_property
    def flows(self) -> pd.DataFrame:
        """A row a message."""
        m, f = self.messages, self.state.flows
        time = self.finish_s - m.start_s
        columns: dict[str, object] = {
            "group": np.array(m.groups)[m.group],
            "source_gpu": m.source,
            "target_gpu": m.target,
            "size_bytes": m.size_bytes,
            "start_us": m.start_s * 1e6,
            "fct_us": time * 1e6,
            "ideal_us": self.ideal_s * 1e6,
            "slowdown": time / self.ideal_s,
            "goodput_GBps": m.size_bytes / time / 1e9,
            "packets": f["packets"].astype(np.int64),
            "resent": f["resent"].astype(np.int64),
            "marked": f["marked"].astype(np.int64),
            "notifications": f["cnps"].astype(np.int64),
        }
        return pd.DataFrame(columns)

    @cached_property
    def links(self) -> pd.DataFrame:
        """A row a link that has sent something."""
        p, top = self.state.ports, self.topology
        now = max(int(self.state.totals["now"][0]), 1)
        used = np.flatnonzero((p["packets"] > 0) | (p["drops"] > 0))
        seen = p[used]
        sent = np.maximum(seen["packets"], 1)
        columns: dict[str, object] = {
            "link": used,
            "kind": np.array(LINK_KINDS)[top.link_kind[used]],
            "plane": top.link_plane[used].astype(np.int64),
            "from_node": top.link_src[used].astype(np.int64),
            "to_node": top.link_dst[used].astype(np.int64),
            "packets": seen["packets"],
            "bytes": seen["bytes"],
            "utilisation": seen["bytes"] * seen["ps_per_byte"] / now,
            "mean_queue_packets": seen["area"] / now,
            "mean_wait_us": seen["wait"] / sent / 1e6,
            "most_queued_bytes": seen["most"],
            "paused_us": seen["paused"] / 1e6,
            "pauses_sent": seen["pauses"],
            "marked": seen["marks"],
            "trimmed": seen["trims"],
            "dropped": seen["drops"],
        }
        return pd.DataFrame(columns)

    def record(self) -> dict[str, object]:
        """The answer as plain values."""
        t = self.state.totals[0]
        done = np.isfinite(self.finish_s)
        seconds = self.seconds
        remote = self.state.flows["target_nic"] >= 0
        links = self.links
        return {
            "time_us": seconds * 1e6 if done.all() else None,
            "messages": len(self.messages),
            "unfinished": int((~done).sum()),
            "data_bytes": int(self.messages.size_bytes.sum()),
            "goodput_GBps_per_sender": self._goodput(remote, seconds) if done.all() else None,
            "groups": [self._group(n) for n in range(len(self.messages.groups))],
            "packets": int(t["data_packets"]),
            "packet_hops": int(t["hops"]),
            "data_packet_hops": int(t["data_hops"]),
            "resent": int(self.state.flows["resent"].sum()),
            "trimmed": int(t["trimmed"]),
            "dropped": int(t["dropped"]),
            "marked": int(links["marked"].sum()),
            "pauses": int(links["pauses_sent"].sum()),
            "paused_us": float(links["paused_us"].sum()),
            "most_queued_bytes": int(links["most_queued_bytes"].max()),
            "wall_s": self.wall_s,
        }

    def _goodput(self, remote: NDArray[np.bool_], seconds: float) -> float | None:
        if not remote.any():
            return None
        senders = np.unique(self.messages.source[remote]).size
        return float(self.messages.size_bytes[remote].sum() / seconds / senders / 1e9)

    def _group(self, number: int) -> dict[str, object]:
        rows = self.flows[self.messages.group == number]
        done = rows[np.isfinite(rows["fct_us"])]
        fct, slow = done["fct_us"].to_numpy(), done["slowdown"].to_numpy()
        if not fct.size:
            return {"name": self.messages.groups[number], "messages": len(rows), "finished": 0}
        p50, p99 = np.percentile(fct, [50, 99])
        s50, s99 = np.percentile(slow, [50, 99])
        return {
            "name": self.messages.groups[number],
            "messages": len(rows),
            "finished": len(done),
            "fct_p50_us": float(p50),
            "fct_p99_us": float(p99),
            "fct_most_us": float(fct.max()),
            "slowdown_p50": float(s50),
            "slowdown_p99": float(s99),
            "slowdown_most": float(slow.max()),
            "goodput_GBps_mean": float(done["goodput_GBps"].mean()),
            "fairness": _between_hosts(done, self.topology.gpus_per_host),
        }


def _between_hosts(rows: pd.DataFrame, per_host: int) -> float | None:
    """Fairness among the messages that cross the fabric."""
    source, target = rows["source_gpu"].to_numpy(), rows["target_gpu"].to_numpy()
    remote = source // per_host != target // per_host
    if not remote.any():
        return None
    return fairness(rows["goodput_GBps"].to_numpy()[remote], target[remote])


def fairness(rate: Floats, target: Ints) -> float:
    """Jain's index of rates, the mean over receivers: 1 when all of a receiver's messages are as fast.

    Source: Jain, Chiu, Hawe, DEC-TR-301, 1984.

    >>> fairness(np.array([1.0, 1.0, 3.0]), np.array([0, 0, 1]))
    1.0
    """
    _, at, count = np.unique(target, return_inverse=True, return_counts=True)
    total, squares = np.bincount(at, rate), np.bincount(at, rate * rate)
    return float((total * total / (count * squares)).mean())
