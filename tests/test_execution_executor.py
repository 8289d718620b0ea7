"""The executor: queues, waits and rendezvous on worlds of a few tasks."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netsim
from netsim.errors import NetsimError
from netsim.execution.executor import Program, Transfer, execute
from netsim.network.flows import FlowTable
from netsim.network.fluid import FluidNetwork

NAN = float("nan")


def program(
    rows: list[tuple[int, int, float, int, tuple[int, ...]]],
    transfers: list[Transfer] | None = None,
    joint_size: list[int] | None = None,
) -> Program:
    """Rows of (actor, queue, seconds, transfer, waits)."""
    waits = [row[4] for row in rows]
    return Program(
        actor=np.array([row[0] for row in rows]),
        queue=np.array([row[1] for row in rows]),
        seconds=np.array([row[2] for row in rows]),
        transfer=np.array([row[3] for row in rows]),
        wait_ptr=np.concatenate([[0], np.cumsum([len(w) for w in waits])]).astype(np.int64),
        wait_ids=np.array([w for ws in waits for w in ws], dtype=np.int64),
        transfers=transfers or [],
        joint_size=joint_size or [],
    )


def link(capacity: float, *sizes: float) -> FluidNetwork:
    """One link, a batch of one flow for each size."""
    return FluidNetwork(np.array([capacity]), FlowTable.from_batches([([[0]], size) for size in sizes]))


def test_a_queue_runs_in_order_and_queues_run_side_by_side() -> None:
    done = execute(program([(0, 0, 2.0, -1, ()), (0, 0, 1.0, -1, ()), (0, 1, 5.0, -1, ())]), link(1.0))
    assert done.start_s.tolist() == [0, 2, 0]
    assert done.end_s.tolist() == [2, 3, 5]


def test_a_wait_holds_up_the_whole_queue() -> None:
    rows = [(0, 0, 4.0, -1, ()), (0, 1, 1.0, -1, (0,)), (0, 1, 1.0, -1, ())]
    assert execute(program(rows), link(1.0)).start_s.tolist() == [0, 4, 5]


def test_a_transfer_takes_latency_then_its_share_of_the_link() -> None:
    # two transfers of 6 bytes share 2 bytes/s: alone until t = 2, then halves
    transfers = [Transfer(0, 1.0, np.inf, 1.0), Transfer(1, 1.0, np.inf, 2.0)]
    rows = [(0, 1, NAN, 0, ()), (1, 1, NAN, 1, ())]
    done = execute(program(rows, transfers), link(2.0, 6.0, 6.0))
    # the first moves 2 bytes in [1, 2], 4 more at 1 byte/s until 6; the second has 2 left then: 7
    assert done.end_s.tolist() == [6.0, 7.0]
    assert done.bottleneck.tolist() == [0, 0]


def test_a_kernel_slower_than_the_link_is_what_binds() -> None:
    network = FluidNetwork(
        np.array([10.0]),
        FlowTable(
            link_ptr=np.array([0, 1]), link_ids=np.array([0]), link_share=np.ones(1), batch_ptr=np.array([0, 1]),
            unit_share=np.array([1.0]), rate_cap=np.array([0.5]), weight=np.ones(1),
        ),
    )  # fmt: skip
    # the flow has half of a kernel rate of 4 bytes/s, its unit is 12 bytes: 6 s; then unbounded: 1.2 s
    transfers = [Transfer(0, 12.0, 4.0, 0.0), Transfer(0, 12.0, np.inf, 0.0)]
    done = execute(program([(0, 1, NAN, 0, ()), (0, 1, NAN, 1, ())], transfers), network)
    np.testing.assert_allclose(done.end_s, [6.0, 7.2])
    assert done.bottleneck.tolist() == [-1, 0]


def test_a_joint_transfer_starts_with_its_last_member() -> None:
    transfers = [Transfer(0, 1.0, np.inf, 0.0, rendezvous=0)]
    rows = [(0, 2, NAN, 0, ()), (1, 0, 3.0, -1, ()), (1, 2, NAN, 0, (1,))]
    done = execute(program(rows, transfers, [2]), link(1.0, 5.0))
    assert done.end_s.tolist() == [8.0, 3.0, 8.0]


def test_what_never_ends_is_an_error_that_names_it() -> None:
    with pytest.raises(NetsimError, match="1 of 1 tasks never end, the first on actor 0"):
        execute(program([(0, 1, NAN, 0, ())], [Transfer(0, 1.0, np.inf, 0.0)]), link(0.0, 1.0))


def naive_list_schedule(rows: list[tuple[int, int, float, int, tuple[int, ...]]]) -> list[float]:
    """End of every task: relaxed from zero until nothing moves, with no queues, events or clock."""
    end = [0.0] * len(rows)
    while True:
        before, last = list(end), {}
        for task, (actor, queue, seconds, _, waits) in enumerate(rows):
            ready = max([last.get((actor, queue), 0.0), *(end[w] for w in waits)])
            end[task] = last[actor, queue] = ready + seconds
        if end == before:
            return end


@st.composite
def small_schedules(draw: st.DrawFn) -> list[tuple[int, int, float, int, tuple[int, ...]]]:
    """Up to 40 tasks on 3 actors of 2 queues, each waiting for a few earlier ones."""
    rows = []
    for task in range(draw(st.integers(1, 40))):
        waits = draw(st.sets(st.integers(0, task - 1), max_size=3)) if task else set()
        seconds = draw(st.floats(0, 5, allow_nan=False))
        rows.append((draw(st.integers(0, 2)), draw(st.integers(0, 1)), seconds, -1, tuple(sorted(waits))))
    return rows


@settings(max_examples=300, deadline=None)
@given(small_schedules())
def test_engine_agrees_with_a_naive_list_schedule(
    rows: list[tuple[int, int, float, int, tuple[int, ...]]],
) -> None:
    done = execute(program(rows), link(1.0))
    np.testing.assert_allclose(done.end_s, naive_list_schedule(rows), rtol=1e-12)


def test_the_package_keeps_to_simpys_public_interface() -> None:
    # the attributes that SimPy's own events hide, and its method that takes a priority
    private = re.compile(r"\._(ok|value|defused)\b|\bEventPriority\b|\.schedule\(")
    found = [
        f"{path.name}:{n}"
        for path in Path(netsim.__file__).parent.rglob("*.py")
        if "simpy" in (text := path.read_text())
        for n, line in enumerate(text.splitlines(), 1)
        if private.search(line)
    ]
    assert not found
