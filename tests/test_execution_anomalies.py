"""More network is never worse by more than an anomaly of scheduling: half a percent (docs/concepts/left-out.md)."""

import itertools
from typing import Any

import pytest

import netsim

MOST = 0.005
SMALL = {
    "parallelism.pipeline": 2, "parallelism.expert": 8, "model.layers": 4, "batch.microbatches": 4,
    "variation.expert_load": "zipf:0.5",
}  # fmt: skip


def step_s(*faults: str, topology: str = "mrft", gpus: int = 64, **more: Any) -> float:
    keys = {key.replace("__", "."): value for key, value in more.items()}
    asked = netsim.Question(topology=topology, gpus=gpus, overrides=SMALL | keys, faults=faults)
    return float(netsim.run(asked).record["step"]["time_s"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "better_first"),
    [
        ("nic.line_rate", ["800 Gb/s", "400 Gb/s", "200 Gb/s", "100 Gb/s"]),
        ("topology.oversubscription", [[1.0], [2.0], [4.0], [8.0]]),
        ("latency.switch_hop", ["100 ns", "450 ns", "2 us", "10 us"]),
    ],
)
def test_a_better_network_is_never_slower(key: str, better_first: list[Any]) -> None:
    times = [step_s(**{key: value, "topology__switch__radix": 16}) for value in better_first]
    for better, worse in itertools.pairwise(times):
        assert better <= worse * (1 + MOST)


def test_two_faults_are_never_faster_than_one_of_them() -> None:
    lines = ("nic host1.2 degraded to 40%", "nic host3.5 degraded to 60%")
    both, *alone = step_s(*lines), *(step_s(line) for line in lines)
    assert both >= max(alone) * (1 - MOST)
    assert min(alone) >= step_s() * (1 - MOST)
