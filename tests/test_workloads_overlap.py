"""Exchanges beside compute, as a framework has them: which tasks there are, and who waits for whom."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

import netsim
from netsim.errors import NetsimError, SpecError
from netsim.specs import WorkloadSpec, load
from netsim.specs.case import make_case
from netsim.specs.catalog import names
from netsim.specs.framework import FrameworkSpec, OverlapSpec
from netsim.training.result import nic_bytes, phases, step_time_s
from netsim.training.simulate import simulate
from netsim.workloads.graph import COMPUTE, PIPELINE, TENSOR, Division, TaskGraph
from netsim.workloads.schedules import schedule
from netsim.workloads.stages import split_layers
from netsim.workloads.tasks import build_tasks

SMALL: dict[str, Any] = {
    "parallelism.pipeline": 2, "parallelism.tensor": 2, "batch.microbatches": 4, "model.layers": 8,
    "model.dense_layers": 8,
}  # fmt: skip


def graph_of(division: Division, name: str = "1f1b", ranks: int = 2, microbatches: int = 4) -> TaskGraph:
    model = load(WorkloadSpec, "workload", "qwen2.5-72b", SMALL).model
    order = schedule(name, ranks, microbatches)
    return build_tasks(order, split_layers(model, order.stages), division)


def counts(graph: TaskGraph) -> Counter[str]:
    return Counter(graph.works[work].name for work in graph.work)


def test_gradients_are_reduced_once_for_each_layer() -> None:
    graph = graph_of(Division(overlap=OverlapSpec(gradient=True)))
    # eight layers, the embedding and the head; every one once, not in every micro-batch
    assert counts(graph)["reduce_scatter"] == 10
    last = {
        graph.layer[t]: t
        for t in range(len(graph))
        if graph.works[graph.work[t]].phase == "W" and graph.queue[t] == 0
    }
    for task in range(len(graph)):
        if graph.works[graph.work[task]].name == "reduce_scatter":
            assert graph.waits[task] == (last[graph.layer[task]],)


def test_updated_parameters_are_gathered_before_the_first_forward_of_their_layer() -> None:
    graph = graph_of(Division(overlap=OverlapSpec(parameter=True)))
    found = counts(graph)
    assert (found["parameter_gather"], found["all_gather"]) == (10, 0)
    gathers = [t for t in range(len(graph)) if graph.works[graph.work[t]].name == "parameter_gather"]
    for gather in gathers:
        waiting = [t for t in range(len(graph)) if gather in graph.waits[t]]
        assert {graph.microbatch[t] for t in waiting} == {0}
        assert graph.works[graph.work[waiting[0]]].phase == "F"


def test_compute_waits_for_a_send_that_nothing_hides() -> None:
    exposed, hidden = (graph_of(Division(overlap=OverlapSpec(pipeline=how))) for how in ("never", "always"))
    sends = [t for t in range(len(exposed)) if exposed.works[exposed.work[t]].name == "send_forward"]
    for graph, waited in ((exposed, True), (hidden, False)):
        after = [t for t in range(len(graph)) if graph.queue[t] == COMPUTE and graph.rank[t] == 0]
        assert any(sends[0] in graph.waits[t] for t in after) == waited
    assert not any(exposed.rank[w] != exposed.rank[t] and exposed.works[exposed.work[w]].name != "send_forward"
                   and exposed.works[exposed.work[w]].name != "send_backward"
                   for t in range(len(exposed)) for w in exposed.waits[t])  # fmt: skip


def test_each_kind_of_exchange_has_a_stream() -> None:
    graph = graph_of(Division(tensor=True, overlap=OverlapSpec(streams="each")))
    queues = {graph.works[w].name: q for w, q in zip(graph.work, graph.queue, strict=True)}
    assert (queues["tensor_gather"], queues["send_forward"]) == (TENSOR, PIPELINE)


@pytest.mark.parametrize("ahead", [0, 1, 2, 5])
def test_parameters_are_gathered_as_far_ahead_as_asked(ahead: int) -> None:
    graph = graph_of(Division(zero=3, overlap=OverlapSpec(prefetch=ahead)), ranks=1, microbatches=1)
    gathers = [t for t in range(len(graph)) if graph.works[graph.work[t]].name == "parameter_gather"]
    forward = [t for t in gathers if graph.works[graph.work[t]].phase == "F"]
    for number, gather in enumerate(forward):
        waited = [graph.layer[w] for w in graph.waits[gather]]
        # layer n waits until layer n - 1 - ahead is done
        assert waited == ([number - 1 - ahead] if number > ahead else [])


def test_buckets_need_one_holder_of_each_stage() -> None:
    with pytest.raises(
        SpecError, match=r"overlap\.gradient = True, needs a schedule that holds each stage once"
    ):
        graph_of(Division(overlap=OverlapSpec(gradient=True)), "dualpipe", 2, 8)


def test_overlap_never_makes_a_step_longer_and_moves_the_same_bytes() -> None:
    found = {}
    for name, more in (("none", {}), ("all", {"framework": "fsdp2"})):
        case = make_case(workload="qwen2.5-72b", schedule="1f1b", overrides={**SMALL, **more})
        found[name] = simulate(case, 64)
    assert step_time_s(found["all"]) < step_time_s(found["none"])
    assert phases(found["all"]).exposed_s < phases(found["none"]).exposed_s
    moved = [nic_bytes(step) for step in found.values()]
    assert moved[1] == pytest.approx(moved[0])


def test_a_run_says_what_it_assumes() -> None:
    record = netsim.run(
        "mpft", 32, "qwen2.5-72b", schedule="1f1b", overrides={**SMALL, "framework": "fsdp2"}
    ).record
    assert record["workload"]["framework"] == "fsdp2"
    assert record["workload"]["exchanges"] == {
        "tensor": "exposed", "gradient": "beside the last backward, by layer",
        "parameter": "beside the next forward, by layer", "pipeline": "beside compute",
    }  # fmt: skip


def test_the_job_stands_above_its_framework() -> None:
    case = make_case(workload="qwen2.5-72b", overrides={"framework": "fsdp2", "overlap.gradient": False})
    assert (case.workload.overlap.gradient, case.workload.overlap.parameter) == (False, True)
    with pytest.raises(NetsimError, match="no framework preset 'fsdp3'"):
        make_case(overrides={"framework": "fsdp3"})


def test_the_default_is_the_preset() -> None:
    assert make_case().workload.overlap == make_case(overrides={"framework": "deepseek"}).workload.overlap


DIVIDED = {**SMALL, "parallelism.tensor": 4, "parallelism.context": 2, "overlap.streams": "each"}


def seconds(**more: Any) -> float:
    keys = {key.replace("__", "."): value for key, value in more.items()}
    return step_time_s(
        simulate(make_case(workload="qwen2.5-72b", schedule="1f1b", overrides={**DIVIDED, **keys}), 64)
    )


def test_tensor_and_context_exchanges_hide_behind_what_needs_them() -> None:
    none, tensor, both = (
        seconds(),
        seconds(overlap__tensor=True),
        seconds(overlap__tensor=True, overlap__context=True),
    )
    assert both < tensor < none
    # nothing hides more than an exchange without bytes
    assert both > seconds(scale_up__achieved_rate="100 TB/s", nic__line_rate="100 Tb/s")


def test_more_chunks_hide_more() -> None:
    how = {"overlap__tensor": True, "scale_up__achieved_rate": "600 GB/s"}  # no exchange waits for another
    assert seconds(**how, overlap__tensor_chunks=8) < seconds(**how, overlap__tensor_chunks=2)


def test_sms_are_taken_only_while_a_kernel_is_resident() -> None:
    resident = {"overlap__sms": "resident", "overlap__tensor": True}
    free, some = seconds(**resident), seconds(**resident, overlap__tensor_sms=32, overlap__nccl_sms=16)
    # all products on 100 of 132 SMs all the time would be a bound
    assert free < some < free * 132 / 100


def test_uneven_ranks_meet_beside_their_blocks_too() -> None:
    alike = seconds(overlap__tensor=True, overlap__context=True)
    uneven = seconds(overlap__tensor=True, overlap__context=True, variation__slow={"0": 1.1})
    assert alike < uneven < 1.11 * alike


EXPERTS: dict[str, Any] = {
    "parallelism.pipeline": 4, "parallelism.expert": 16, "batch.microbatches": 24, "model.layers": 14,
    "model.mtp_depth": 0, "nic.line_rate": "200 Gb/s",
    "model.moe.groups": 2, "model.moe.group_limit": 2, "overlap.streams": "each", "schedule.virtual_stages": 2,
}  # fmt: skip


def moe(**more: Any) -> Any:
    keys = {key.replace("__", "."): value for key, value in more.items()}
    return simulate(make_case(schedule="interleaved", overrides={**EXPERTS, **keys}), 128)


@pytest.mark.parametrize(("ranks", "rounds", "microbatches"), [(2, 2, 4), (4, 2, 8), (4, 3, 16), (8, 4, 32)])
def test_paired_interleaved_runs_every_unit_once_and_one_more_ahead(
    ranks: int, rounds: int, microbatches: int
) -> None:
    plain, paired = (schedule("interleaved", ranks, microbatches, rounds, paired=p) for p in (False, True))
    assert plain.rank_of == paired.rank_of
    for rank, (alone, chunks) in enumerate(zip(plain.ranks, paired.ranks, strict=True)):
        ahead = [c.phase for c in chunks].index("1F1B") if any(c.phase == "1F1B" for c in chunks) else None
        warmup = min(2 * (ranks - rank - 1) + (rounds - 1) * ranks + 1, rounds * microbatches)
        assert ahead in (warmup, None)
        assert [c.backward for c in chunks if c.backward] == [c.backward for c in alone if c.backward]
        # a unit's backward never runs beside its own forward
        assert all(c.forward != c.backward for c in chunks if c.phase == "1F1B")


def test_expert_exchanges_hide_behind_another_micro_batch() -> None:
    alone, paired = moe(), moe(overlap__expert=True)
    assert step_time_s(paired) < step_time_s(alone)
    assert phases(paired).idle_s < 0.7 * phases(alone).idle_s


def test_weight_gradients_that_are_not_delayed_hold_up_the_exchange_behind_them() -> None:
    assert step_time_s(moe(overlap__weight_delayed="never")) > step_time_s(moe())


def test_1f1b_with_a_pipeline_cannot_be_paired() -> None:
    with pytest.raises(SpecError, match=r"overlap\.expert = True, needs schedule interleaved"):
        schedule("1f1b", 4, 8, paired=True)
    assert [c.phase for c in schedule("1f1b", 1, 3, paired=True).ranks[0]] == ["1F", "1F1B", "1F1B", "1B"]


@pytest.mark.parametrize("name", names("framework"))
def test_every_framework_runs_and_says_what_it_assumes(name: str) -> None:
    schedule_of = "interleaved" if name != "deepseek" else "1f1b"
    overrides = {**SMALL, "framework": name}
    record = netsim.run("mpft", 32, "qwen2.5-72b", schedule=schedule_of, overrides=overrides).record
    assert record["workload"]["framework"] == name
    host = {"host"} if load(FrameworkSpec, "framework", name).host.counts else set()
    assert set(record["workload"]["exchanges"]) == {"tensor", "gradient", "parameter", "pipeline"} | host
    assert load(FrameworkSpec, "framework", name).sources
