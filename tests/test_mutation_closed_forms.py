"""Closed forms for single lines that nothing else in the suite watched: each fails when its line is changed."""

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from netsim.cost.bill import Cables, Parts, bill_of
from netsim.faults.history import Strike, group_speeds, make_history
from netsim.inference import decode_step, iteration, make_deployment
from netsim.routing.tree import Ends, by_destination
from netsim.specs import load
from netsim.specs.faults import parse_fault
from netsim.specs.prices import PriceBook
from netsim.specs.workload import VariationSpec
from netsim.topologies import LinkKind
from netsim.topologies.measure import _through_tree
from netsim.topologies.parts import Part
from netsim.topologies.tree import Tree
from netsim.workloads.decode import DecodeLoad
from netsim.workloads.variation import draw_variation

NONE = np.zeros(0, dtype=np.int64)


def a_tree(leaf_cables: list[int], spines: int, spine_cables: list[int], cores: int, pod: list[int]) -> Tree:
    """A plane with these cables; what hangs below the leaves is left out."""
    cables, uplinks = np.array(leaf_cables), np.array(spine_cables)
    return Tree(
        planes=1, spines=spines, cores=cores, leaf_pod=np.array(pod), leaf_cables=cables, leaf_down=cables,
        spine_cables=uplinks, endpoint_plane=NONE, endpoint_leaf=NONE, endpoint_position=NONE,
        leaf_first=np.concatenate([[0], np.cumsum(cables * spines)]),
        pod_first=np.concatenate([[0], np.cumsum(uplinks * spines * cores)]),
    )  # fmt: skip


def crossing(tree: Tree, send: list[float], take: list[float], port_rate: float = 10.0) -> float:
    topology: Any = SimpleNamespace(
        structure=tree, spec=SimpleNamespace(switch=SimpleNamespace(port_rate=port_rate))
    )
    return _through_tree(topology, np.array(send), np.array(take))


def test_bisection_is_bound_by_the_uplinks_of_either_side() -> None:
    # leaf 0 has 4 uplinks of 10, leaf 1 has one: 30 are offered, 10 get through, whoever sends
    tree = a_tree([4, 1], 1, [0], 0, [0, 0])
    assert crossing(tree, [30.0, 0.0], [0.0, 30.0]) == 10.0
    assert crossing(tree, [0.0, 30.0], [30.0, 0.0]) == 10.0
    assert crossing(tree, [30.0, 0.0], [0.0, 7.0]) == 7.0
    # what meets below a leaf needs no uplink: 20 of it here, and 10 cross
    assert crossing(tree, [30.0, 20.0], [0.0, 50.0]) == 30.0


def test_bisection_is_bound_by_the_core_cables_of_either_side() -> None:
    # two pods of one leaf with 9 uplinks; 5 cables to the core from one, 2 from the other
    tree = a_tree([9, 9], 1, [5, 2], 1, [0, 1])
    assert crossing(tree, [80.0, 0.0], [0.0, 80.0]) == 20.0
    assert crossing(tree, [0.0, 80.0], [80.0, 0.0]) == 20.0


def strike(line: str, links: list[int], gpus: list[int], start: float, end: float = np.inf) -> Strike:
    return Strike(parse_fault(line), Part("part", np.array(links), np.array(gpus)), start, end)


def test_two_faults_on_one_link_leave_the_product() -> None:
    topology: Any = SimpleNamespace(n_links=3)
    found = make_history(
        topology,
        [
            strike("nic host0.0 degraded to 50%", [0, 1], [], 0.0),
            strike("nic host0.1 degraded to 20%", [1, 2], [], 1.0, 2.0),
        ],
        reaction=0.5,
    )
    assert found.time_s.tolist() == [0.0, 1.0, 2.0]
    assert found.left[found.state].tolist() == [[0.5, 0.5, 1.0], [0.5, 0.1, 0.2], [0.5, 0.5, 1.0]]
    assert not found.lost.any()


def test_two_slow_faults_on_one_gpu_leave_the_product() -> None:
    strikes = [
        strike("gpu host0.1 slow 20%", [], [1], 0.0),
        strike("host host0 slow 50%", [], [0, 1], 3.0, 5.0),
    ]
    found = group_speeds(strikes, np.array([[0, 1], [2, 3]]))
    assert list(found) == [0]
    assert found[0].time_s == (0.0, 3.0, 5.0)
    # 0.8 alone, then 0.8 x 0.5, then 0.8 again: a group is as fast as its slowest GPU
    assert found[0].factor == pytest.approx((0.8, 0.4, 0.8))


def test_static_routing_takes_the_parallel_cable_of_the_next_digit_of_the_destination() -> None:
    # 2 spines; leaf 0 has 2 cables to each, leaf 1 has 3: d = spine + 2 x rest, cables rest mod 2 up and mod 3 down
    tree = a_tree([2, 3], 2, [0], 0, [0, 0])
    first = {LinkKind.UP: 100, LinkKind.DOWN: 200}
    topology: Any = SimpleNamespace(structure=tree, first=first.__getitem__)
    d = np.arange(12)
    climb = by_destination(topology, Ends(0 * d, 0 * d, 0 * d + 1, d))
    assert climb.up.tolist() == [100 + (n % 2) * 2 + (n // 2) % 2 for n in range(12)]
    assert climb.down.tolist() == [200 + 4 + (n % 2) * 3 + (n // 2) % 3 for n in range(12)]
    assert (climb.up_core == -1).all()


def test_metres_of_cables_are_paid_by_the_metre() -> None:
    book = load(PriceBook, "prices", "street_2026")
    kind = next(each for each in book.cables if each.usd_per_metre > 0)
    shorter = max([each.reach_m for each in book.cables if each.reach_m < kind.reach_m], default=0.0)
    metres = shorter + (kind.reach_m - shorter) * np.array([0.1, 0.2, 0.9])
    rate = 2 * book.switch.port_rate
    parts = Parts(3, 3, 25.0, 50e9, 0, 64, rate, (Cables("endpoint_link", 3, rate, metres),))
    line = next(line for line in bill_of(parts, book) if line.part == f"endpoint_link {kind.name}")
    # every cable costs its price and its own metres, both twice as much at twice the rate
    assert line.usd == pytest.approx(2 * sum(kind.price + kind.usd_per_metre * m for m in metres))
    assert line.count == 3


def test_later_drafts_have_a_row_of_experts_for_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = make_deployment("mpft", overrides={"decode.expert": 64, "decode.batch": 64})
    seen: list[DecodeLoad] = []

    def layer(self: Any, kind: str, load: DecodeLoad, *more: Any) -> dict[str, float]:
        seen.append(load)
        return {}

    monkeypatch.setattr(decode_step._Decode, "_layer", layer)
    monkeypatch.setattr(
        decode_step._Decode, "_extra", lambda self, name, stages, part: decode_step.Layer(name, {})
    )
    nothing: Any = None
    whole = DecodeLoad(sequences=4, queries=3, context=100, expert_rows=90)
    found = decode_step._Decode(deployment, nothing, nothing, nothing, whole)._drafts()
    assert [layer.name for layer in found if " " not in layer.name.removeprefix("mtp ")] == ["mtp 0", "mtp 1"]
    # the first draft runs over all 3 tokens of a request, the second over one: a third of the rows
    assert [(load.queries, load.tokens, load.expert_rows) for load in seen] == [(3, 12, 90), (1, 4, 30)]


def test_a_divided_mlp_gathers_and_scatters_and_attention_once_at_each_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(iteration, "gather_s", lambda *given: 3.0)
    told: dict[str, list[float]] = defaultdict(list)

    def tally(part: str) -> Any:
        return SimpleNamespace(add=lambda seconds, *words: told[part].append(seconds))

    watch: Any = SimpleNamespace(tally=tally)
    job = SimpleNamespace(model=SimpleNamespace(hidden=16), communication=SimpleNamespace(library="nccl"))
    deployment: Any = SimpleNamespace(workload=job, assume=None)
    topology: Any = None
    seconds = {"attn_0": 1.0, "attn_1": 1.0, "mlp": 1.0}
    iteration.add_gathers(deployment, topology, watch, seconds, (8, 4), "layer", times=5)
    # a gather before attention and a scatter behind it; the FFN needs both
    assert seconds == {"attn_0": 4.0, "attn_1": 4.0, "mlp": 7.0}
    assert told == {"layer": [15.0, 15.0, 30.0]}
    alone = {"mlp": 1.0}
    iteration.add_gathers(deployment, topology, watch, alone, (8, 1), "layer", times=5)
    assert alone == {"mlp": 1.0}


def test_a_slow_gpu_is_slow_on_top_of_its_spread() -> None:
    plan: Any = SimpleNamespace(gpus=4)
    spread = VariationSpec(compute_sigma=0.1)
    both = VariationSpec(compute_sigma=0.1, slow={"1": 2.0})
    lone, found = (draw_variation(spec, "job", plan, None, [], seed=3) for spec in (spread, both))
    assert lone is not None
    assert found is not None
    assert len(set(lone.factor)) == 4
    assert found.factor.tolist() == (lone.factor * [1.0, 2.0, 1.0, 1.0]).tolist()
