"""The host that launches kernels: ahead of the GPU, behind it at a gate, and not at all under CUDA graphs."""

from typing import Any

import pytest

from netsim.specs import WorkloadSpec, load
from netsim.specs.case import make_case
from netsim.specs.framework import HostSpec
from netsim.specs.overlaps import assumed
from netsim.training.result import step_time_s
from netsim.training.simulate import Step, simulate
from netsim.workloads.graph import HOST, Division
from netsim.workloads.schedules import schedule
from netsim.workloads.tasks import build_tasks

JOB: dict[str, Any] = {
    "model.layers": 4, "model.dense_layers": 4, "parallelism.pipeline": 1, "parallelism.tensor": 1,
    "batch.microbatches": 2, "schedule": {"name": "1f1b"},
}  # fmt: skip


def step(**host: Any) -> Step:
    given = JOB | {f"host.{key}": value for key, value in host.items()}
    return simulate(make_case("mrft", "llama-3.1-8b", overrides=given), 8)


def test_a_slow_host_is_all_that_counts() -> None:
    # 2 micro-batches of 4 layers, two blocks each: 100 + 100 ms forward, 200 + 200 ms backward
    slow = step(attention=["100 ms", "200 ms"], dense=["100 ms", "200 ms"])
    launched = 2 * 4 * 2 * (0.1 + 0.2)
    assert launched < step_time_s(slow) < launched + step_time_s(step())


def test_a_quick_host_is_hidden() -> None:
    # embedding and head of the same queue run while the first block is launched
    quick = step(attention=["10 us", "10 us"], dense=["10 us", "10 us"])
    assert step_time_s(quick) == pytest.approx(step_time_s(step()), abs=11e-6)


@pytest.mark.parametrize("graph", ["layer", "full"])
def test_a_graph_takes_no_host_time(graph: str) -> None:
    made = step(attention=["100 ms", "200 ms"], graph=graph)
    assert step_time_s(made) == step_time_s(step())
    assert HOST not in made.graph.queue


def test_the_host_waits_for_the_gate_of_a_layer_with_experts() -> None:
    host = HostSpec.model_validate({"attention": ["1 ms", "1 ms"], "experts": ["1 ms", "1 ms"]})
    graph = build_tasks(schedule("1f1b", 1, 1), [("embedding", "moe", "head")], Division(host=host))
    tasks = [task for task, queue in enumerate(graph.queue) if queue == HOST]
    works = [graph.works[graph.work[task]] for task in tasks]
    assert [(work.block, work.phase) for work in works] == [
        ("attention", "F"), ("experts", "F"), ("experts", "B"), ("attention", "B"),
    ]  # fmt: skip
    [gate] = graph.waits[tasks[1]]
    assert graph.works[graph.work[gate]][:3] == ("moe", "attn", "F")
    assert not any(graph.waits[task] for task in (tasks[0], tasks[2], tasks[3]))


def test_a_run_says_what_the_host_does() -> None:
    job = load(WorkloadSpec, "workload", "qwen3-235b-a22b", {"framework": "megatron-26.04"})
    assert assumed(job)["host"] == "launches ahead of the GPU, waits for every gate"
    assert "host" not in assumed(load(WorkloadSpec, "workload", "deepseek-v3"))
