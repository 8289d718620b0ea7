"""Layout strings of Megatron-LM: letters to stages, and what is refused."""

from __future__ import annotations

import pytest

import netsim
from netsim.errors import SpecError
from netsim.specs import WorkloadSpec, load
from netsim.workloads.layout import expand, layout_stages

V3 = load(
    WorkloadSpec, "workload", "deepseek-v3"
).model  # 61 layers, 3 of them dense, one module of prediction


@pytest.mark.parametrize(
    ("layout", "stages"),
    [
        ("Et*3|(tt|)*29mL", 31),  # an example of Megatron-LM's for DeepSeek-V3: 3 + 2 x 29 layers
        ("Et*4|(t*4|)*14tmL", 16),  # MLPerf Training v6.0
        ("E|t*31|t*30|m|L", 5),  # the module, the embedding and the head alone
    ],
)
def test_every_layer_is_on_one_stage(layout: str, stages: int) -> None:
    found = layout_stages(V3, layout)
    assert len(found) == stages
    kinds = [kind for stage in found for kind in stage]
    assert (kinds.count("dense"), kinds.count("moe"), kinds.count("head"), kinds.count("mtp_in")) == (
        3,
        59,
        2,
        1,
    )
    assert (kinds[0], kinds[-1]) == ("embedding", "head")


def test_repeats_of_letters_and_groups() -> None:
    assert expand("E t*2 | (t|t*2|)*2 L") == ["Ett", "t", "tt", "t", "tt", "L"]


@pytest.mark.parametrize(
    ("layout", "rule"),
    [
        ("Et*60mL", "has 60 of t, DeepSeek-V3 needs 61"),
        ("Et*61L", "has 0 of m, DeepSeek-V3 needs 1"),
        ("t*61mLE", "must begin with E and end with L"),
        ("Et*30mt*31L", "m stands before the last t"),
        ("Et*61||mL", "stage 1 is empty"),
        ("Ex*61mL", "'x' is none of E, t, m, L"),
        ("E(t*9999)*9999mL", "more than 65536 letters"),
    ],
)
def test_a_wrong_layout_is_one_line(layout: str, rule: str) -> None:
    with pytest.raises(SpecError, match=rule) as caught:
        layout_stages(V3, layout)
    assert "\n" not in str(caught.value)


def test_a_run_takes_its_virtual_stages_from_the_layout() -> None:
    small = {"parallelism.pipeline": 2, "parallelism.expert": 8, "batch.microbatches": 4, "model.layers": 6}
    layout = {"parallelism.layout": "Ett|tt|tt|mL"}
    record = netsim.run("mpft", 16, schedule="interleaved", overrides={**small, **layout}).record
    assert record["workload"]["layers_per_stage"] == [2, 2, 2, 1]
    with pytest.raises(SpecError, match="has 4 stages, 1f1b on these ranks has 2"):
        netsim.run("mpft", 16, schedule="1f1b", overrides={**small, **layout})
    with pytest.raises(SpecError, match=r"has no effect beside parallelism\.stage_layers"):
        netsim.run(
            "mpft", 16, overrides={**small, **layout, "parallelism.stage_layers": [3, 3]}, schedule="1f1b"
        )
