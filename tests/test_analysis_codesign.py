"""Each choice of DeepSeek-V3 turned off changes what it should, by closed form, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from netsim.analysis.codesign.ablation import (
    BASE,
    QUANTITIES,
    ablate,
    base_job,
    decoding,
    job_without,
    sizes,
    step_row,
    worth,
)
from netsim.analysis.codesign.choices import CHOICES, AblationRequest
from netsim.cli.app import run_app
from netsim.cost.bill import network_cost
from netsim.topologies import build
from netsim.training.simulate import Step, simulate
from netsim.training.step_record import contract
from netsim.workloads.distinct import expected_distinct
from netsim.workloads.model import total_parameters

SMALL = {"parallelism.pipeline": 4, "batch.microbatches": 8}
ASK = AblationRequest(choices=tuple(CHOICES), gpus=256, overrides=SMALL)
GRADIENTS = ("reduce_scatter", "all_gather")
DECODE = {"decode_tpot_ms", "decode_tokens_per_s_per_gpu"}
STEP = {"step_time_s", "tokens_per_usd"}
#: what must change (at this size), and what may: none else does
MUST = {
    "mla": {*STEP, *DECODE, "memory_gb", "nic_bytes_per_gpu", "kv_cache_bytes_per_token", "parameters",
            "gflop_per_token"},
    "moe": {*STEP, "memory_gb", "nic_bytes_per_gpu", "parameters", "gflop_per_token"},
    "fp8": {*STEP, *DECODE, "memory_gb", "nic_bytes_per_gpu"},
    "mtp": {*STEP, *DECODE, "nic_bytes_per_gpu", "parameters", "gflop_per_token"},
    "node_limit": {*STEP, "memory_gb", "nic_bytes_per_gpu"},
    "overlap": {*STEP, *DECODE, "memory_gb", "nic_bytes_per_gpu"},
    "mpft": {*DECODE},
}  # fmt: skip
MAY = {"mtp": {"memory_gb"}, "mpft": {*STEP, "network_usd"}}


@pytest.fixture(scope="module")
def steps() -> dict[str, Step]:
    return {name: simulate(job_without(ASK, name).case, ASK.gpus) for name in (BASE, *CHOICES)}


@pytest.fixture(scope="module")
def rows(steps: dict[str, Step]) -> dict[str, dict[str, Any]]:
    jobs = {name: job_without(ASK, name) for name in steps}
    return {
        name: {"choice": name, **sizes(jobs[name]), **step_row(step), **decoding(jobs[name], ASK)}
        for name, step in steps.items()
    }


def moved(step: Step) -> dict[str, float]:
    """Bytes on the wire of a GPU in a step, by kind of collective."""
    return {row["kind"]: row["count"] * row["wire_bytes_per_gpu"] for row in contract(step)["collectives"]}


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_changes_what_it_should_and_nothing_else(rows: dict[str, dict[str, Any]], name: str) -> None:
    found = worth(rows[BASE], rows[name])
    changed = {key for key in QUANTITIES if found[key] not in (None, 1.0)}
    assert MUST[name] <= changed <= MUST[name] | MAY.get(name, set())


def test_fp8_dispatch_against_bf16_by_bytes_of_a_token(steps: dict[str, Step]) -> None:
    fp8, bf16 = moved(steps[BASE]), moved(steps["fp8"])
    for kind in ("dispatch", "cached_dispatch"):
        # 7168 values of 1 byte with 56 scales of 4, against 7168 of 2; 16 bytes of source, 8 an expert chosen
        extra = 16 + (64 if kind == "dispatch" else 0)
        assert bf16[kind] / fp8[kind] == pytest.approx((2 * 7168 + extra) / (7168 + 224 + extra), rel=1e-12)
    for kind in fp8.keys() - {"dispatch", "cached_dispatch"}:
        assert bf16[kind] == pytest.approx(fp8[kind], rel=1e-12), kind


def test_fp8_halves_weights_of_layers_and_kept_activations_only(steps: dict[str, Step]) -> None:
    for one, other in zip(steps[BASE].memory, steps["fp8"].memory, strict=True):
        assert other.gradients == one.gradients
        assert other.optimizer == one.optimizer
        assert one.parameters < other.parameters <= 2 * one.parameters
        assert other.activations > one.activations
    # a rank in the middle holds layers alone: exactly twice
    middle = [rank for rank, (a, b) in enumerate(zip(steps[BASE].memory, steps["fp8"].memory, strict=True))
              if b.parameters == 2 * a.parameters]  # fmt: skip
    assert middle == [1, 2]


def test_no_node_limit_moves_bytes_as_distinct_hosts_say(steps: dict[str, Step]) -> None:
    limited, free = steps[BASE], steps["node_limit"]
    # 8 of 256 experts drawn over 8 hosts, the own one of them left out
    assert free.routing.remote_hosts == pytest.approx(expected_distinct(256, 8, 8) * 7 / 8, rel=0.005)
    one, other = moved(limited), moved(free)
    for kind in one:
        ratio = (
            free.routing.remote_hosts / limited.routing.remote_hosts
            if "patch" in kind or "comb" in kind
            else 1.0
        )
        assert other[kind] / one[kind] == pytest.approx(ratio, rel=1e-12), kind


def test_mla_cache_against_eight_groups(rows: dict[str, dict[str, Any]]) -> None:
    latent, groups = 512 + 64, 2 * 8 * 128
    found = worth(rows[BASE], rows["mla"])["kv_cache_bytes_per_token"]
    assert found == pytest.approx(groups / latent, rel=1e-12)


def test_no_mtp_takes_away_exactly_its_module(
    steps: dict[str, Step], rows: dict[str, dict[str, Any]]
) -> None:
    h, expert = 7168, 3 * 7168 * 2048
    # V3's MLA: queries and keys down and up, values up, output
    attention = h * 1536 + 1536 * 128 * 192 + h * (512 + 64) + 512 * 128 * (128 + 128) + 128 * 128 * h
    layer = attention + (1536 + 512) + 2 * h + 256 * (h + 1) + 257 * expert
    held = rows[BASE]["parameters"] - rows["mtp"]["parameters"]
    assert held == pytest.approx(2 * h * h + 3 * h + layer, rel=1e-12)
    # 6 operations a weight met, and 3 x half the pairs of 128 heads, 192 wide for scores and 128 for values
    met = 2 * h * h + attention + 256 * h + 9 * expert + 129280 * h
    core = 3 * 128 * 2 * (192 + 128) * 4096 / 2
    flops = rows[BASE]["gflop_per_token"] - rows["mtp"]["gflop_per_token"]
    assert flops * 1e9 == pytest.approx(6 * met + core, rel=1e-3)
    counts = [
        {row["kind"]: row["count"] for row in contract(steps[name])["collectives"]} for name in (BASE, "mtp")
    ]
    assert counts[0]["dispatch"] * 58 == counts[1]["dispatch"] * 59


def test_overlap_changes_no_bytes_but_of_the_second_copy(steps: dict[str, Step]) -> None:
    paired, alone = moved(steps[BASE]), moved(steps["overlap"])
    for kind in paired.keys() - set(GRADIENTS):
        assert alone[kind] == pytest.approx(paired[kind], rel=1e-12), kind
    for kind in GRADIENTS:
        assert alone[kind] < paired[kind]
    # DualPipe holds every stage twice
    held = [sum(rank.parameters for rank in steps[name].memory) for name in (BASE, "overlap")]
    # alone, the last rank has a copy of the embedding for its MTP module: 129,280 x 7,168 in BF16
    copy = 2.0 * 129_280 * 7168
    assert held[0] == pytest.approx(2 * (held[1] - copy), rel=1e-12)


def test_three_layers_change_no_bytes_but_switches_and_cost(steps: dict[str, Step]) -> None:
    assert moved(steps["mpft"]) == pytest.approx(moved(steps[BASE]), rel=1e-12)
    jobs = [job_without(ASK, name).case for name in (BASE, "mpft")]
    two, three = (build(case.topology, case.hardware, 2048) for case in jobs)
    # 8 planes of 8 leaves and 4 spines; 64 leaves, 64 spines and 32 cores
    assert (two.switches, three.switches) == (8 * (8 + 4), 64 + 64 + 32)
    usd = [network_cost(each, jobs[0].prices)["network_usd"] for each in (two, three)]
    assert usd[0] < usd[1]


def test_the_dense_counterpart_is_as_large_and_steps_over_the_same_tokens(
    steps: dict[str, Step], rows: dict[str, dict[str, Any]]
) -> None:
    moe, dense = base_job(ASK).case.workload.model, job_without(ASK, "moe").case.workload.model
    tile = 8 * 128 * 3 * dense.hidden * dense.layers
    assert abs(total_parameters(dense) - total_parameters(moe)) <= tile / 2
    assert steps["moe"].plan.tokens_per_step == steps[BASE].plan.tokens_per_step
    assert steps["moe"].plan.own_tokens == steps[BASE].plan.own_tokens
    assert steps["moe"].plan.microbatches == steps[BASE].plan.microbatches
    assert rows["moe"]["plan"] == "TP8 PP4 DP8"
    assert "GB of the 80 GB" in rows["moe"]["decode_error"]


def test_what_there_is_nothing_of_is_a_row_that_says_why() -> None:
    ask = AblationRequest(
        topology="ft2", workload="qwen2.5-72b", gpus=32, overrides={"batch.microbatches": 4},
        choices=("mla", "moe", "fp8", "mtp", "node_limit", "overlap", "mpft"),
    )  # fmt: skip
    record = ablate(ask)
    found = {row["choice"]: row for row in record["tables"]["ablation"]}
    assert found[BASE]["error"] is None
    assert "no deployment preset" in found[BASE]["decode_error"]
    for name in ("mla", "moe", "mtp", "node_limit", "mpft"):
        assert found[name]["error"], name
        assert set(record["tables"]["worth"][list(CHOICES).index(name)].values()) <= {name, None}
    assert "one plane" in found["mpft"]["error"]
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_the_command_prints_writes_and_repeats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sets = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    words = ["compare", "--ablate", "mpft,node_limit", "--gpus", "256", *sets, "--jobs", "1"]
    assert run_app([*words, "-o", str(tmp_path / "a"), "--gpu-hour-usd", "4"]) == 0
    assert "three-layer tree" in capsys.readouterr().out
    page = (tmp_path / "a" / "report.html").read_text("utf-8")
    assert page.count("<svg") == 1
    assert "Without node limit" in page
    record = json.loads((tmp_path / "a" / "report.json").read_text("utf-8"))
    assert record["question"]["gpu_hour_usd"] == 4.0
    assert (tmp_path / "a" / "ablation.parquet").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--ablate", "mtpp"], "--ablate mtpp: did you mean 'mtp'?"),
        (["--ablate", "mla,mla"], "--ablate mla: given twice"),
        (["--ablate", "mla,"], "--ablate mla,:"),
        (["--ablate", "mla", "-t", "mpft,ft3"], "--topologies mpft,ft3: with --ablate there must be one"),
        (["--ablate", "mla", "-n", "1024,2048"], "--gpus 1024,2048: with --ablate there must be one"),
        (["--ablate", "mla", "--no-bind"], "--bind/--no-bind: has no effect with --ablate"),
        (["--ablate", "mla", "--sizes", "1MiB"], "--sizes: has no effect with --ablate"),
        (["--ablate", "mla", "-n", "1000"], "must be a multiple"),
        (["--gpu-hour-usd", "3"], "--gpu-hour-usd: has no effect without --ablate"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["compare", *words, "--jobs", "1"]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert told.err.count("\n") == 1
