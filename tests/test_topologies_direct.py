"""Slim Fly, Dragonfly and torus: counting identities of the papers, diameters, limits, refusals."""

from math import prod
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabrics import H800, fabric, spec_of
from netsim.errors import SpecError
from netsim.topologies import LinkKind, Topology, max_gpus, ports_used
from netsim.topologies.dragonfly import wire
from netsim.topologies.galois import field, prime_power
from netsim.topologies.slim_fly import counts, degree, exists, graph
from netsim.topologies.torus import grid, sides_for


def switch_graph(t: Topology) -> nx.MultiGraph:
    ups = t.links(LinkKind.UP)
    graph = nx.MultiGraph()
    graph.add_nodes_from(range(t.switches))
    ends = (t.link_src[ups.start : ups.stop], t.link_dst[ups.start : ups.stop])
    graph.add_edges_from(zip(*((end - t.first_switch).tolist() for end in ends), strict=True))
    return graph


@pytest.mark.parametrize("q", [2, 3, 4, 5, 7, 8, 9, 16, 25, 27])
def test_field_axioms(q: int) -> None:
    f, every = field(q), np.arange(q)
    assert (f.plus == f.plus.T).all()
    assert (f.times == f.times.T).all()
    assert (f.plus[every, f.minus] == 0).all()
    assert (np.sort(f.plus, axis=1) == every).all()
    assert (np.sort(f.times[1:, 1:], axis=1) == every[1:]).all()  # no zero divisors
    a, b, c = np.ix_(every, every, every)
    assert (f.times[a, f.plus[b, c]] == f.plus[f.times[a, b], f.times[a, c]]).all()
    assert sorted(f.powers.tolist()) == list(range(1, q))


@pytest.mark.parametrize("q", [3, 4, 5, 7, 8, 9, 11, 13, 16])
def test_mms_graph_is_regular_of_diameter_two(q: int) -> None:
    neighbours = graph(q)
    n = 2 * q * q
    assert neighbours.shape == (n, degree(q))
    adjacent = np.zeros((n, n), dtype=bool)
    adjacent[np.arange(n)[:, None], neighbours] = True
    assert (adjacent == adjacent.T).all()
    assert not adjacent.diagonal().any()
    assert adjacent.sum() == n * degree(q)  # no neighbour twice
    two = adjacent.astype(np.float32) @ adjacent.astype(np.float32)
    assert ((two > 0) | adjacent | np.eye(n, dtype=bool)).all()


def test_the_graph_of_q_5_is_the_hoffman_singleton_graph() -> None:
    # the only 7-regular graph of 50 vertices with diameter 2: girth 5
    t = fabric("slim_fly", 200, slim_fly__q=5, switch__radix=12)
    assert (t.switches, t.switch_links) == (50, 175)
    assert nx.girth(nx.Graph(switch_graph(t))) == 5


def test_slim_fly_counts_of_table_3_are_a_formula() -> None:
    assert counts(28) == (32928, 1568, 32928)
    assert not exists(28)
    with pytest.raises(SpecError, match=r"slim_fly.q = 28, no such graph: must be a prime power.*27, 29"):
        fabric("slim_fly", 2048, slim_fly__q=28)


@pytest.mark.parametrize("q", [5, 7, 8, 9])
def test_a_full_slim_fly_has_the_counts_of_the_formula(q: int) -> None:
    endpoints, switches, links = counts(q)
    radix = degree(q) + -(-degree(q) // 2)
    radix += radix % 2
    t = fabric("slim_fly", endpoints // 8 * 8, slim_fly__q=q, switch__radix=radix)
    assert (t.switches, t.switch_links) == (switches, links)
    assert ports_used(t).max() <= radix


def test_slim_fly_takes_the_fewest_switches() -> None:
    # radix 64: q = 7 with 4 parallel cables has 44 + 20 ports, 98 x 20 = 1,960 endpoints; q = 8 with 3: 36 + 18
    t = fabric("slim_fly", 1960)
    assert (t.switches, t.structure.parallel) == (98, 4)
    t = fabric("slim_fly", 2048)
    assert (t.switches, t.switch_links, t.structure.parallel) == (128, 128 * 12 * 3 // 2, 3)


@given(groups=st.integers(1, 40), switches=st.integers(1, 12), h=st.integers(1, 8))
def test_global_cables_are_even_over_pairs_and_ports(groups: int, switches: int, h: int) -> None:
    if groups > switches * h + 1:
        return
    fly = wire(groups, switches, h)
    size = np.diff(fly.pair_first)
    ports = switches * h if groups > 1 else 0
    if groups > 1:
        assert size.max() - size.min() <= 1
        assert size.min() == ports // (groups - 1)
    low, high = np.triu_indices(groups, 1)
    used = np.bincount(np.repeat(low, size) * switches + fly.near_switch, minlength=groups * switches)
    used += np.bincount(np.repeat(high, size) * switches + fly.far_switch, minlength=groups * switches)
    assert used.max(initial=0) <= h
    # an odd port of an odd number of groups finds no partner
    spare = groups if groups > 1 and ports % (groups - 1) % 2 and groups % 2 else 0
    assert used.sum() == groups * ports - spare


def test_dragonfly_of_table_3() -> None:
    # g groups of a switches with p endpoints and h cables to other groups: g a (a - 1)/2 + g a h/2 cables
    groups, switches, global_cables = 511, 32, 16
    between = groups * switches * global_cables // 2
    assert groups * switches * (switches - 1) // 2 + between == 384272
    assert np.diff(wire(groups, switches, global_cables).pair_first).sum() == between


def test_a_balanced_dragonfly_has_one_cable_between_groups() -> None:
    # p = 2, a = 4, h = 2: g = a h + 1 = 9
    own = {"dragonfly__endpoints": 2, "dragonfly__switches": 4, "dragonfly__global_cables": 2}
    t = fabric("dragonfly", 72, **own)
    assert (t.switches, t.switch_links) == (36, 9 * 6 + 36)
    assert (np.diff(t.structure.pair_first) == 1).all()
    assert (ports_used(t) == 2 + 3 + 2).all()
    assert nx.diameter(switch_graph(t)) == 3
    assert max_gpus(spec_of("dragonfly", **own), H800) == 72
    assert max_gpus(spec_of("dragonfly"), H800) == 513 * 512


def test_a_smaller_dragonfly_has_equal_groups() -> None:
    t = fabric("dragonfly", 520)
    assert (t.structure.groups, t.structure.switches) == (2, 17)
    assert fabric("dragonfly", 8).switches == 1


@pytest.mark.parametrize("sides", [(2,), (3, 3), (4, 2, 1), (5, 4, 3), (2, 2, 2)])
def test_torus_against_networkx(sides: tuple[int, ...]) -> None:
    torus, lower, upper = grid(sides, 3)
    found = nx.Graph(list(zip(lower.tolist(), upper.tolist(), strict=True)))
    theirs = nx.convert_node_labels_to_integers(
        nx.grid_graph([side for side in sides[::-1] if side > 1], periodic=True), ordering="sorted"
    )
    assert nx.is_isomorphic(found, theirs)
    assert nx.diameter(found) == sum(side // 2 for side in sides)
    ports = np.bincount(np.concatenate([lower, upper]))
    assert (ports == 3 * 2 * sum(side > 1 for side in sides)).all()
    assert torus.first_cable.shape == (len(sides), prod(sides))


def test_torus_sides() -> None:
    assert sides_for(128, 3, 16) == (8, 4, 4)
    t = fabric("torus", 2048)
    assert (t.switches, t.switch_links) == (128, 128 * 3 * 8)
    assert (ports_used(t) == 64).all()
    assert fabric("torus", 72, torus__sides=[3, 2]).switches == 6


@pytest.mark.parametrize(
    ("family", "gpus", "overrides", "message"),
    [
        ("slim_fly", 999999, {}, "q = 29 with 21 endpoints on each of 1,682 switches of radix 64"),
        ("slim_fly", 64, {"slim_fly__q": 49}, "slim_fly.q = 49, 73 neighbours and an endpoint need more"),
        ("slim_fly", 64, {"tiers": 2}, "tiers = 2, family slim_fly has 1"),
        ("dragonfly", 262664, {}, "513 groups of 32 switches with 16 endpoints each, 262,656 GPUs at most"),
        ("dragonfly", 64, {"switch__radix": 62}, "switch.radix = 62, 16 endpoints, 31 switches of the group"),
        ("torus", 65544, {}, "16 x 16 x 16 switches with 16 endpoints each, 65,536 GPUs at most"),
        (
            "torus",
            64,
            {"torus__cables": 9},
            "16 endpoints and 9 cables in each of 6 directions need 70 ports",
        ),
        ("ft2", 64, {"torus__cables": 9}, "torus: has no effect on family ft2"),
    ],
)
def test_refusals(family: str, gpus: int, overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as error:
        fabric(family, gpus, **overrides)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_prime_powers() -> None:
    assert [q for q in range(2, 30) if prime_power(q)] == [
        2, 3, 4, 5, 7, 8, 9, 11, 13, 16, 17, 19, 23, 25, 27, 29
    ]  # fmt: skip
