"""The bubble by cause: parts add up, and each cause is where it should be."""

import pytest

from ideal_schedules import BUBBLES, ChunkTimes
from netsim.analysis.bubble import bubble_by_cause
from netsim.specs.case import make_case
from netsim.training.result import phases
from netsim.training.simulate import simulate
from netsim.workloads.plan import make_plan


def test_parts_add_up_to_the_bubble() -> None:
    case = make_case(overrides={"parallelism.pipeline": 4, "batch.microbatches": 8})
    causes = bubble_by_cause(case, make_plan(case.workload, 256))
    assert sum(causes.values()) == pytest.approx(phases(simulate(case, 256)).mean_s["bubble"], rel=1e-9)
    assert list(causes) == ["pipeline_sends", "exposed_exchanges", "uneven_stages", "schedule"]
    assert causes["schedule"] > 0
    plain = bubble_by_cause(case, make_plan(case.workload, 256), folded=False)
    assert causes == pytest.approx(plain, abs=1e-9)


def test_with_even_stages_and_a_free_network_1f1b_has_its_formula() -> None:
    case = make_case(overrides={"parallelism.pipeline": 4, "batch.microbatches": 8, "schedule.name": "1f1b"})
    step = simulate(case, 256)

    def chunk(phases_of: str) -> float:
        return sum(
            16 * block.seconds
            for work, block in step.timing.blocks.items()
            if work.name == "moe" and work.phase in phases_of and not work.overlapped
        )

    times = ChunkTimes(chunk("F"), chunk("BW"), chunk("W"), 0.0)
    # a gradient is sent before the weight gradient of its last block, which so drops out of the drain
    last = next(
        b.seconds for w, b in step.timing.blocks.items() if (w.name, w.block, w.phase) == ("moe", "attn", "W")
    )
    assert bubble_by_cause(case, make_plan(case.workload, 256))["schedule"] == pytest.approx(
        BUBBLES["1f1b"](4, times) - 3 * last, rel=1e-3
    )


def test_causes_add_up_with_tensor_and_context_parallelism_too() -> None:
    case = make_case(overrides={
        "parallelism.pipeline": 4, "batch.microbatches": 8, "parallelism.tensor": 4, "parallelism.context": 2,
        "parallelism.expert": 16,
    })  # fmt: skip
    causes = bubble_by_cause(case, make_plan(case.workload, 128))
    assert sum(causes.values()) == pytest.approx(phases(simulate(case, 128)).mean_s["bubble"], rel=1e-9)
    assert causes["exposed_exchanges"] > 0
