"""Placement: every policy is a permutation, keeps together what must be, and says what it cannot place."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.errors import NetsimError, SpecError
from netsim.specs.workload import PlacementSpec
from netsim.training.placement import place
from netsim.workloads.plan import Plan


def plan_of(gpus: int, pipeline: int, expert: int, tensor: int = 1, context: int = 1) -> Plan:
    group = max(expert, tensor * context)
    data = gpus // (pipeline * tensor * context)
    return Plan(gpus, pipeline, expert, data, gpus // (pipeline * group), 4, 4096, 4096, tensor, context)


@given(
    pipeline=st.sampled_from([1, 2, 4]),
    group=st.sampled_from([2, 8, 16, 32]),
    copies=st.sampled_from([4, 8]),
    policy=st.sampled_from(["contiguous", "spread", "random"]),
    seed=st.integers(0, 3),
)
def test_every_policy_uses_every_gpu_once_and_whole_hosts(
    pipeline: int, group: int, copies: int, policy: str, seed: int
) -> None:
    plan = plan_of(pipeline * group * copies, pipeline, group)
    if policy == "spread" and group < 16:
        with pytest.raises(SpecError, match="no stage group has several hosts to spread"):
            place(plan, 8, PlacementSpec(policy=policy), seed)
        return
    gpus = place(plan, 8, PlacementSpec(policy=policy), seed)
    assert gpus.shape == (pipeline, copies, group)
    assert np.array_equal(np.sort(gpus.ravel()), np.arange(plan.gpus))
    hosts = gpus.reshape(-1, min(8, group)) // 8
    assert (hosts == hosts[:, :1]).all()
    # the index in the host stays: expert traffic between hosts stays in its plane
    assert np.array_equal(gpus.ravel() % 8, np.arange(plan.gpus) % 8)


def test_spread_puts_the_hosts_of_a_group_as_far_apart_as_they_go() -> None:
    gpus = place(plan_of(128, 1, 32), 8, PlacementSpec(policy="spread"))
    # 4 groups of 4 hosts: group 0 on hosts 0, 4, 8, 12
    assert (gpus[0, 0, ::8] // 8).tolist() == [0, 4, 8, 12]
    assert (gpus[0, 3, ::8] // 8).tolist() == [3, 7, 11, 15]
    # 2 groups of 4 hosts are every second host
    two = place(plan_of(64, 1, 32), 8, PlacementSpec(policy="spread"))
    assert (two[0, :, ::8] // 8).tolist() == [[0, 2, 4, 6], [1, 3, 5, 7]]


def test_random_is_the_seeds() -> None:
    plan, spec = plan_of(512, 2, 64), PlacementSpec(policy="random")
    assert np.array_equal(place(plan, 8, spec, 1), place(plan, 8, spec, 1))
    assert not np.array_equal(place(plan, 8, spec, 1), place(plan, 8, spec, 2))


def write(path: Path, rows: list[tuple[object, ...]], head: str = "rank,host,gpu") -> str:
    path.write_text("\n".join([head, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return str(path)


def test_a_file_places_what_it_says(tmp_path: Path) -> None:
    rows = [(rank, 1 - rank // 8, rank % 8) for rank in range(16)]
    gpus = place(plan_of(16, 1, 8), 8, PlacementSpec(policy="file", file=write(tmp_path / "p.csv", rows)))
    assert gpus[0].tolist() == [list(range(8, 16)), list(range(8))]


GOOD = [(rank, rank // 8, rank % 8) for rank in range(16)]


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (GOOD[:-1], "rank 15 is missing; 16 ranks must be placed"),
        ([*GOOD, (0, 0, 0)], "rank 0 is placed twice"),
        ([*GOOD[:-1], (15, 0, 0)], "host 0 gpu 0 holds rank 0 and rank 15"),
        ([*GOOD[:-1], (15, 2, 7)], "host = 2, must be less than 2"),
        ([*GOOD[:-1], (15, 1, 8)], "gpu = 8, must be less than 8"),
        ([*GOOD[:-1], ("x", 1, 7)], "must be three whole numbers rank,host,gpu"),
        ([*GOOD[:-1], (15, 1)], "must be three whole numbers rank,host,gpu"),
        (
            [(r, h, g) if r not in (0, 8) else (r, 1 - h, g) for r, h, g in GOOD],
            "ranks 0 to 7 must be on one host",
        ),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, rows: list[tuple[object, ...]], line: str) -> None:
    spec = PlacementSpec(policy="file", file=write(tmp_path / "p.csv", rows))
    with pytest.raises(NetsimError, match=line):
        place(plan_of(16, 1, 8), 8, spec)


def test_a_file_that_is_none_is_one_line(tmp_path: Path) -> None:
    plan = plan_of(16, 1, 8)
    with pytest.raises(NetsimError, match="first line must be rank,host,gpu"):
        place(plan, 8, PlacementSpec(policy="file", file=write(tmp_path / "p.csv", GOOD, head="rank,host")))
    with pytest.raises(NetsimError, match="cannot be read"):
        place(plan, 8, PlacementSpec(policy="file", file=str(tmp_path / "none.csv")))
    with pytest.raises(ValueError, match="a file goes with policy 'file'"):
        PlacementSpec(policy="random", file="p.csv")


def test_what_cannot_be_placed_is_explained() -> None:
    with pytest.raises(SpecError, match=r"parallelism.tensor = 16, must divide the 8 GPUs of a host"):
        place(plan_of(64, 1, 1, tensor=16), 8, PlacementSpec())
    with pytest.raises(SpecError, match=r"parallelism.expert = 12, must divide, or be a multiple of"):
        place(plan_of(48, 1, 12), 8, PlacementSpec())
    with pytest.raises(SpecError, match="one stage group fills the cluster"):
        place(plan_of(32, 1, 32), 8, PlacementSpec(policy="spread"))
