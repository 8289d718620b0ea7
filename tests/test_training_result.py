"""What a step comes to, on an execution small enough to add up in the head."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from netsim.execution.executor import Execution, Program, Transfer, execute
from netsim.network.flows import FlowTable
from netsim.network.fluid import FluidNetwork
from netsim.training.program import Instances
from netsim.training.result import collective_statistics, phases
from netsim.training.tables import links_table, tasks_table
from netsim.workloads.schedules import Chunk, Unit
from netsim.workloads.tasks import COMMUNICATION, COMPUTE, GRADIENT, Work

UNIT = Unit(0, 0)
CHUNKS = [Chunk(forward=UNIT), Chunk(UNIT, UNIT, UNIT), Chunk()]
#: (queue, work, chunk) of the tasks of a rank
TASKS = [
    (COMPUTE, Work("moe", "attn", "F"), 0),
    (COMMUNICATION, Work("dispatch", phase="F"), 0),
    (COMPUTE, Work("moe", "mlp", "F"), 0),
    (COMPUTE, Work("moe", "attn", "F", True), 1),
    (COMMUNICATION, Work("combine", phase="F", overlapped=True), 1),
    (COMMUNICATION, Work("send_forward", phase="F", step=1), 1),
    (GRADIENT, Work("reduce_scatter", stage=0), 2),
    (COMPUTE, Work("optimizer", stage=0), 2),
]
#: (start, end) of each; three stage groups ran as the first row, one as the second
TIMES = [
    [(0, 4), (4, 6), (6, 9), (9, 12), (10, 13), (13, 14), (13, 15), (15, 17)],
    [(0, 5), (5, 5), (5, 5), (6, 10), (7, 12), (12, 12), (12, 15), (15, 17)],
]


@pytest.fixture
def step() -> Any:
    """Two actor classes that stand for three and one stage groups of a rank, on one NIC link."""
    count = len(TASKS)
    works = [work for _, work, _ in TASKS]
    start, end = np.array(TIMES, dtype=float).reshape(-1, 2).T
    transfer = [number if queue != COMPUTE else -1 for number, (queue, _, _) in enumerate(TASKS)]
    moves = Transfer(0, 100.0, np.inf, 0.0)
    graph = SimpleNamespace(
        works=works, work=list(range(count)), chunk=[chunk for _, _, chunk in TASKS], chunks=CHUNKS,
        rank=[0] * count, stage=[0] * count, layer=[-1] * count, microbatch=[0] * count,
    )  # fmt: skip
    traffic = SimpleNamespace(
        layers=None,
        multiplicity=np.array([3, 1]), wire_bytes_of=np.array([0.25]), link_class=np.array([0]),
        link_kind=np.array(["port_tx"]), capacity=np.array([10.0]),
    )  # fmt: skip
    program = Program(
        actor=np.repeat([0, 1], count), queue=np.tile([queue for queue, _, _ in TASKS], 2),
        seconds=np.zeros(2 * count), transfer=np.tile(transfer, 2), wait_ptr=np.zeros(2 * count + 1, int),
        wait_ids=np.zeros(0, int), transfers=[moves] * count, joint_size=[],
    )  # fmt: skip
    return SimpleNamespace(
        graph=graph,
        traffic=traffic,
        program=program,
        instances=Instances(np.tile(np.arange(count), 2), program.actor),
        execution=Execution(start, end, np.where(program.transfer >= 0, 0, -1)),
        routing=SimpleNamespace(hosts=4.0),
    )


def test_phases_by_hand(step: Any) -> None:
    found = phases(step)
    # class 0: chunk 0 in [0, 9], chunk 1 in [9, 13]; class 1: [0, 5] and [6, 12]; three to one
    assert found.mean_s["1F"] == pytest.approx((3 * 9 + 5) / 4)
    assert found.range_s["1F"] == (5, 9)
    assert found.mean_s["1F1B"] == pytest.approx((3 * 4 + 6) / 4)
    # the slowest rank's last chunk ends at 13, the step at 17
    assert found.mean_s["opt"] == 4
    assert found.mean_s["bubble"] == pytest.approx((3 * (13 - 13) + (13 - 11)) / 4)
    assert sum(found.mean_s.values()) == pytest.approx(17)


def test_idle_is_what_a_chunk_lasts_beyond_its_compute(step: Any) -> None:
    # class 0: 13 s of chunks, of which 4 + 3 + 3 compute; class 1: 11, of which 5 + 4
    assert phases(step).idle_s == pytest.approx((3 * 3 + 2) / 4)


def test_exposed_is_every_exchange_without_compute_beside_it(step: Any) -> None:
    # class 0: [4, 6], [12, 13], and [13, 15] with a send and the gradient; class 1: [10, 12] and [13, 15], since the
    # gradient's exchange waits for class 0 until 13
    assert phases(step).exposed_s == pytest.approx((3 * 5 + 4) / 4)


def test_hidden_is_the_share_of_transfers_with_compute_beside_them(step: Any) -> None:
    # class 0: of 2 + 3 + 1 + 2 s, [10, 12] is beside compute; class 1: of 5 + 2 s, [7, 10]
    assert phases(step).hidden_fraction == pytest.approx((3 * 2 + 3) / (3 * 8 + 7))


def test_collectives_are_weighted_over_stage_groups(step: Any) -> None:
    rows = {row.kind: row for row in collective_statistics(step)}
    combine = rows["combine"]
    assert (combine.count, combine.bottleneck) == (4, "nic")
    assert combine.mean_s == pytest.approx((3 * 3 + 5) / 4)
    # sorted 3, 3, 3, 5: the 99th percentile lies 0.97 of the way from the third to the fourth
    assert combine.p99_s == pytest.approx(3 + 0.97 * 2)
    assert (combine.mean_alone_s, combine.mean_overlapped_s) == (None, pytest.approx(3.5))
    assert rows["dispatch"].mean_alone_s == pytest.approx(3 * 2 / 4)
    # a quarter of the unit crosses the NIC; logical counts every host that a token visits
    assert combine.wire_bytes_per_gpu == 25.0
    assert combine.logical_bytes_per_gpu == 400.0
    assert rows["send_forward"].logical_bytes_per_gpu == 25.0
    # joint: once for all members, from the last arrival
    assert (rows["reduce_scatter"].count, rows["reduce_scatter"].mean_s) == (1, 2.0)


def test_tables_say_rates_and_places(step: Any) -> None:
    tasks = tasks_table(step)
    dispatch = tasks[tasks["name"] == "dispatch"].iloc[0]
    assert (dispatch["start_ms"], dispatch["duration_ms"], dispatch["stage_groups"]) == (4000, 2000, 3)
    assert dispatch["wire_GBps"] == pytest.approx(25 / 2 / 1e9)
    assert tasks["chunk_phase"].tolist()[: len(TASKS)] == ["1F"] * 3 + ["1F1B"] * 3 + ["opt"] * 2


def test_utilisation_is_the_share_of_the_step_with_something_to_carry(step: Any) -> None:
    # 20 bytes at a kernel's 5 bytes/s over a link of 10, then 12 s of compute: busy 4 s of 16, an eighth loaded
    table = FlowTable(
        link_ptr=np.array([0, 1]), link_ids=np.array([0]), link_share=np.ones(1), batch_ptr=np.array([0, 1]),
        unit_share=np.ones(1), rate_cap=np.ones(1), weight=np.ones(1),
    )  # fmt: skip
    fluid = FluidNetwork(np.array([10.0]), table)
    program = Program(
        actor=np.zeros(2, int), queue=np.array([1, 0]), seconds=np.array([np.nan, 12.0]), transfer=np.array([0, -1]),
        wait_ptr=np.array([0, 0, 1]), wait_ids=np.array([0]), transfers=[Transfer(0, 20.0, 5.0, 0.0)], joint_size=[],
    )  # fmt: skip
    step.fluid, step.execution = fluid, execute(program, fluid)
    row = links_table(step).iloc[0]
    assert step.execution.end_s.max() == pytest.approx(16)
    assert (row["links"], row["kind"], row["resource"]) == (1, "port_tx", "nic")
    assert row["carried_bytes"] == pytest.approx(20)
    assert row["busy_ms"] == pytest.approx(4000)
    assert row["utilisation"] == pytest.approx(0.25)
    assert row["mean_load"] == pytest.approx(0.125)
