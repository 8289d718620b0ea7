"""Ranks that differ: clocks that meet in exchanges, closed forms, folding, and what it makes of a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from netsim.analysis.bubble import bubble_by_cause
from netsim.analysis.spread import spread
from netsim.collectives import expert_exchange
from netsim.errors import NetsimError
from netsim.execution.executor import Program, Transfer, execute
from netsim.network.flows import FlowTable
from netsim.network.fluid import drain
from netsim.routing import paths
from netsim.specs.case import make_case
from netsim.topologies import build
from netsim.training.program import TransferCost
from netsim.training.ranks import idle_times
from netsim.training.result import phases, step_time_s
from netsim.training.simulate import Step, simulate
from netsim.training.step_record import contract
from netsim.workloads.moe import routing_statistics
from netsim.workloads.plan import make_plan
from netsim.workloads.tasks import Work
from netsim.workloads.variation import expected_slowest

SMALL = {"parallelism.pipeline": 2, "batch.microbatches": 4}


def small(gpus: int = 256, **variation: Any) -> Step:
    more = {f"variation.{key}": value for key, value in variation.items()}
    return simulate(make_case(overrides=SMALL | more), gpus)


@dataclass(frozen=True)
class Given:
    """Compute times (tasks, ranks) and tails by task."""

    times: np.ndarray[Any, np.dtype[np.float64]]
    tails: dict[int, float]

    @property
    def width(self) -> int:
        return self.times.shape[1]

    def seconds(self, instance: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.asarray(self.times[instance])

    def tail_s(self, instance: int) -> float:
        return self.tails.get(instance, 0.0)


def program(queue: list[int], waits: list[list[int]]) -> Program:
    """One actor; queue 0 computes, queue 1 holds transfers of 1 s without bytes."""
    transfers = np.array(queue) == 1
    return Program(
        actor=np.zeros(len(queue), int), queue=np.array(queue), seconds=np.where(transfers, np.nan, 1.0),
        transfer=np.where(transfers, 0, -1), wait_ptr=np.cumsum([0] + [len(w) for w in waits]),
        wait_ids=np.array([i for w in waits for i in w], int), transfers=[Transfer(-1, 0.0, np.inf, 1.0)],
        joint_size=[],
    )  # fmt: skip


def test_between_exchanges_every_rank_has_its_own_clock() -> None:
    # two tasks of 1+4 and 3+1 s: nothing joins them, so the slowest sum counts, 5 s, and not 3 + 4
    times = np.array([[1.0, 3.0], [4.0, 1.0]])
    done = execute(program([0, 0], [[], []]), ranks=Given(times, {}))
    assert done.end_s.tolist() == [3.0, 5.0]
    assert done.start_s.tolist() == [0.0, 3.0]
    assert done.last_rank is not None
    assert done.last_rank.tolist() == [1, 0]


def test_an_exchange_waits_for_the_last_rank() -> None:
    # compute (1, 3), exchange of 1 s, compute (4, 1): 3 + 1 + 4 s; rank 0 stood 2 s at the exchange
    times = np.array([[1.0, 3.0], [0.0, 0.0], [4.0, 1.0]])
    done = execute(program([0, 1, 0], [[], [0], [1]]), ranks=Given(times, {}))
    assert done.end_s.tolist() == [3.0, 4.0, 8.0]
    assert done.wait_s is not None
    assert done.wait_s.tolist() == [[2.0, 0.0]]


def test_compute_runs_on_while_an_exchange_waits() -> None:
    # queue: A (1, 3), B (2, 2); the exchange of 1 s waits for A alone: it ends at 4, B at 5
    times = np.array([[1.0, 3.0], [2.0, 2.0], [0.0, 0.0]])
    done = execute(program([0, 0, 1], [[], [], [0]]), ranks=Given(times, {2: 0.5}))
    assert done.end_s.tolist() == [3.0, 5.0, 4.5]  # half a second of tail


@pytest.mark.parametrize("sends_loaded", [False, True])
def test_the_tail_is_that_of_uneven_flows_alone_on_the_fabric(sends_loaded: bool) -> None:
    # 8 hosts, one of which receives (or sends back) 1.4 times the mean; no kernel limit, so the NICs of that host bind
    case = make_case("mpft")
    built = build(case.topology, case.hardware, 64)
    routing = routing_statistics(case.workload.model.moe, 64, 8)
    load = np.array([1.4, *[(8 - 1.4) / 7] * 7])
    flows = expert_exchange(np.arange(64), 8, routing)
    wire = flows.source // 8 != flows.target // 8
    share = flows.share * np.where(wire, load[flows.target // 8], 1.0)
    ends = (flows.target, flows.source) if sends_loaded else (flows.source, flows.target)
    routed = paths(built, "adaptive", *ends, 0)
    unit, work = 4096 * 7472.0, Work("combine" if sends_loaded else "dispatch")

    def drained(shares: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        table = FlowTable(
            link_ptr=routed.ptr, link_ids=routed.link_ids, link_share=routed.share,
            batch_ptr=np.array([0, len(flows)]), unit_share=unit * shares, rate_cap=np.full(len(flows), np.inf),
            weight=np.ones(len(flows)),
        )  # fmt: skip
        return float(drain(routed.capacity, table).max())

    idle = idle_times(work, TransferCost(unit, np.inf, 0.0), routing, case.hardware)
    assert max(idle.nic_s, idle.scale_up_s) == pytest.approx(drained(flows.share), rel=1e-9)
    assert idle.tail_s(1.4, 1.0) == pytest.approx(drained(share) - drained(flows.share), rel=1e-9)
    # a kernel slower than the NICs hides what is received unevenly, not what is sent
    slow = idle_times(work, TransferCost(unit, 25e9, 0.0), routing, case.hardware)
    assert slow.tail_s(1.4, 1.0) == pytest.approx(0.4 * slow.kernel_s if sends_loaded else 0.0)


@pytest.mark.parametrize("sigma", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("ranks", [1, 8, 64])
def test_the_slowest_of_many_against_monte_carlo(sigma: float, ranks: int) -> None:
    draws = np.exp(sigma * np.random.default_rng(7).standard_normal((20_000, ranks))).max(axis=1)
    error = draws.std() / np.sqrt(draws.size)
    assert expected_slowest(sigma, ranks) == pytest.approx(draws.mean(), abs=4 * error)


def test_equal_ranks_change_nothing() -> None:
    plain, drawn = small(), small(slow={"5": 1.0})
    assert step_time_s(drawn) == pytest.approx(step_time_s(plain), rel=1e-12)
    assert phases(drawn).exposed_s == pytest.approx(phases(plain).exposed_s, rel=1e-9)
    assert "skew" not in contract(plain)


def test_one_slow_rank_slows_its_group_as_if_all_were_slow() -> None:
    # a rank that is slower in everything is the last at every exchange
    one = small(slow={"70": 1.5})
    everyone = small(slow={str(gpu): 1.5 for gpu in range(64, 128)})
    assert step_time_s(one) == pytest.approx(step_time_s(everyone), rel=1e-9)
    found = contract(one)["skew"]
    assert found["slowest"]["gpu"] == 70
    assert found["slowest"]["pipeline_rank"] == 0
    assert found["slowest"]["last_fraction"] == 1.0
    assert found["wait_s"]["p50"] == pytest.approx(
        0.0, abs=1e-9
    )  # three of four groups wait for nobody of their own
    assert found["wait_s"]["most"] > 0.1


@pytest.mark.parametrize(
    "variation", [{"slow": {"70": 1.5, "170": 1.5}}, {"compute_sigma": 0.02, "expert_load": "lognormal:0.2"}]
)
def test_folded_equals_unfolded_with_ranks_that_differ(variation: dict[str, Any]) -> None:
    more = {f"variation.{key}": value for key, value in variation.items()}
    case = make_case(overrides=SMALL | {"parallelism.pipeline": 1, "schedule.name": "1f1b"} | more)
    folded, plain = (simulate(case, 192, folded=fold) for fold in (True, False))
    assert step_time_s(folded) == pytest.approx(step_time_s(plain), rel=1e-9)
    one, other = contract(folded)["skew"], contract(plain)["skew"]
    for name in ("compute_s", "wait_s", "pair_ms"):
        assert one[name] == pytest.approx(other[name], rel=1e-9, abs=1e-12)
    assert len(folded.traffic.multiplicity) == 3


def test_rows_add_up_and_same_seed_same_bits() -> None:
    first, again = (small(128, expert_load="zipf:0.3", redrawn="microbatch") for _ in range(2))
    assert contract(first) == contract(again)
    assert first.ranks is not None
    for rows in first.ranks.rows.values():
        assert (rows.sum(axis=2) == 64 * 4096 * 8).all()
    # without a load every rank has its mean but for sampling: sqrt(32768) of 32768 rows
    sampled = small(128, expert_load="uniform")
    assert sampled.ranks is not None
    rows = np.stack(list(sampled.ranks.rows.values()))
    assert rows.std() == pytest.approx(np.sqrt(32768 * 63 / 64), rel=0.05)


def test_a_load_is_drawn_again_for_each_layer_or_for_each_micro_batch() -> None:
    # 4 experts a rank: loads of ranks spread by about 0.5 / sqrt(4), 8,000 rows; sampling by sqrt(32,768), 181
    between = {}
    for redrawn in ("layer", "microbatch"):
        step = small(128, expert_load="lognormal:0.5", redrawn=redrawn)
        assert step.ranks is not None
        rows = np.stack(list(step.ranks.rows.values()))  # layers, groups, micro-batches, ranks
        between[redrawn] = rows.std(axis=2).mean()  # over the micro-batches of one rank and layer
        assert rows.std(axis=0).mean() > 5_000  # over layers
    assert between["layer"] < 200
    assert between["microbatch"] > 5_000


def test_skew_is_a_cause_of_the_bubble_and_spreads_to_other_stages() -> None:
    case = make_case(overrides=SMALL | {"variation.slow": {"70": 1.5}})
    causes = bubble_by_cause(case, make_plan(case.workload, 256))
    step = simulate(case, 256)
    assert next(iter(causes)) == "skew"
    assert sum(causes.values()) == pytest.approx(phases(step).mean_s["bubble"], rel=1e-9)
    here, there = spread(step)
    # pipeline rank 0 computes longer on one GPU of 128; its neighbour computes the same and idles for all of it
    longer = step_time_s(step) - step_time_s(small())
    assert there["compute_s"] == pytest.approx(0.0, abs=1e-9)
    assert there["inside_s"] + there["bubble_s"] == pytest.approx(longer)
    assert here["compute_s"] > 0
    assert here["inside_s"] > there["inside_s"]


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("slow", {"x": 2.0}, "must be the number of a GPU"),
        ("slow", {"4096": 2.0}, "variation.slow.4096 = 2.0, must be one of GPUs 0 to 255"),
        ("slow", {"4": 0.5}, "greater than or equal to 1"),
        ("compute_sigma", -1.0, "greater than or equal to 0"),
        ("expert_load", "zipf", "variation.expert_load zipf: must be zipf:NUMBER"),
        ("expert_load", "no-such-file", "must be uniform, zipf:S, lognormal:SIGMA or a file"),
        ("redrawn", "microbatch", "needs expert_load"),
    ],
)
def test_a_wrong_variation_is_one_clear_line(key: str, value: Any, line: str) -> None:
    with pytest.raises(NetsimError) as caught:
        small(**{key: value})
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
