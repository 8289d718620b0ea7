"""What moves tokens to experts: DeepEP's kernels, or the library's all-to-all of every copy."""

from typing import Any

import pytest

from netsim.specs.case import make_case
from netsim.training.result import nic_bytes
from netsim.training.simulate import Step, simulate

JOB: dict[str, Any] = {
    "model.layers": 4, "parallelism.pipeline": 1, "parallelism.tensor": 1, "schedule": {"name": "1f1b"},
    "batch.microbatches": 1, "parallelism.stage_layers": None, "communication.dispatch": "bf16",
    "communication.combine": "bf16",
}  # fmt: skip


def step(expert: int, dispatcher: str) -> Step:
    given = {key: value for key, value in JOB.items() if value is not None}
    given |= {"parallelism.expert": expert, "communication.dispatcher": dispatcher}
    return simulate(make_case("mrft", "qwen3-30b-a3b", overrides=given), 16)


def dispatched(made: Step) -> float:
    """Bytes of a dispatch that a rank asks for."""
    work = next(n for n, work in enumerate(made.graph.works) if work.name == "dispatch")
    task = next(n for n, w in enumerate(made.graph.work) if w == work)
    instance = made.instances.task.tolist().index(task)
    return made.program.transfers[made.program.transfer[instance]].size_bytes


def test_every_copy_travels() -> None:
    # 4,096 tokens, 8 experts each, 2,048 values of 2 bytes
    assert dispatched(step(16, "alltoall")) == pytest.approx(4096 * 8 * 2048 * 2.0)


def test_copies_cost_more_wire_than_a_copy_for_each_host() -> None:
    # over two hosts DeepEP sends a token once to the other, the all-to-all each of about four copies
    one, other = (nic_bytes(step(16, how)) for how in ("deepep", "alltoall"))
    assert other > 2.0 * one


def test_rows_are_sorted_on_arrival_where_a_rank_has_several_experts() -> None:
    def sorts(made: Step) -> list[str]:
        works = [work for work in made.timing.blocks if work.name == "moe" and work.block == "mlp"]
        return [op.name for work in works for op in made.timing._operators(work) if "sort_chunks" in op.name]

    assert sorted(sorts(step(16, "alltoall"))) == ["sort_chunks_b", "sort_chunks_f"]
    assert not sorts(step(16, "deepep"))
