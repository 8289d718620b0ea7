"""Uneven expert load: loads, placement with replicas, counted tokens; closed forms of distinct hosts."""

from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np
import pytest

from netsim.errors import NetsimError
from netsim.specs import WorkloadSpec, load
from netsim.specs.case import make_case
from netsim.workloads.distinct import distribution, expected_distinct, expected_hosts
from netsim.workloads.expert_load import contiguous, packed, parse_load, route_tokens
from netsim.workloads.moe import routing_statistics
from netsim.workloads.plan import make_plan
from netsim.workloads.variation import draw_variation

MOE = load(WorkloadSpec, "workload", "deepseek-v3").model.moe


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_distribution_of_distinct_hosts_against_counting() -> None:
    # 8 experts on 4 hosts, 3 chosen: count all 56 choices
    counts = np.zeros(4)
    for choice in combinations(range(8), 3):
        counts[len({e // 2 for e in choice})] += 1
    np.testing.assert_allclose(distribution(8, 4, 3), counts / comb(8, 3))
    mean = float(np.arange(4) @ counts) / comb(8, 3)
    assert expected_distinct(8, 4, 3) == pytest.approx(mean)
    assert expected_hosts(8, 4, 3, 4) == pytest.approx(mean)


@pytest.mark.parametrize("ranks", [16, 32, 64, 128])
def test_sampled_hosts_meet_the_closed_form_of_the_deepep_gate(ranks: int) -> None:
    found = routing_statistics(MOE, ranks, 8, seed=2, gate="deepep")
    assert found.hosts == pytest.approx(expected_hosts(256, ranks // 8, 8, 4), rel=0.01)


@pytest.mark.parametrize(("ranks", "hosts"), [(16, 1.993), (32, 3.606), (64, 3.984)])
def test_deepep_gate_meets_the_evidence(ranks: int, hosts: float) -> None:
    assert routing_statistics(MOE, ranks, 8, gate="deepep").hosts == pytest.approx(hosts, rel=0.01)


@pytest.mark.parametrize("text", ["uniform", "zipf:1.2", "lognormal:0.7"])
def test_loads_are_positive_with_mean_one(text: str) -> None:
    found = parse_load(text, 256, rng())
    assert found.shape == (256,)
    assert (found > 0).all()
    assert found.mean() == pytest.approx(1.0)


def test_load_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "load.txt"
    path.write_text("1, 3\n2 2\n")
    np.testing.assert_allclose(parse_load(str(path), 4, rng()), [0.5, 1.5, 1.0, 1.0])
    for text in ("1 2 3", "1 2 3 x", "1 2 3 -4", "1 2 3 nan"):
        path.write_text(text)
        with pytest.raises(NetsimError, match="load"):
            parse_load(str(path), 4, rng())


@pytest.mark.parametrize("text", ["zipf", "zipf:x", "zipf:-1", "lognormal:nan", "flat", "zipf:11"])
def test_bad_load(text: str) -> None:
    with pytest.raises(NetsimError, match="--load"):
        parse_load(text, 256, rng())


def test_packing_fills_every_slot_once_and_keeps_hosts() -> None:
    load_of = parse_load("zipf:1", 256, rng())
    found = packed(load_of, 32, 8, 32)
    on = found.device[found.device >= 0]
    assert found.replicas.sum() == on.size == 256 + 32
    assert (np.bincount(on) == 9).all()  # (256 + 32) / 32 a device
    expert = np.repeat(np.arange(256), (found.device >= 0).sum(axis=1))
    np.testing.assert_array_equal(on // 8, expert // 64)  # a host keeps its experts
    # the heaviest device carries far less than with experts side by side
    each = np.repeat(load_of / found.replicas, found.replicas)
    plain = np.bincount(contiguous(256, 32).device[:, 0], load_of)
    assert np.bincount(on, each).max() < 0.6 * plain.max()


def test_popular_experts_are_chosen_in_proportion() -> None:
    free = MOE.model_copy(update={"groups": 1, "group_limit": 1, "top_k": 1})
    load_of = parse_load("lognormal:1", 256, rng())
    routed = route_tokens(free, contiguous(256, 8), 8, 8, 8000, load_of, "model", rng())
    share = routed.received / routed.received.sum()
    np.testing.assert_allclose(share, load_of.reshape(8, 32).sum(axis=1) / 256, rtol=0.05)


def test_counted_tokens_are_conserved() -> None:
    load_of = parse_load("zipf:0.5", 256, rng())
    routed = route_tokens(MOE, contiguous(256, 16), 16, 8, 300, load_of, "model", rng())
    assert routed.to_device.sum() == 16 * 300 * 8  # every token chooses eight experts
    assert (routed.to_host <= 300).all()
    # what is spread inside a host came in for it: between one and eight copies each
    arrived = routed.to_host.reshape(2, 8, 2).sum(axis=0).T  # (host, arriving index)
    assert (routed.inside.sum(axis=2) >= arrived).all()
    assert (routed.inside.sum(axis=2) <= 8 * arrived).all()


def test_rows_beyond_32_bits_are_counted() -> None:
    # 16 sequences of 2^24 tokens, eight experts each: 2^31 rows a rank of eight when all is even
    case = make_case(overrides={
        "parallelism.pipeline": 2, "parallelism.expert": 8, "model.layers": 4, "batch.microbatches": 2,
        "batch.sequence_length": 1 << 24, "batch.microbatch_sequences": 16, "variation.expert_load": "uniform",
    })  # fmt: skip
    job = case.workload
    drawn = draw_variation(job.variation, job.name, make_plan(job, 64), job.model.moe, [0], 0)
    assert drawn is not None
    rows = drawn.rows[0]
    assert rows.min() > 0
    assert (rows.sum(axis=2) == (8 * 8) << 28).all()
