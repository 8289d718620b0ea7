"""How many places a token visits, in closed form, where chosen experts are spread evenly at random.

Of E experts on N hosts, k are chosen one after the other in order of their affinity. With independent affinities
that is drawing without replacement, so the number of distinct hosts D among the first k draws has

    P(D = d) = C(N, d) sum_i (-1)^i C(d, i) C((d - i) E/N, k) / C(E, k)        (inclusion and exclusion)
    E[D]     = N (1 - C(E - E/N, k) / C(E, k)).

When the best M hosts are kept by their best expert (the gate of DeepEP's tests), those are the first M hosts that
appear in the order; until the last of them has appeared every draw counts, so a token visits min(D, M) of them:
E[min(D, M)]. A gate that ranks hosts by a sum has no such form and is sampled (`netsim.workloads.moe`).
"""

from __future__ import annotations

from math import comb


def expected_distinct(experts: int, places: int, top_k: int) -> float:
    """Mean number of distinct places of `top_k` experts, no limit.

    >>> round(expected_distinct(256, 2, 8), 3), round(expected_distinct(256, 4, 8), 3)
    (1.993, 3.614)
    """
    return places * (1.0 - comb(experts - experts // places, top_k) / comb(experts, top_k))


def distribution(experts: int, places: int, top_k: int) -> list[float]:
    """P(D = d) for d = 0 .. min(places, top_k)."""
    each, ways = experts // places, comb(experts, top_k)
    found = []
    for d in range(min(places, top_k) + 1):
        terms = (-1) ** d * sum((-1) ** i * comb(d, i) * comb(i * each, top_k) for i in range(d + 1))
        found.append(comb(places, d) * terms / ways)
    return found


def expected_hosts(experts: int, hosts: int, top_k: int, limit: int) -> float:
    """Mean number of distinct hosts when only the `limit` hosts with the best experts are kept.

    >>> round(expected_hosts(256, 8, 8, 4), 3)
    3.983
    """
    return sum(min(d, limit) * p for d, p in enumerate(distribution(experts, hosts, top_k)))
