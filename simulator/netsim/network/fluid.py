"""A network whose flows are fluid: a clock over the max-min rates.

Flows share links by weighted max-min fairness, exactly, at every instant; rates change when flows start, end, or a
capacity changes, and only what the event reaches is solved again (`netsim.network.filling` says why that is exact).
Starts, ends and changes at one instant cost one solve, because solving waits until the next time is asked for.

Ends that differ by less than 2^-46 of the clock (64 ulp) are one instant; each flow is credited all its bytes.

Left out: packets, queues and the transients of congestion control (`netsim.congestion` shows what that costs);
latency, which is paid outside.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netsim.network import components, events, filling, progress, state
from netsim.network.flows import FlowTable

NOTHING: NDArray[np.int64] = np.zeros(0, np.int64)
NOTHING.flags.writeable = False


class FluidNetwork:
    """State machine over the events: knows time, not SimPy.

    Parameters
    ----------
    capacity_bytes_per_s : (n_links,)
    table : every flow that may ever run

    Examples
    --------
    Two flows of 10 bytes share a link of 5 bytes/s; one of them starts 2 s later.

    >>> table = FlowTable.from_batches([([[0]], 10.0), ([[0]], 10.0)])
    >>> net = FluidNetwork(np.array([5.0]), table)
    >>> net.start(0.0, [0])
    >>> net.next_completion_s()
    2.0
    >>> net.start(1.0, [1])
    >>> net.next_completion_s(), net.advance(3.0).tolist()
    (3.0, [0])
    >>> net.next_completion_s(), net.advance(4.0).tolist()
    (4.0, [1])
    """

    def __init__(self, capacity_bytes_per_s: NDArray[np.float64], table: FlowTable) -> None:
        self._s = state.make_state(capacity_bytes_per_s, table)
        self._capacity = np.array(capacity_bytes_per_s, np.float64)
        self._table = table
        self._n_links = len(capacity_bytes_per_s)
        self._n_batches = table.n_batches

    def start(
        self,
        now_s: float,
        batches: Sequence[int] | NDArray[np.int64],
        unit_bytes: float = 1.0,
        kernel_bytes_per_s: float = 1.0,
    ) -> None:
        """Begin `batches` at `now_s`.

        Flows have ``unit_bytes * unit_share`` bytes and are never faster than ``kernel_bytes_per_s * rate_cap``.

        Raises
        ------
        ValueError
            when a batch is unknown or still running, time goes back or past an end not yet taken with `advance`, or
            `unit_bytes` or `kernel_bytes_per_s` is negative or NaN.
        """
        which = np.ascontiguousarray(batches, np.int64)
        if not 0.0 <= unit_bytes < np.inf:
            raise ValueError(f"unit_bytes = {unit_bytes}, must be >= 0 and finite")
        if not kernel_bytes_per_s >= 0.0:
            raise ValueError(f"kernel_bytes_per_s = {kernel_bytes_per_s}, must be >= 0")
        self._check_time(now_s)
        refused = events.start(self._s, float(now_s), which, float(unit_bytes), float(kernel_bytes_per_s))
        if refused == events.LATE:
            raise self._late(now_s)
        if refused == events.UNKNOWN:
            raise ValueError(f"batches {which.min()}..{which.max()}, must be in 0..{self._n_batches - 1}")
        if refused >= 0:
            raise ValueError(
                f"batch {refused} started at {now_s} s, but it is still running (or its end not yet taken by advance)"
            )

    def next_completion_s(self) -> float:
        """Absolute time at which the next flow ends; ``inf`` when nothing moves."""
        due: float = events.next_end(self._s)
        return due

    def advance(self, now_s: float) -> NDArray[np.int64]:
        """Let time pass to `now_s`; the batches whose last flow ended since the last call, ascending."""
        if events.advance(self._s, float(now_s)) == 0:
            return NOTHING
        done: NDArray[np.int64] = events.take_done(self._s)
        return done

    def set_capacity(self, now_s: float, links: ArrayLike, capacity_bytes_per_s: ArrayLike) -> None:
        """Change capacities in the middle of flows (faults, degraded links); bytes already sent are kept."""
        which = np.atleast_1d(np.asarray(links, np.int64))
        value = np.ascontiguousarray(
            np.broadcast_to(np.asarray(capacity_bytes_per_s, np.float64), which.shape)
        )
        if which.size and not (which.min() >= 0 and which.max() < self._n_links):
            raise ValueError(f"links {which.min()}..{which.max()}, must be in 0..{self._n_links - 1}")
        if not (value >= 0).all():
            raise ValueError(f"capacity {value.min()}, must be >= 0 bytes/s")
        self._check_time(now_s)
        value = np.minimum(value, state.UNBOUNDED)
        if events.overdue(self._s, float(now_s)):
            raise self._late(now_s)
        self._capacity[which] = value
        dominated = np.flatnonzero(self._s.dominator >= 0)
        by = self._s.dominator[dominated]
        if (self._capacity[dominated] < self._capacity[by]).any():
            self._go_on(now_s, self._table)  # a link may bind that could not so far
        else:
            events.set_capacity(self._s, float(now_s), which, value)

    def reroute(self, now_s: float, table: FlowTable) -> None:
        """Flows take the paths of `table` from now on, those under way too; bytes already sent are kept.

        `table` holds the same flows in the same batches, of the same sizes, caps and weights, over other links.

        Raises
        ------
        ValueError
            when it does not, or time goes back or past an end not yet taken with `advance`.
        """
        old = self._table
        for name in ("batch_ptr", "unit_share", "rate_cap", "weight"):
            if not np.array_equal(getattr(table, name), getattr(old, name)):
                raise ValueError(f"{name} differs: only the links of flows may change")
        if ((np.diff(table.link_ptr) == 0) != (np.diff(old.link_ptr) == 0)).any():
            raise ValueError("a flow without links cannot get some, nor lose all that it has")
        self._check_time(now_s)
        if events.overdue(self._s, float(now_s)):
            raise self._late(now_s)
        self._go_on(now_s, table)

    def _go_on(self, now_s: float, table: FlowTable) -> None:
        new = state.make_state(self._capacity, table)
        progress.hand_over(self._s, new, float(now_s), self._n_links)
        self._s, self._table = new, table

    def bottleneck_link(self, batch: int) -> int:
        """The link that bound the batch's last-ending flow when it ended; -1 for its own cap or nothing."""
        owner = int(self._s.batch["owner"][batch])
        return owner if owner < self._n_links else -1

    @property
    def standing(self) -> NDArray[np.int64]:
        """Flows under way whose rate is 0."""
        stuck = (self._s.flow["active"] != 0) & (self._progress()[1] == 0)
        return np.flatnonzero(stuck)

    @property
    def link_bytes(self) -> NDArray[np.float64]:
        """(n_links,) bytes carried so far, up to the last event."""
        return self._progress()[0]

    @property
    def link_busy_s(self) -> NDArray[np.float64]:
        """(n_links,) time with at least one active flow, up to the last event."""
        link, tally = self._s.link[: self._n_links], self._s.tally[: self._n_links]
        open_s = np.where(link["active"] > 0, self._s.clock[state.LAST] - tally["busy_since"], 0.0)
        busy: NDArray[np.float64] = tally["busy"] + open_s
        return busy

    @property
    def rates(self) -> NDArray[np.float64]:
        """(n_flows,) bytes/s at the last event, 0 for a flow that is not active."""
        return self._progress()[1]

    @property
    def events(self) -> int:
        """Instants and calls handled so far."""
        return int(self._s.counts[state.N_EVENTS])

    @property
    def solves(self) -> int:
        """Solves so far: at most one per instant."""
        return int(self._s.counts[state.N_SOLVES])

    @property
    def visits(self) -> int:
        """Flows visited by all solves so far: the work done."""
        return int(self._s.counts[state.N_VISITS])

    @property
    def looks(self) -> int:
        """Links whose level was looked at by all solves so far."""
        return int(self._s.counts[state.N_LOOKS])

    def _progress(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        filling.solve(self._s)
        total, rates = self._s.tally["bytes"][: self._n_links].copy(), np.zeros(self._s.flow.size)
        progress.add_progress(self._s, total, rates)
        return total, rates

    def _late(self, now_s: float) -> ValueError:
        return ValueError(
            f"time {now_s} s is past an end at {self.next_completion_s()} s: advance to that first"
        )

    def _check_time(self, now_s: float) -> None:
        last = self._s.clock[state.LAST]
        if not now_s >= last:
            raise ValueError(f"time {now_s} s is before the last event at {last} s")


def drain(
    capacity: NDArray[np.float64], table: FlowTable, start_s: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Finish times of all flows when every batch runs once, from scratch.

    Parameters
    ----------
    capacity : (n_links,) bytes/s
    table : flows and batches
    start_s : (n_batches,) when each batch starts; default all at 0

    Returns
    -------
    finish_s : (n_flows,) ``inf`` for a flow that can never end

    Examples
    --------
    Three flows of 6 bytes over one link of 6 bytes/s end together; one more starts when they do.

    >>> table = FlowTable.from_batches([([[0], [0], [0]], 6.0), ([[0]], 6.0)])
    >>> drain(np.array([6.0]), table, np.array([0.0, 3.0])).tolist()
    [3.0, 3.0, 3.0, 4.0]
    """
    begin = np.zeros(table.n_batches) if start_s is None else np.array(start_s, np.float64)
    if begin.shape != (table.n_batches,) or np.isnan(begin).any():
        raise ValueError(f"start_s must be ({table.n_batches},) numbers")
    s = state.make_state(capacity, table)
    components.run_by_component(s, np.argsort(begin, kind="stable"), begin)
    return np.where(s.flow["active"] == 0, s.flow["since"], np.inf)
