"""Gate statistics against closed forms and published numbers; bytes per token."""

from math import comb

import numpy as np
import pytest

from netsim.specs import WorkloadSpec, load
from netsim.specs.workload import MoeSpec
from netsim.workloads.moe import choose_experts, routing_statistics, token_bytes

MOE = load(WorkloadSpec, "workload", "deepseek-v3").model.moe


def free(experts: int, top_k: int) -> MoeSpec:
    """A gate without a group limit."""
    return MoeSpec(experts=experts, shared=0, width=1, top_k=top_k, groups=8, group_limit=8)


@pytest.mark.parametrize("expert_parallel", [16, 32, 64, 128, 256])
def test_without_a_group_limit_sampling_meets_the_closed_form(expert_parallel: int) -> None:
    # a host of E/N experts is missed with probability C(E - E/N, k) / C(E, k)
    def distinct(places: int) -> float:
        return places * (1 - comb(256 - 256 // places, 8) / comb(256, 8))

    found = routing_statistics(free(256, 8), expert_parallel, 8, seed=1, tokens=40_000)
    assert found.hosts == pytest.approx(distinct(expert_parallel // 8), rel=0.01)
    assert found.devices == pytest.approx(distinct(expert_parallel), rel=0.01)


def test_deepseek_v3_at_64_way_expert_parallelism() -> None:
    # H800 trace, simulated gate: 3.97 hosts of which 3.47 remote, 7.49 devices
    found = routing_statistics(MOE, 64, 8)
    assert found.hosts == pytest.approx(3.97, abs=0.02)
    assert found.remote_hosts == pytest.approx(3.47, abs=0.02)
    assert found.devices == pytest.approx(7.49, abs=0.03)


def test_group_limit_and_distinct_experts_hold_for_every_token() -> None:
    chosen = choose_experts(MOE, np.random.default_rng(3), 2000)
    ordered = np.sort(chosen, axis=1)
    assert (np.diff(ordered, axis=1) > 0).all()
    groups = [len(set(row)) for row in (chosen // (MOE.experts // MOE.groups)).tolist()]
    assert max(groups) <= MOE.group_limit


def test_one_host_sends_nothing_over_the_nic() -> None:
    assert routing_statistics(MOE, 8, 8).remote_hosts == 0.0


def test_token_bytes_are_those_of_the_public_trace() -> None:
    # FP8: 7168 + 4 x 7168/128 = 7392; + 16 source metadata; + 64 expert indices and weights
    assert token_bytes("cached_dispatch", 7168, 8, "fp8") == 7408
    assert token_bytes("dispatch", 7168, 8, "fp8") == 7472
    # BF16: 14336 + 16 + 32 weights
    assert token_bytes("combine", 7168, 8, "bf16") == 14384
